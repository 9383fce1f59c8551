"""Adaptation of weights to scenes: trains on degraded pairs of the scenes, and keeps the weights only if they improve.

The original MS is the truth for PAN and MS degraded by the ratio (see wald_pair), so this works for any bands and
ratio. The weights are judged on a held-out part of the scenes.
"""

from __future__ import annotations

import contextlib
import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from .. import __version__
from ..classical.engine import ClassicalEngine
from ..classical.parallel import one_thread
from ..classical.scene_statistics import Survey
from ..common.errors import GeometryError
from ..common.notices import Notify, notice
from ..domain.adaptation_job import Job, best_method
from ..domain.methods import CLASSICAL, UNFITTED
from ..domain.scene import Scene
from ..domain.sensors import Sensor
from ..fusion.grouped_engine import grouped
from ..model import band_transfer, devices
from ..model import checkpoint as weights
from ..model.normalisation import units
from ..model.ssnet import state_of
from ..training.recipe import NET_KEYS, Recipe, Stage
from ..training.spectral_loss import SpectralLoss
from ..training.trainer import Trainer
from ..weights.card import read_card
from .native_check import NativeCheck, blocks_of
from .scene_source import SceneSource, engine_of, scores
from .split import split_scenes
from .wald_pair import Piece

QUIET_SHARE = 0.75
"share of the training steps without noise, for weights that can do without"
MINIMUM_GAIN = 0.01
"minimum share of the initial held-out error that adapting must remove for the weights to be written"
CLEARLY_WORSE = 1.05
"ratio of the initial ERGAS to the lowest of a classical method from which the initial fusion is no target"
STAGE_BRANCHES = {"lbaf": ("spectral", "spatial", "spectral", "spatial"), "full": (None,), "scratch": (None,)}
"branch of the network that is trained in each stage of a mode; None: all layers"
LEARNING_RATES = {"lbaf": 7e-4, "full": 3e-4, "scratch": 8e-4}
RATE_ON_PATCHES = 1.2e-3
"learning rate of `full` for networks on patches"
DEFAULT_MINUTES = {"cpu": 20.0, "gpu": 3.0}
"default training time"
MINUTES_ON_PATCHES = {"cpu": 1.0, "gpu": 0.5}
"default training time of networks on patches, which learn a scene in seconds"
SPECTRAL_WEIGHT = 0.5
"weight of the spectral loss relative to the error of the residual"
TILE_ON_PATCHES = 32
"side of their training tiles, in pixels: degraded scenes are small"
BATCH_SIZES = {"cpu": 4, "gpu": 32}
BATCH_SIZES_ON_PATCHES = {"cpu": 8, "gpu": 64}
OVERTIME_FACTOR = 1.25
"training of networks at PAN's resolution stops after this multiple of the minutes, even if steps are left"
STEP_LIMITS = (16, 20000)
"minimum and maximum number of steps that are planned"
ROUND_STEPS = 20
"larger numbers of steps are multiples of this, so that similar measured speeds give the same weights"
TRIAL_STEPS = 6
"number of steps whose speed is measured: that of the fastest, because the first ones prepare what later ones use"
MINIMUM_TRAINING_SHARE = 0.5
"minimum share of the time that is left for training, however long the preparation takes"
EVALUATIONS = 16
"number of evaluations on the held-out pieces, over all stages; half as many for networks on patches"
PATIENCE = 4
"evaluations without improvement after which a stage ends"
MIXTURE_SHARES = (1.0, 0.75, 0.5, 0.25)
"shares of the adapted weights in the mixtures with the initial weights that are tried"
CHECKPOINT_INTERVAL = 30.0
"seconds between two checkpoints"


def adapt(
    scenes: Sequence[Scene], readers: Sequence, job: Job, notify: Notify, progress: Callable[[float], None]
) -> dict:
    """Adapts weights to scenes; writes job.working if they are better than the initial weights.

    Returns the scores `before`, of the `best` state during training, `after` (None if no weights were written) and of
    the `classical` methods, all held out; whether the weights were rejected because they `lost` at native resolution;
    and the number of `steps` of training.

    readers: one for each scene, to read its blocks.
    """
    device, base = devices.choose(job.device), weights.load(job.base)
    small = base.card.arch.blocks and device.type == "cpu"  # its layers are too small for several threads
    with one_thread() if small else contextlib.nullcontext():
        return _adapt(scenes, readers, job, base, device, notify, progress)


