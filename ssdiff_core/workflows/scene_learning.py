"""What a run learns about its scene before fusing it: the shift of MS, adapted weights, and statistics.

All come from the whole scene, also if only an extent of it is fused, so that the pixels of an extent are those of the
whole scene. All are kept in weights.scene_cache, so that further runs, previews and extents start at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import __version__
from ..classical.scene_statistics import Survey
from ..common.errors import ConfigError, GeometryError, message_of
from ..common.fingerprints import sha256_of
from ..common.notices import Notify, notice
from ..domain.adaptation_job import Job, best_method
from ..domain.block import SceneStats
from ..domain.options import AUTO, MAXIMUM_SECONDS, MINIMUM_SECONDS, NONE, PansharpenOptions
from ..domain.registration import Shift
from ..domain.scene import Scene
from ..domain.sensors import Sensor
from ..raster.input_files import files_read
from ..raster.open_pair import pair_correlation
from ..raster.reader import alignment
from ..weights import scene_cache
from ..weights.card import Card, read_card
from ..worker.serialization import decode
from .adapt import mode_of
from .band_order import groups_of

PIXELS_PER_SECOND = 1_500_000
"pixels that one processor fuses in a second with a network on patches, about"
SHARE_OF_RUN = 0.1
"share of the time of fusing the whole scene that is spent on adapting to it"
AUTOMATIC_SECONDS = (18.0, 60.0)
"minimum and maximum processor seconds that are spent by default"
MINIMUM_SIDE = 48
"MS samples along a side from which a scene can be adapted to"
WORTHWHILE = 64, 8100
"MS samples along a side, and in all, from which it is by default: small images of a large set would take minutes"
SCENE_SUFFIX = "+scene"
"end of the id of weights that were adapted to the scene that they fuse"
LARGE_SCENE = 2_000_000
"pixels of PAN from which statistics are worth keeping"


@dataclass(frozen=True)
class SceneWeights:
    """The weights that fuse a scene."""

    path: Path
    provenance: dict[str, str]
    "entries on the adaptation for the metadata of the output; empty if there was none"


def seconds_of(adapt: str) -> float | None:
    """Returns the seconds that the option `adapt` gives; None for auto, 0 for none."""
    if adapt in (AUTO, NONE):
        return None if adapt == AUTO else 0.0
    try:
        seconds = float(adapt)
    except ValueError:
        seconds = -1.0
    if not MINIMUM_SECONDS <= seconds <= MAXIMUM_SECONDS:
        limits = {"minimum": MINIMUM_SECONDS, "maximum": MAXIMUM_SECONDS}
        raise ConfigError(notice("adapt_seconds", **limits, value=adapt))
    return seconds


def automatic_seconds(scene: Scene) -> float:
    """Returns the processor seconds that are spent on adapting to a scene by default."""
    height, width = scene.ground.shape
    low, high = AUTOMATIC_SECONDS
    return min(max(SHARE_OF_RUN * height * width / PIXELS_PER_SECOND, low), high)


def scene_weights(
    scene: Scene,
    sensor: Sensor,
    path: Path,
    options: PansharpenOptions,
    backend,
    reporter: Callable[[int], Callable[[float], None]],
    notify: Notify,
) -> SceneWeights:
    """Returns the weights in the file `path`, adapted to the scene if the options say so and that makes them better."""
    card, wanted = read_card(path), seconds_of(options.adapt)
    if wanted == 0 or not _can_adapt(scene, card, notify if wanted else None):
        return SceneWeights(path, {})
    seconds = wanted or automatic_seconds(scene)
    whole, key = scene.whole, _key(scene, sensor, path, options)
    entry = scene_cache.read(key)
    if entry:
        return _as_remembered(entry, path, card, notify)
    working, started = scene_cache.working_file(), time.monotonic()
    job = _job(whole, sensor, path, card, seconds, working, options)
    progress = reporter(0)
    try:
        outcome = backend.adapt([whole], job, lambda said: None, progress)
    except GeometryError as error:
        notify(notice("scene_not_adapted", reason=message_of(error)))
        return SceneWeights(path, {})
    except BaseException:
        working.unlink(missing_ok=True)
        raise
    record = _record(outcome, scene, card, time.monotonic() - started)
    kept = scene_cache.write(key, record, working if working.exists() else None)
    notify(_notice(record, "adapted_to_scene", card))
    return SceneWeights(kept or path, _provenance(record))


def adaptation_ahead(scene: Scene, sensor: Sensor, path: Path, options: PansharpenOptions) -> tuple[float, bool]:
    """Returns the processor seconds that `scene_weights` will spend, and whether it has adapted weights already."""
    wanted = seconds_of(options.adapt)
    if wanted == 0 or not _can_adapt(scene, read_card(path), (lambda message: None) if wanted else None):
        return 0.0, False
    if scene_cache.read(_key(scene, sensor, path, options)):
        return 0.0, True
    return wanted or automatic_seconds(scene), False


def _key(scene: Scene, sensor: Sensor, path: Path, options: PansharpenOptions) -> str:
    """Returns the key of the weights in the file `path`, adapted to the scene."""
    files = files_read(scene.files)
    return scene_cache.key_of(
        scene_cache.WEIGHTS, files, scene.whole, sensor, sha256_of(path), options.adapt, __version__
    )


def _can_adapt(scene: Scene, card: Card, notify: Notify | None) -> bool:
    """Returns whether weights can be adapted to a scene; notify: receives the reason if they cannot."""
    ground, ratio = scene.ground.shape, scene.placement.ratio
    height, width = (n / ratio for n in ground)
    side, samples = (MINIMUM_SIDE, 0) if notify else WORTHWHILE
    reason = ""
    if not card.suits(ratio):
        reason = f"the weights are for ratio {card.ratio}"
    elif "base_sha256" in card.training:
        reason = "the weights were adapted already"
    elif min(height, width) < side or height * width < samples:
        reason = f"it has only {height:.0f} x {width:.0f} MS samples"
    if reason and notify:
        notify(notice("scene_not_adapted", reason=reason))
    return not reason and (notify is not None or card.arch.blocks > 0)


def _job(whole: Scene, sensor: Sensor, path: Path, card: Card, seconds: float, working: Path, options) -> Job:
    return Job(
        id=f"{card.id}{SCENE_SUFFIX}",
        sensor=sensor,
        ratio=card.ratio,
        base=str(path.resolve()),
        groups=groups_of(card, sensor),
        mode=mode_of(AUTO, card, True),
        minutes=seconds / 60,
        device=options.device,
        memory=options.memory,
        working=str(working),
        provenance={"scenes": [Path(whole.pan.path).name], "align": "as it was fused"},
    )


def _record(outcome: dict, scene: Scene, card: Card, seconds: float) -> dict:
    classical = outcome["classical"]
    best = best_method(classical)
    after = outcome["after"] or outcome["before"]
    return {
        "scene": scene.pan.path,
        "base": card.id,
        "seconds": round(seconds, 1),
        "steps": outcome["steps"],
        "before": outcome["before"],
        "after": after,
        "classical": {"method": best, **classical[best]},
    }


def _as_remembered(entry: scene_cache.Entry, path: Path, card: Card, notify: Notify) -> SceneWeights:
    """Returns what an earlier run found."""
    notify(_notice(entry.record, "adapted_before", card))
    return SceneWeights(entry.weights if "sha256" in entry.record else path, _provenance(entry.record))


def _notice(record: dict, kind: str, card: Card):
    values = {name: record[name]["ERGAS"] for name in ("before", "after", "classical")}
    if record["after"] == record["before"]:
        return notice("adapting_scene_no_gain", weights=card.id, seconds=record["seconds"], **values)
    return notice(kind, seconds=record["seconds"], **values)


def _provenance(record: dict) -> dict[str, str]:
    """Returns the entries of the output's metadata."""
    values = [
        f"{name} {record['before'][name]:.3f} -> {record['after'][name]:.3f}"
        for name in ("ERGAS", "SAM")
        if name in record["after"]
    ]
    best = record["classical"]
    text = f"held out: {', '.join(values)}; best classical: ERGAS {best['ERGAS']:.3f} ({best['method']})"
    return {"adapted": f"{text}; {record['steps']} steps"}


