"""Adapts weights to PAN and MS files of one sensor, and keeps the new weights only if they are better.

The best weights so far are always in a working file next to the output; an interrupted run copies it to the output.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..common import paths as places
from ..common.errors import Cancelled, ConfigError
from ..common.files import check_targets, move, write_whole
from ..common.fingerprints import sha256_of, states_of
from ..common.notices import Notify, notice
from ..domain import sensors
from ..domain.adaptation_job import Job, best_method
from ..domain.options import MODES, AdaptOptions
from ..domain.resampling import nearest_ratio
from ..domain.scene import Scene
from ..raster.input_files import files_read
from ..raster.open_pair import align_pair, open_pair
from ..raster.output import OTHER_FORMATS
from ..weights import catalogue
from ..weights.card import Card, is_id, read_card
from ..weights.catalogue import Fetch
from ..weights.output_files import WeightsOutput
from .band_order import as_weights_see, band_groups, by_wavelength, groups_of
from .weights_ratio import at_ratio

RATIOS = (2, 4)
"ratios that networks exist for"
RATIO_TOLERANCE = 0.01
"share by which the ratios of scenes may differ"


@dataclass(frozen=True)
class AdaptResult:
    """Result of adapting weights."""

    id: str
    "id of the best weights for these scenes: the new or the initial ones; empty: a classical method is better"
    use: str
    "value of --weights that selects them: their id, or their file if it is not in the catalogue"
    path: Path | None
    "file of the new weights; None: they were not better, and no file was written"
    before: dict[str, float]
    "held-out scores of the initial weights"
    after: dict[str, float]
    "held-out scores of the best weights"
    classical: dict[str, dict[str, float]]
    "held-out scores of the classical methods"


def adapt(
    pairs: Sequence[tuple],
    out: str | Path,
    options: AdaptOptions,
    notify: Notify,
    reporter,
    backend,
    fetch: Fetch | None = None,
) -> AdaptResult:
    """Adapts weights to pairs of PAN and MS files. out: the weights file, or an id to find the weights by.

    The other parameters are those of workflows.pansharpen.pansharpen. An interrupted run keeps the best weights so far,
    and the same call continues it.
    """
    fetch = fetch or catalogue.fetcher(progress=reporter(0), notify=notify)
    if options.mode not in MODES:
        raise ConfigError(notice("unknown_mode", mode=options.mode, known=tuple(MODES)))
    out, name = output_and_id(str(out), options.id)
    check_targets(out)
    scenes, sensor = open_scenes(pairs, options, notify)
    base = initial_weights(scenes[0], sensor, options, fetch, notify)
    scenes, sensor = in_order(scenes, sensor, read_card(base), options, notify)
    job = job_for(name, out, scenes, sensor, base, options)
    inputs = [base, *files_read(path for scene in scenes for path in scene.files)]
    with WeightsOutput(out).claimed(inputs):
        try:
            outcome = backend.adapt(scenes, job, notify, reporter(0))
        except (KeyboardInterrupt, Cancelled) as end:
            raise type(end)(interrupted(job, out)) from None
        return finish(outcome, job, out, notify)


# --- the weights file ------------------------------------------------------------------------------------------------


def output_and_id(out: str, name: str = "") -> tuple[Path, str]:
    """Returns the weights file to write, and the id of the weights in it."""
    is_file = out.endswith(catalogue.SUFFIX)
    if Path(out).suffix.lower() in (".tif", ".tiff", *OTHER_FORMATS):
        raise ConfigError(notice("not_weights_name", name=out, suffix=catalogue.SUFFIX))
    name = name or (Path(out).stem if is_file else out)
    if not is_id(name):
        raise ConfigError(notice("weights_id", name=name))
    if any(entry.id == name for entry in catalogue.published()):
        raise ConfigError(notice("weights_id_published", name=name))
    path = Path(out) if is_file else places.weights() / f"{name}{catalogue.SUFFIX}"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.parent.resolve() / path.name, name


def finish(outcome: dict, job: Job, out: Path, notify: Notify) -> AdaptResult:
    """Renames the working file to the output, if there is one, and reports the scores before and after."""
    working, before, classical = Path(job.working), outcome["before"], outcome["classical"]
    if job.checkpoint:
        Path(job.checkpoint).unlink(missing_ok=True)
    if working.exists():
        move(working, out)
        after = outcome["after"]
        notify(notice("adapted", scores=compared(before, after), classical=lowest_scores(classical), path=str(out)))
        return AdaptResult(job.id, catalogue.name_of(out), out, before, after, classical)
    kept = read_card(job.base).id if job.base_fits else ""
    kind = "adapting_lost_native" if outcome["lost"] else "adapting_no_gain"
    best = f"weights {kept}" if kept else "method mtf-glp-fs"
    notify(notice(kind, scores=compared(before, outcome["best"]), best=best))
    return AdaptResult(kept, catalogue.name_of(Path(job.base)) if kept else "", None, before, before, classical)


def compared(before: dict[str, float], after: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f} -> {after.get(name, value):.3f}" for name, value in before.items())


def lowest_scores(classical: dict[str, dict[str, float]]) -> str:
    """Returns the lowest value of each score that any classical method reaches, as text."""
    best = {name: best_method(classical, name) for name in ("ERGAS", "SAM")}
    return ", ".join(f"{name} {classical[method][name]:.3f} ({method})" for name, method in best.items())


def interrupted(job: Job, out: Path) -> str:
    """Returns the message of an interrupted run; copies the best weights so far, if any, to the output."""
    working = Path(job.working)
    if not working.exists():
        return "interrupted before better weights were found"
    write_whole(out, working.read_bytes())
    scores = read_card(out).scores["held out"]
    return (
        f"interrupted; the best weights so far are in {out} (held out: {compared(scores['before'], scores['after'])}), "
        "and the same command continues"
    )


# --- scenes and initial weights --------------------------------------------------------------------------------------


def open_scenes(pairs: Sequence[tuple], options: AdaptOptions, notify: Notify) -> tuple[list[Scene], sensors.Sensor]:
    """Returns the scenes of all pairs, and their common sensor."""
    opened = [open_aligned(pan, ms, options, notify) for pan, ms in pairs]
    (first, sensor), *others = opened
    for scene, other in others:
        ratios = scene.placement.ratio, first.placement.ratio
        if (other.id, other.bands) != (sensor.id, sensor.bands) or abs(ratios[0] / ratios[1] - 1) > RATIO_TOLERANCE:
            raise ConfigError(
                notice(
                    "scenes_differ",
                    first=scene.pan.path,
                    second=first.pan.path,
                    sensor=other.label,
                    bands=len(other.bands),
                    ratio=ratios[0],
                    other_sensor=sensor.label,
                    other_bands=len(sensor.bands),
                    other_ratio=ratios[1],
                )
            )
    return [scene for scene, _ in opened], sensor


def open_aligned(pan, ms, options: AdaptOptions, notify: Notify) -> tuple[Scene, sensors.Sensor]:
    """Opens a pair like pansharpening: its shift corrected if the options require it, MS at a ratio of networks."""
    scene, sensor = by_wavelength(*open_pair(pan, ms, options, notify))
    for message in scene.notices:
        notify(message)
    scene = align_pair(scene, options.align, notify)
    return at_ratio(scene, sensor, nearest_ratio(scene.placement.ratio, RATIOS), notify)


def initial_weights(scene: Scene, sensor: sensors.Sensor, options: AdaptOptions, fetch: Fetch, notify: Notify) -> Path:
    """Returns the weights file to start from; one for another ratio if there is none for this one."""
    bands, ratio = len(scene.ms), scene.placement.ratio
    nearest = min((entry.ratio for entry in catalogue.known()), key=lambda whole: abs(whole - ratio))
    path = catalogue.find(options.base, sensor.id, bands, nearest, fetch, notify)
    card = read_card(path)
    if not card.suits(ratio):
        notify(notice("base_of_other_ratio", weights=card.id, trained=card.ratio, ratio=ratio))
    return path


def in_order(
    scenes: list[Scene], sensor: sensors.Sensor, card: Card, options: AdaptOptions, notify: Notify
) -> tuple[list[Scene], sensors.Sensor]:
    """Returns the scenes and their sensor with the bands in the order of initial weights that take as many."""
    if len(sensor.bands) != len(card.bands):
        return scenes, sensor
    seen = band_groups(scenes[0], sensor, card, bool(options.bands), notify)
    ordered = [as_weights_see(scene, sensor, seen) for scene in scenes]
    return [scene for scene, _ in ordered], ordered[0][1]


def job_for(
    name: str, out: Path, scenes: Sequence[Scene], sensor: sensors.Sensor, base: Path, options: AdaptOptions
) -> Job:
    card, ratio = read_card(base), scenes[0].placement.ratio
    suited = card.suits(ratio)
    provenance = {"scenes": [Path(scene.pan.path).name for scene in scenes], "align": options.align}
    job = Job(
        id=name,
        sensor=sensor,
        ratio=card.ratio if suited else round(ratio),
        base=str(base.resolve()),
        base_fits=suited,
        groups=groups_of(card, sensor),
        mode=mode_of(options.mode, card, suited),
        minutes=options.minutes,
        steps=options.steps,
        device=options.device,
        seed=options.seed,
        memory=options.memory,
        working=str(WeightsOutput(out).best),
        checkpoint=str(WeightsOutput(out).checkpoint),
        provenance=provenance,
    )
    return replace(job, key=key_of(job, scenes))


def mode_of(mode: str, card: Card, suited: bool) -> str:
    """Returns what is trained: all layers if they must adjust to another ratio."""
    if mode == "auto":
        mode = "full" if card.arch.blocks else "lbaf"
    return "full" if mode == "lbaf" and not suited else mode


def key_of(job: Job, scenes: Sequence[Scene]) -> str:
    """Returns the digest of everything that a run must share with the checkpoint it continues."""
    inputs = states_of(files_read(path for scene in scenes for path in scene.files))
    parts = (job, scenes, inputs, sha256_of(job.base))
    return hashlib.sha256(repr(parts).encode()).hexdigest()
