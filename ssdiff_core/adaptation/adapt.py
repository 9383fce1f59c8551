"""Weights adapted to scenes: learnt from what the scenes themselves show, judged by a part that is never learnt from.

MS as it is is the truth for PAN and MS made coarser by the ratio (pieces.py); so it is with any bands and ratio. What
comes of it is kept only if it is better on what is held out than what there was before.
"""

from __future__ import annotations

import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from .. import __version__
from ..common.errors import GeometryError
from ..common.notices import Notify
from ..domain.adaptation_job import Job
from ..domain.methods import CLASSICAL, UNFITTED
from ..domain.scene import Scene
from ..domain.sensors import Sensor
from ..fusion.classical import Classical
from ..fusion.engine import Engine
from ..fusion.grouped_engine import Grouped
from ..fusion.scene_statistics import Survey
from ..model import band_transfer, devices
from ..model import checkpoint as weights
from ..model.ssnet import state_of
from ..training.recipe import Recipe, Stage
from ..training.trainer import Trainer
from .native_check import Native
from .scene_source import OwnScene, scores
from .split import pieces_of

GAIN = 0.01
"share of the error on what is held out that must go for weights to be worth having"
TURNS = {"lbaf": ("spectral", "spatial", "spectral", "spatial"), "full": (None,), "scratch": (None,)}
"which branch learns in each stage; None: all"
RATES = {"lbaf": 7e-4, "full": 3e-4, "scratch": 8e-4}
MINUTES = {"cpu": 20.0}
"that are taken if nobody says otherwise; on a GPU"
GPU_MINUTES = 3.0
BATCH = {"cpu": 4}
"tiles of a step; on a GPU"
GPU_BATCH = 32
LATE = 1.25
"times the minutes after which it ends in any case"
STEPS = (16, 20000)
"the least and the most that are worth while"
LOOKS = 16
"at what is held out, all in all"
PATIENCE = 4
"looks of a stage without anything better after which it ends"
SHARES = (1.0, 0.75, 0.5, 0.25)
"of what was learnt that may be taken, the rest being what there was before"
OFTEN = 30.0
"seconds between two checkpoints"


def adapt(
    scenes: Sequence[Scene], readers: Sequence, job: Job, notify: Notify, progress: Callable[[float], None]
) -> dict:
    """Writes job.working if that is worth having, and answers what was seen on the way.

    readers: what reads the blocks of each scene.
    """
    device = devices.choose(job.device)
    base = weights.load(job.base)
    train, held = pieces_of(scenes, readers, job, notify)
    recipe = recipe_of(job, base)
    source = OwnScene(train, held, job.sensor, recipe, str(device))
    source.before = before(source, job, base, device)
    if not all(map(math.isfinite, source.before.values())):
        raise GeometryError(f"in what is held out of {scenes[0].pan.path} nothing varies: nothing can be learnt of it")
    beside = classics(source, job.sensor)
    start = (
        band_transfer.fitted(base, recipe.bands, recipe.wavelengths_nm, recipe.ratio) if job.mode != "scratch" else None
    )
    natively = None
    if job.fuses:
        natively = Native.of([*held, *train], job.sensor, source.survey, *bettered(job, base, device))
        if start and source.before["ERGAS"] < min(each["ERGAS"] for each in beside.values()):
            source.hold_on_to(natively.images, natively.blocks)
    told = ", ".join(f"{name} {value:.4f}" for name, value in source.before.items())
    notify(f"{len(train)} piece(s) to learn from, {len(held)} held out, where there was {told}")
    checkpoint = Path(job.checkpoint)
    begun = found_in(checkpoint, job.key)
    steps = begun.get("steps") or job.steps or planned(job, recipe, source, device, start)
    keeper = Keeper(job, base, beside)
    trainer = Trainer(staged(recipe, job, steps, device), source, str(device), notify, start, keeper)
    if not begun:
        Path(job.working).unlink(missing_ok=True)
    else:
        trainer.load(checkpoint)
        notify(f"going on from an interrupted run: {trainer.done:.0%} is done")
    most = math.inf if job.steps else LATE * minutes(job, device)
    trainer.run(checkpoint, most, OFTEN, progress, key=job.key, steps=steps)
    best = min(trainer.log, key=lambda row: row["error"], default={"error": 1.0})
    lost = natively is not None and settle(trainer, keeper, start, natively, notify)
    return {"before": source.before, "best": best, "classical": beside, "lost": lost}


# --- how it is learnt ------------------------------------------------------------------------------------------------


def recipe_of(job: Job, base: weights.Weights) -> Recipe:
    """For weights like the base, for the bands of the scenes."""
    sensor = job.sensor
    own = {"sensors": (sensor.id,), "bands": sensor.bands, "wavelengths_nm": sensor.wavelengths, "seed": job.seed}
    shape = asdict(base.card.arch)
    looks = {name: shape.pop(name) for name in ("guides", "views")}
    net = {name: value for name, value in shape.items() if name not in ("bands", "ratio", "tile")}
    how = {name: getattr(base.card, name) for name in ("base", "scale", "interpolation", "samples")}
    how |= {"ratio": job.ratio, "ms_phase": band_transfer.phase(base.card, job.ratio)}
    return Recipe(job.id, **own, **how, **looks, stages=(Stage(base.card.tile),), net=net)


