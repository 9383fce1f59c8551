"""The adapt command: PAN and MS files of one sensor in, weights out that are better for them, or word that none are.

Whatever ends it, the best so far lies in a working file beside OUT; only that becomes OUT.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..common import paths as places
from ..common.errors import Cancelled, ConfigError
from ..common.fingerprints import age, sha256_of
from ..common.locks import move
from ..common.notices import Notify
from ..domain import sensors
from ..domain.adaptation_job import MODES, Job
from ..domain.band_groups import groups
from ..domain.block_passes import MEMORY
from ..domain.scene import Scene
from ..raster.identify_sensor import identified, multispectral
from ..raster.reader import open_scene
from ..weights import catalogue
from ..weights.card import Card, read_card, suits
from ..weights.catalogue import Fetch
from .pansharpen import OTHER_FORMATS, aligned

RATIOS = (2, 4)
"that a network is there for"
NEARLY = 0.01
"share by which the ratios of scenes may differ"


@dataclass(frozen=True)
class AdaptOptions:
    """What a user may ask for. The defaults are what most want."""

    id: str = ""
    "of the weights; none: the name of their file"
    base: str = "auto"
    "weights to begin with: an id or a file; auto: those that suit best"
    mode: str = "lbaf"
    minutes: float = 0.0
    "0: as many as the device needs"
    steps: int = 0
    "of training, to take instead of the minutes"
    sensor: str = "auto"
    bands: tuple[int, ...] = ()
    align: str = "auto"
    "auto puts MS where it is seen to lie, as pansharpening with these weights does then; none does not look"
    device: str = "auto"
    seed: int = 1
    memory: int = MEMORY


@dataclass(frozen=True)
class AdaptResult:
    """What came of it."""

    id: str
    "of the best weights for these scenes: the new ones, or the base; empty: no weights, but a classical method"
    use: str
    "what pansharpening finds them by: their id, or their file where no id leads to it"
    path: Path | None
    "where the new ones lie; None: there are none"
    before: dict[str, float]
    "scores of the base on what was held out"
    after: dict[str, float]
    "and of the best weights"
    classical: dict[str, dict[str, float]]
    "and of the classical methods"


def adapt(
    pairs: Sequence[tuple],
    out: str | Path,
    wishes: AdaptOptions,
    notify: Notify,
    reporter,
    backend,
    fetch: Fetch | None = None,
) -> AdaptResult:
    """Adapts weights to PAN and MS files. out: a file, or an id, by which pansharpening finds them then.

    The rest is as in pansharpen.pansharpen. An interrupted run keeps the best so far, and the next one goes on.
    """
    fetch = fetch or catalogue.fetcher(progress=reporter(0), notify=notify)
    if wishes.mode not in MODES:
        raise ConfigError(f"there is no mode {wishes.mode!r}; these are: {', '.join(MODES)}")
    out, name = place_of(str(out), wishes.id)
    scenes, sensor = scenes_of(pairs, wishes, notify)
    base = base_for(scenes[0], sensor, wishes, fetch, notify)
    job = job_for(name, out, scenes, sensor, base, wishes)
    try:
        told = backend.adapt(scenes, job, notify, reporter(0))
    except (KeyboardInterrupt, Cancelled) as end:
        raise type(end)(farewell(job, out)) from None
    return finished(told, job, out, notify)


# --- where it goes ---------------------------------------------------------------------------------------------------


def place_of(out: str, name: str = "") -> tuple[Path, str]:
    """The file that is to be, and the id of the weights in it."""
    is_file = out.endswith(catalogue.SUFFIX)
    if Path(out).suffix.lower() in (".tif", ".tiff", *OTHER_FORMATS):
        raise ConfigError(f"{out} would be weights: name an id, or a file whose name ends with {catalogue.SUFFIX}")
    name = name or (Path(out).stem if is_file else out)
    if not catalogue.ID.fullmatch(name):
        raise ConfigError(f"{name!r} can be no id of weights: letters, digits and . _ + - are what an id may have")
    if any(entry.id == name for entry in catalogue.published()):
        raise ConfigError(f"published weights bear the id {name!r}: choose another one")
    path = Path(out) if is_file else places.weights() / f"{name}{catalogue.SUFFIX}"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path, name


def finished(told: dict, job: Job, out: Path, notify: Notify) -> AdaptResult:
    """The working file becomes OUT, if there is one."""
    working, before, beside = Path(job.working), told["before"], told["classical"]
    if job.checkpoint:
        Path(job.checkpoint).unlink(missing_ok=True)
    if working.exists():
        move(working, out)
        after = read_card(out).scores["held out"]["after"]
        notify(f"held out, {compared(before, after)}; {least(beside)}: {out}")
        return AdaptResult(job.id, catalogue.called(out), out, before, after, beside)
    kept = read_card(job.base).id if job.fuses else ""
    why = ", and at native resolution HQNR or D_rho would be worse" if told["lost"] else " at best"
    notify(
        f"adapting has not helped here (held out, {compared(before, told['best'])}{why}): nothing was written, "
        f"{f'weights {kept} are' if kept else 'the classical method mtf-glp-fs is'} as good as it gets"
    )
    return AdaptResult(kept, catalogue.called(Path(job.base)) if kept else "", None, before, before, beside)


def compared(before: dict[str, float], after: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f} before, {after.get(name, value):.3f} after" for name, value in before.items())


def least(classical: dict[str, dict[str, float]]) -> str:
    """The least of each score that any classical method has."""
    best = {name: min(classical, key=lambda method: classical[method][name]) for name in ("ERGAS", "SAM")}
    return ", ".join(f"{name} {classical[method][name]:.3f} with {method}" for name, method in best.items())


def farewell(job: Job, out: Path) -> str:
    """What to say to the person who interrupts; the best so far is theirs, and stays for the next run too."""
    working = Path(job.working)
    if not working.exists():
        return "interrupted before anything better was learnt"
    copy = out.with_name(f"{out.name}.part")
    shutil.copyfile(working, copy)
    move(copy, out)
    scores = read_card(out).scores["held out"]
    return (
        f"interrupted; the best so far is in {out} (held out, {compared(scores['before'], scores['after'])}), and the "
        "same command goes on"
    )


# --- what it is made of ----------------------------------------------------------------------------------------------


def scenes_of(pairs: Sequence[tuple], wishes: AdaptOptions, notify: Notify) -> tuple[list[Scene], sensors.Sensor]:
    """All scenes, which must be of one sensor."""
    opened = [opened_as(pan, ms, wishes, notify) for pan, ms in pairs]
    (first, sensor), *others = opened
    for scene, other in others:
        ratios = scene.placement.ratio, first.placement.ratio
        if (other.id, other.bands) != (sensor.id, sensor.bands) or abs(ratios[0] / ratios[1] - 1) > NEARLY:
            raise ConfigError(
                f"{scene.pan.path} is of another kind than {first.pan.path} ({other.label}, {len(other.bands)} bands, "
                f"ratio {ratios[0]:.3g}; {sensor.label}, {len(sensor.bands)} bands, ratio {ratios[1]:.3g}): adapt "
                "weights to each sensor by itself"
            )
    return [scene for scene, _ in opened], sensor


def opened_as(pan, ms, wishes: AdaptOptions, notify: Notify) -> tuple[Scene, sensors.Sensor]:
    """As pansharpening opens them."""
    scene = open_scene(pan, ms, wishes.bands or multispectral(ms, wishes.sensor, notify))
    for note in scene.notes:
        notify(note)
    scene, sensor = identified(scene, wishes.sensor, notify, ordered=not wishes.bands)
    return aligned(scene, wishes.align, notify), sensor


def base_for(scene: Scene, sensor: sensors.Sensor, wishes: AdaptOptions, fetch: Fetch, notify: Notify) -> Path:
    """The weights to begin with; those for another ratio if none are for this one."""
    bands, ratio = len(scene.ms), scene.placement.ratio
    if not any(suits(ratio, whole) for whole in RATIOS):
        raise ConfigError(f"PAN is {ratio:.3g} times finer than MS; weights can be learnt for 2 and 4")
    nearest = min((entry.ratio for entry in catalogue.known()), key=lambda whole: abs(whole - ratio))
    path = catalogue.find(wishes.base, sensor.id, bands, nearest, fetch, notify)
    card = read_card(path)
    if not card.suits(ratio):
        notify(
            f"weights {card.id} are for ratio {card.ratio}, and here it is {ratio:.3g}: what they have learnt is begun "
            "with, and mtf-glp-fs is to be bettered"
        )
    return path


def job_for(
    name: str, out: Path, scenes: Sequence[Scene], sensor: sensors.Sensor, base: Path, wishes: AdaptOptions
) -> Job:
    card, ratio = read_card(base), scenes[0].placement.ratio
    suited = card.suits(ratio)
    told = {"scenes": [Path(scene.pan.path).name for scene in scenes], "align": wishes.align}
    job = Job(
        id=name,
        sensor=sensor,
        ratio=card.ratio if suited else round(ratio),
        base=str(base.resolve()),
        fuses=suited,
        groups=groups_of(card, sensor),
        mode="full" if wishes.mode == "lbaf" and not suited else wishes.mode,  # another ratio is more than a branch
        minutes=wishes.minutes,
        steps=wishes.steps,
        device=wishes.device,
        seed=wishes.seed,
        memory=wishes.memory,
        working=str(out.resolve().with_name(f"{out.name}.best")),
        checkpoint=str(out.resolve().with_suffix(".ckpt")),
        told=told,
    )
    return replace(job, key=key_of(job, scenes))


def groups_of(card: Card, sensor: sensors.Sensor) -> tuple[tuple[int, ...], ...]:
    """In which the base, if it takes fewer bands, is judged."""
    bands, size = len(sensor.bands), len(card.bands)
    return () if bands == size else tuple(groups(bands, size, sensor.wavelengths))


def key_of(job: Job, scenes: Sequence[Scene]) -> str:
    """What must be the same for a checkpoint to be worth anything."""
    paths = sorted({path for scene in scenes for path in scene.files})
    parts = (job, scenes, [(path, age(path)) for path in paths], sha256_of(job.base))
    return hashlib.sha256(repr(parts).encode()).hexdigest()