def _adapt(scenes, readers, job: Job, base: weights.Weights, device: torch.device, notify: Notify, progress) -> dict:
    started = clock(device)
    train, held_out = split_scenes(scenes, readers, job, notify)
    recipe = recipe_of(job, base)
    source = SceneSource(train, held_out, job.sensor, recipe, str(device))
    source.before = scores_before(source, job, base, device)
    if not all(map(math.isfinite, source.before.values())):
        raise GeometryError(notice("held_out_uniform", path=str(scenes[0].pan.path)))
    classical = classical_scores(source, job.sensor)
    start = None
    if job.mode != "scratch":
        start = band_transfer.fitted(base, recipe.bands, recipe.wavelengths_nm, recipe.ratio)
    native = None
    if job.base_fits:
        pieces = [*held_out, *train]
        native = NativeCheck.create(pieces, job.sensor, source.survey, *initial_fusion(job, base, device))
        if start:
            better = method_to_anchor(source.before, classical)
            images = native.images
            if better:
                images = native.target(classical_images(better, pieces, source.ratio, job.sensor))
            source.add_anchors(images, native.blocks)
    notify(notice("adapting_pieces", train=len(train), held_out=len(held_out), scores=formatted(source.before)))
    checkpoint = Path(job.checkpoint) if job.checkpoint else None
    resumed = checkpoint_entries(checkpoint, job.key) if checkpoint else {}
    steps = resumed.get("steps") or job.steps
    if not steps:
        seconds = training_seconds(job, recipe, device, clock(device) - started)
        steps = planned_steps(job, recipe, source, device, start, seconds)
    writer = BestWeightsWriter(job, base, classical)
    loss = spectral_loss(source, device)
    trainer = Trainer(with_stages(recipe, job, steps, device), source, str(device), notify, start, writer, loss)
    if not resumed:
        Path(job.working).unlink(missing_ok=True)
    else:
        trainer.load(checkpoint)
        notify(notice("adapting_resumed", share=trainer.done))
    limited = not (job.steps or base.card.arch.blocks)
    max_minutes = OVERTIME_FACTOR * minutes_of(job, recipe, device) if limited else math.inf
    trainer.run(checkpoint, max_minutes, CHECKPOINT_INTERVAL, progress, key=job.key, steps=steps)
    best = min(trainer.log, key=lambda row: row["error"], default={"error": 1.0})
    lost = keep_best_mixture(trainer, writer, start, native, notify) if native else None
    after = read_card(job.working).scores["held out"]["after"] if Path(job.working).exists() else None
    found = {"before": source.before, "best": lost or best, "after": after, "classical": classical, "lost": bool(lost)}
    return {**found, "steps": trainer.state.taken}


# --- training --------------------------------------------------------------------------------------------------------


def recipe_of(job: Job, base: weights.Weights) -> Recipe:
    """Returns a recipe for weights with the architecture of the base and the bands of the scenes."""
    sensor = job.sensor
    bands = {"sensors": (sensor.id,), "bands": sensor.bands, "wavelengths_nm": sensor.wavelengths, "seed": job.seed}
    architecture = asdict(base.card.arch)
    inputs = {name: architecture.pop(name) for name in ("guides", "views")}
    net = {name: value for name, value in architecture.items() if name in NET_KEYS}
    inputs["quiet"] = QUIET_SHARE if architecture["quiet"] else 0.0
    processing = {name: getattr(base.card, name) for name in ("base", "scale", "interpolation", "samples")}
    processing |= {"ratio": job.ratio, "ms_phase": band_transfer.phase(base.card, job.ratio)}
    return Recipe(job.id, **bands, **processing, **inputs, stages=(Stage(tile_of(base)),), net=net)


def tile_of(base: weights.Weights) -> int:
    """Returns the side of the training tiles: convolutional networks are not bound to that of their first training."""
    return TILE_ON_PATCHES if base.card.arch.blocks else base.card.tile