def staged(recipe: Recipe, job: Job, steps: int, device: torch.device) -> Recipe:
    """The recipe with so many steps, shared out to the stages of the mode."""
    turns = TURNS[job.mode]
    each, looks = max(steps // len(turns), 1), LOOKS // len(turns)
    like = Stage(
        tile=recipe.stages[0].tile,
        steps=each,
        batch=BATCH.get(device.type, GPU_BATCH),
        rate=RATES[job.mode],
        warmup=max(each // 20, 1),
    )
    stages = tuple(replace(like, branch=branch) for branch in turns)
    return replace(recipe, stages=stages, noisiest=0.85, validate=max(each // looks, 1), patience=PATIENCE)


def minutes(job: Job, device: torch.device) -> float:
    return job.minutes or MINUTES.get(device.type, GPU_MINUTES)


def planned(job: Job, recipe: Recipe, source: OwnScene, device: torch.device, start) -> int:
    """How many steps the time allows, told by how long a few of them take."""
    trial = replace(staged(recipe, replace(job, mode="full"), 6, device), validate=10**9)
    times = []
    trainer = Trainer(trial, source, str(device), lambda sentence: None, start)
    trainer.run(heard=lambda share: times.append(time.monotonic()))
    pace = statistics.median(b - a for a, b in zip(times, times[1:]))
    return int(min(max(60 * minutes(job, device) / max(pace, 1e-6), STEPS[0]), STEPS[1]))


# --- how good it is --------------------------------------------------------------------------------------------------


def before(source: OwnScene, job: Job, base: weights.Weights, device: torch.device) -> dict[str, float]:
    """What is to be bettered, on what is held out."""
    survey, fuse = bettered(job, base, device)
    return scores(source.judged(survey), fuse)


def bettered(job: Job, base: weights.Weights, device: torch.device) -> tuple[Survey, Callable]:
    """The base, or a classical method where that cannot fuse the scenes: the pass that it wants, and how it fuses."""
    sensor = job.sensor
    if not job.fuses:
        method = Classical("mtf-glp-fs", job.ratio)
        return method.survey(sensor.mtf, sensor.pan_mtf), method.fuse
    card, groups = base.card, [tuple(group) for group in job.groups]
    survey = Survey(
        card.base, sensor.mtf, job.ratio, card.interpolation, sensor.pan_mtf, card.arch.views, tuple(groups)
    )
    engine = Engine(base, str(device), notify=lambda sentence: None)
    return survey, (Grouped(engine, groups) if groups else engine).fuse


def settle(trainer: Trainer, keeper: Keeper, start: weights.Weights | None, natively: Native, notify: Notify) -> bool:
    """Of what was learnt so much is kept as is best on what is held out and loses nothing at native resolution.

    True: nothing is kept, as all of it would lose something there.
    """
    working, best, source = Path(keeper.job.working), trainer.best, trainer.source
    if not working.exists():
        return False
    tried = []
    for share in SHARES if start else SHARES[:1]:
        trainer.ema = mixed(start, best, share)
        tried.append((source.look(trainer.learnt()), share))
    for found, share in sorted(tried, key=lambda one: one[0]["error"]):
        if found["error"] > 1 - GAIN:
            break
        trainer.ema = mixed(start, best, share)
        after = natively.after(Engine(trainer.learnt(), source.device, notify=lambda sentence: None).fuse)
        told = ", ".join(
            f"{name} {value:.4f} before, {after[name]:.4f} after" for name, value in natively.before.items()
        )
        notify(f"{share:.0%} of what was learnt: held-out error {found['error']:.4f}; at native resolution {told}")
        if natively.is_kept(after):
            keeper(trainer, found, native={"before": natively.before, "after": after}, share=share)
            return False
    working.unlink()
    return True


def mixed(start: weights.Weights | None, learnt: dict[str, torch.Tensor], share: float) -> dict[str, torch.Tensor]:
    """So much of what was learnt, and the rest of what there was before."""
    if start is None:
        return learnt
    old = state_of(start.net)
    return {name: old[name].to(tensor).lerp(tensor, share) for name, tensor in learnt.items()}


def classics(source: OwnScene, sensor: Sensor) -> dict[str, dict[str, float]]:
    """What each classical method makes of what is held out, to stand beside it."""
    found = {}
    for name in (name for name in CLASSICAL if name not in UNFITTED):
        method = Classical(name, source.ratio)
        found[name] = scores(source.judged(method.survey(sensor.mtf, sensor.pan_mtf)), method.fuse)
    return found


@dataclass(frozen=True)
class Keeper:
    """Writes the best so far, once it is worth having: so whatever happens next, it is there."""

    job: Job
    base: weights.Weights
    classical: dict[str, dict[str, float]]

    def __call__(self, trainer: Trainer, found: dict[str, float], share: float = 1.0, **more) -> None:
        """more: scores besides those on what is held out."""
        if found["error"] > 1 - GAIN:
            return
        card = trainer.card(self._told(trainer, share), self.base.card.licence)
        before = trainer.source.before
        after = {name: found[name] for name in before}
        scores = {"held out": {"before": before, "after": after, "classical": self.classical}, **more}
        card = replace(card, scores=scores, steps=self.base.card.steps)
        weights.save(self.job.working, trainer.ema, card)

    def _told(self, trainer: Trainer, share: float) -> dict:
        cuda = trainer.device.type == "cuda"
        return {
            **self.job.told,
            "mode": self.job.mode,
            "share": share,
            "base": self.base.card.id,
            "base_sha256": self.base.sha256,
            "seconds": round(trainer.state.seconds),
            "steps": trainer.state.taken,
            "samples": trainer.state.samples,
            "hardware": torch.cuda.get_device_name() if cuda else f"{os.cpu_count()} cores, {platform.machine()}",
            "version": __version__,
        }


def found_in(checkpoint: Path, key: str) -> dict:
    """What a checkpoint of this very work says besides; nothing if there is none."""
    if not checkpoint.is_file():
        return {}
    try:
        more = torch.load(checkpoint, map_location="cpu", weights_only=True)["more"]
    except Exception:  # torch raises many kinds, none documented
        return {}
    return more if more.get("key") == key else {}