# --- shift and statistics --------------------------------------------------------------------------------------------


def shift_of(scene: Scene) -> Shift:
    """Returns the shift of MS against PAN."""
    shift = kept_shift(scene)
    if not shift:
        shift = alignment(scene)
        scene_cache.write(_shift_key(scene), asdict(shift))
    return shift


def kept_shift(scene: Scene) -> Shift | None:
    """Returns the shift that an earlier run has measured; None if there is none."""
    entry = scene_cache.read(_shift_key(scene))
    if not entry:
        return None
    return Shift(**{**entry.record, "bands": tuple(Shift(**band) for band in entry.record["bands"])})


def _shift_key(scene: Scene) -> str:
    return scene_cache.key_of(scene_cache.SHIFT, files_read(scene.files), scene.whole, __version__)


def correlation_of(scene: Scene) -> float:
    """Returns the correlation of the detail of PAN and MS."""
    key = scene_cache.key_of(scene_cache.CORRELATION, files_read(scene.files), scene.whole, __version__)
    entry = scene_cache.read(key)
    if entry:
        return float(entry.record["correlation"])
    correlation = pair_correlation(scene)
    scene_cache.write(key, {"correlation": correlation})
    return correlation


def scene_statistics(scene: Scene, survey: Survey, options: PansharpenOptions, backend) -> SceneStats:
    """Returns the statistics of the whole scene."""
    whole = scene.whole
    height, width = whole.window.shape
    key = ""
    if height * width >= LARGE_SCENE:
        kind = scene_cache.STATISTICS
        key = scene_cache.key_of(kind, files_read(scene.files), whole, sorted(vars(survey).items()), __version__)
    entry = scene_cache.read(key)
    if entry:
        return SceneStats(**decode(entry.record))
    stats = backend.stats(whole, survey, options.memory)
    scene_cache.write(key, asdict(stats))
    return stats