def with_stages(recipe: Recipe, job: Job, steps: int, device: torch.device) -> Recipe:
    """Returns the recipe with the stages of the mode, which share the steps equally."""
    branches, on_patches = STAGE_BRANCHES[job.mode], recipe.net.get("blocks")
    evaluations = EVALUATIONS // (2 if on_patches else 1) // len(branches)
    stage_steps = max(steps // len(branches), 1)
    stage = Stage(
        tile=recipe.stages[0].tile,
        steps=stage_steps,
        batch=(BATCH_SIZES_ON_PATCHES if on_patches else BATCH_SIZES)[kind_of(device)],
        rate=RATE_ON_PATCHES if on_patches and job.mode == "full" else LEARNING_RATES[job.mode],
        warmup=max(stage_steps // 20, 1),
    )
    stages = tuple(replace(stage, branch=branch) for branch in branches)
    validate = max(stage_steps // evaluations, 1)
    reuse = 2 if on_patches else 1  # making samples takes a quarter of the time
    return replace(recipe, stages=stages, noisiest=0.85, validate=validate, patience=PATIENCE, reuse=reuse)


def spectral_loss(source: SceneSource, device: torch.device) -> SpectralLoss | None:
    """Returns the spectral loss of the scenes, with the normalisation of the first one; a single band has no angle."""
    bands = len(source.recipe.bands)
    if bands == 1:
        return None
    return SpectralLoss(units(source.recipe.scale, source.stats, bands, device), SPECTRAL_WEIGHT)


def minutes_of(job: Job, recipe: Recipe, device: torch.device) -> float:
    """Returns the training time in minutes."""
    default = MINUTES_ON_PATCHES if recipe.net.get("blocks") else DEFAULT_MINUTES
    return job.minutes or default[kind_of(device)]


def kind_of(device: torch.device) -> str:
    return "cpu" if device.type == "cpu" else "gpu"


def clock(device: torch.device) -> float:
    """Returns the time in seconds: of the processor, which other programs do not change, or of a GPU's work."""
    return time.process_time() if device.type == "cpu" else time.monotonic()


def training_seconds(job: Job, recipe: Recipe, device: torch.device, prepared: float) -> float:
    """Returns the time that is left for training; the checks after it take about as long as the preparation."""
    seconds = 60 * minutes_of(job, recipe, device)
    return max(seconds - 2 * prepared, MINIMUM_TRAINING_SHARE * seconds)


def planned_steps(job: Job, recipe: Recipe, source: SceneSource, device: torch.device, start, seconds: float) -> int:
    """Returns how many steps fit into the time, from the speed of a few trial steps, which take part of it."""
    started = clock(device)
    trial = with_stages(recipe, replace(job, mode="full"), TRIAL_STEPS, device)
    loss = spectral_loss(source, device)
    trainer = Trainer(trial, source, str(device), lambda notice: None, start, spectral_loss=loss)
    seconds_per_step = trainer.seconds_per_step(TRIAL_STEPS, partial(clock, device))
    seconds -= clock(device) - started
    steps = int(seconds / max(seconds_per_step, 1e-6))
    steps = max(steps // ROUND_STEPS * ROUND_STEPS, min(steps, ROUND_STEPS))
    return min(max(steps, STEP_LIMITS[0]), STEP_LIMITS[1])


# --- scores ----------------------------------------------------------------------------------------------------------


def scores_before(source: SceneSource, job: Job, base: weights.Weights, device: torch.device) -> dict[str, float]:
    """Returns the held-out scores of the initial weights, or of the method that replaces them."""
    survey, fuse = initial_fusion(job, base, device)
    return scores(source.held_out_pairs(survey), fuse)


def initial_fusion(job: Job, base: weights.Weights, device: torch.device) -> tuple[Survey, Callable]:
    """Returns the survey and the fuse function of the base, or of MTF-GLP-FS if the base is for another ratio."""
    sensor = job.sensor
    if not job.base_fits:
        method = ClassicalEngine("mtf-glp-fs", job.ratio)
        return method.survey(sensor.mtf, sensor.pan_mtf), method.fuse
    card, groups = base.card, [tuple(group) for group in job.groups]
    survey = Survey(
        card.base, sensor.mtf, job.ratio, card.interpolation, sensor.pan_mtf, card.arch.views, tuple(groups)
    )
    engine = engine_of(base, str(device))
    return survey, grouped(engine, groups).fuse


def keep_best_mixture(
    trainer: Trainer, writer: BestWeightsWriter, start: weights.Weights | None, native: NativeCheck, notify: Notify
) -> dict[str, float] | None:
    """Writes the mixture of initial and adapted weights with the lowest held-out error that passes the native check.

    The adapted weights alone may improve one score and worsen the other, where a mixture improves both. If mixtures
    improve the held-out scores, but none passes the native check, returns the held-out scores of the best of them. The
    working file is removed if no mixture is written.
    """
    working, best, source = Path(writer.job.working), trainer.best, trainer.source
    mixtures = []
    for share in (MIXTURE_SHARES if start else MIXTURE_SHARES[:1]) if best else ():
        trainer.ema = mixture(start, best, share)
        mixtures.append((source.evaluate(trainer.current_weights()), share))
    better = [one for one in mixtures if one[0]["error"] <= 1 - MINIMUM_GAIN]
    better.sort(key=lambda one: one[0]["error"])
    for found, share in better:
        trainer.ema = mixture(start, best, share)
        engine = engine_of(trainer.current_weights(), source.device)
        after = native.scores(engine.fuse)
        change = ", ".join(f"{name} {value:.4f} -> {after[name]:.4f}" for name, value in native.before.items())
        notify(notice("mixture_scored", share=share, error=found["error"], scores=change))
        if native.accepts(after):
            writer(trainer, found, native={"before": native.before, "after": after}, share=share)
            return None
    working.unlink(missing_ok=True)
    return better[0][0] if better else None


def mixture(start: weights.Weights | None, adapted: dict[str, torch.Tensor], share: float) -> dict[str, torch.Tensor]:
    """Interpolates between the initial weights (share 0) and the adapted ones (share 1)."""
    if start is None:
        return adapted
    initial = state_of(start.net)
    return {name: initial[name].to(tensor).lerp(tensor, share) for name, tensor in adapted.items()}


def classical_scores(source: SceneSource, sensor: Sensor) -> dict[str, dict[str, float]]:
    """Returns the held-out scores of each classical method, for comparison."""
    found = {}
    for name in (name for name in CLASSICAL if name not in UNFITTED):
        method = ClassicalEngine(name, source.ratio)
        found[name] = scores(source.held_out_pairs(method.survey(sensor.mtf, sensor.pan_mtf)), method.fuse)
    return found


def method_to_anchor(before: dict[str, float], classical: dict[str, dict[str, float]]) -> str:
    """Returns the best classical method if the initial weights are clearly worse, else an empty text."""
    best = best_method(classical)
    return best if before["ERGAS"] > CLEARLY_WORSE * classical[best]["ERGAS"] else ""


def classical_images(name: str, pieces: Sequence[Piece], ratio: float, sensor: Sensor) -> list[np.ndarray]:
    """Returns the fusion by a classical method of the blocks at native resolution that are anchors."""
    method = ClassicalEngine(name, ratio)
    return [method.fuse(block) for block in blocks_of(pieces, method.survey(sensor.mtf, sensor.pan_mtf))]


@dataclass(frozen=True)
class BestWeightsWriter:
    """Writes the best weights so far to the working file, once they are better than the initial result.

    So an interrupted run does not lose them.
    """

    job: Job
    base: weights.Weights
    classical: dict[str, dict[str, float]]

    def __call__(self, trainer: Trainer, found: dict[str, float], share: float = 1.0, **more) -> None:
        """found: the held-out scores. more: further entries for `scores` in the card."""
        if found["error"] > 1 - MINIMUM_GAIN:
            return
        card = trainer.card(self._provenance(trainer, share), self.base.card.licence)
        before = trainer.source.before
        after = {name: found[name] for name in before}
        scores = {"held out": {"before": before, "after": after, "classical": self.classical}, **more}
        card = replace(card, scores=scores, steps=self.base.card.steps)
        weights.save(self.job.working, trainer.ema, card)

    def _provenance(self, trainer: Trainer, share: float) -> dict:
        """Returns the entry `training` of the card."""
        cuda = trainer.device.type == "cuda"
        return {
            **self.job.provenance,
            "mode": self.job.mode,
            "share": share,
            "base": self.base.card.id,
            "base_sha256": self.base.sha256,
            "seconds": round(trainer.state.seconds, 1),
            "steps": trainer.state.taken,
            "samples": trainer.state.samples,
            "hardware": torch.cuda.get_device_name() if cuda else f"{os.cpu_count()} cores, {platform.machine()}",
            "version": __version__,
        }


def checkpoint_entries(checkpoint: Path, key: str) -> dict:
    """Returns the further entries of a checkpoint with this key; an empty dictionary if there is none."""
    if not checkpoint.is_file():
        return {}
    try:
        more = torch.load(checkpoint, map_location="cpu", weights_only=True)["more"]
    except Exception:  # torch raises many undocumented kinds
        return {}
    return more if more.get("key") == key else {}


def formatted(scores: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
