"""The command `ssdiff train`: trains weights from a recipe and imagery, or a set of images with known truth.

It writes the weights, logs and a checkpoint.
"""

from __future__ import annotations

import csv
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from .. import __version__
from ..common.errors import ConfigError, one_line
from ..common.notices import Notify, notice
from ..domain.image_set import is_image_set
from ..model import band_transfer, devices
from ..model import checkpoint as weights
from ..raster.image_sets import StoredImages
from ..training import tensorboard
from ..training.recipe import Recipe, read_recipe
from ..training.simulated_source import SimulatedSource
from ..training.stored_source import StoredSource
from ..training.trainer import Trainer
from ..weights.output_files import LOG_COLUMNS, WeightsOutput
from . import imagery, sample_processes


@dataclass(frozen=True)
class TrainOptions:
    """Options of a training run. Of these, `start` and `teacher` change what is learned."""

    device: str = "auto"
    minutes: float = math.inf
    "maximum training time"
    licence: str = ""
    "licence of the weights, for their card"
    start: str | Path | None = None
    "weights to start from, for any bands and ratio; None: a new network"
    teacher: str | Path | None = None
    "weights whose answers are part of the target, if the recipe has a share `distilled`"
    processes: int | None = None
    "number of processes that simulate samples; None: the default of the device"
    validate: str | Path | None = None
    "set of images that is held out, if a set is trained on"


def train(
    recipe: str | Path,
    paths: Sequence[str | Path],
    out: str | Path,
    notify: Notify,
    options: TrainOptions = TrainOptions(),
) -> bool:
    """Trains until the recipe is finished (returns True) or the minutes are over (returns False).

    The same call resumes an unfinished training. The weights file `out` contains the current state. Next to it are logs
    (.csv and, for TensorBoard, .events) and, until the training is finished, a checkpoint (.ckpt).

    recipe: a TOML file. paths: imagery (see imagery.load), or a set of images (see raster.image_sets).
    """
    output = WeightsOutput(Path(out))
    with output.claimed([recipe, *paths, *filter(None, [options.start, options.teacher, options.validate])], logs=True):
        return _train(Path(recipe), paths, output, notify, options)


def _train(recipe_path: Path, paths: Sequence, output: WeightsOutput, notify: Notify, options: TrainOptions) -> bool:
    text, checkpoint = _read(recipe_path), output.checkpoint
    recipe = read_recipe(text)
    start = _initial_weights(options.start, recipe) if options.start else None
    device = devices.choose(options.device)
    source = _source(recipe, text, paths, device.type, options)
    teacher = weights.load(options.teacher) if options.teacher else None
    trainer = Trainer(recipe, source, device, notify, start, teacher=teacher)
    if checkpoint.exists():
        _resume(trainer, checkpoint)
        notify(notice("training_resumed", path=str(checkpoint), stage=trainer.state.stage, step=trainer.state.step))
    with tensorboard.callbacks(output.events, trainer, notify) as callbacks:
        finished = trainer.run(checkpoint, options.minutes, **callbacks)
    half = {name: tensor.half() for name, tensor in trainer.ema.items()}
    weights.save(output.path, half, trainer.card(_provenance(trainer, text, teacher), options.licence))
    _write_log(output.log, trainer.log)
    if finished:
        checkpoint.unlink()
    return finished


def _source(
    recipe: Recipe, text: str, paths: Sequence, device: str, options: TrainOptions
) -> StoredSource | SimulatedSource:
    """Returns the source of samples. text: the recipe as TOML. device: type of the device."""
    if any(map(is_image_set, paths)):
        if len(paths) > 1:
            raise ConfigError("one set of images is trained on at a time; --validate names the held-out one")
        if options.processes is not None:
            raise ConfigError("--processes is for imagery, which is simulated; a set of images is only read")
        held_out = StoredImages(options.validate) if options.validate else None
        return StoredSource(StoredImages(paths[0]), held_out, recipe)
    if options.validate:
        raise ConfigError("--validate is for training on a set of images (.h5); imagery is held out by the recipe")
    if not recipe.validate:
        raise ConfigError("validate = 0 in the recipe, once an epoch, is for training on a set of images (.h5)")
    count = sample_processes.default_count(device) if options.processes is None else options.processes
    pool_maker = partial(sample_processes.pools, count, list(map(str, paths)), text) if count else None
    return SimulatedSource(imagery.load(paths), recipe, pool_maker)


def _initial_weights(path: str | Path, recipe: Recipe) -> weights.Weights:
    """Loads weights to start from, converted to the bands and the ratio of the recipe."""
    start = weights.load(path)
    if (len(start.card.bands), start.card.ratio) == (len(recipe.bands), recipe.ratio):
        return start
    return band_transfer.fitted(start, recipe.bands, recipe.wavelengths_nm, recipe.ratio)


def _resume(trainer: Trainer, checkpoint: Path) -> None:
    try:
        trainer.load(checkpoint)
    except Exception as error:  # torch raises many undocumented kinds
        raise ConfigError(
            f"{checkpoint} is damaged or belongs to another recipe ({one_line(error)}): "
            "delete it to start again, or write to another file"
        ) from None


def _read(recipe: Path) -> str:
    try:
        return recipe.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the recipe {recipe} cannot be read: {error.strerror or error}") from None


def _provenance(trainer: Trainer, recipe: str, teacher: weights.Weights | None) -> dict:
    """Returns the entry `training` of the card."""
    state = trainer.state
    cuda = trainer.device.type == "cuda"
    return {
        "places": trainer.source.names(),
        "samples": state.samples,
        "steps": state.taken,
        "seconds": round(state.seconds),
        "hardware": torch.cuda.get_device_name(trainer.device)
        if cuda
        else f"{os.cpu_count()} cores, {platform.machine()}",
        "held_out_error": trainer.log[-1]["error"] if trainer.log else None,
        "version": __version__,
        "recipe": recipe,
        **({"teacher": teacher.card.id, "teacher_sha256": teacher.sha256} if teacher else {}),
    }


def _write_log(path: Path, rows: list[dict]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys([*LOG_COLUMNS, *(name for row in rows for name in row)])))
        writer.writeheader()
        writer.writerows(rows)
