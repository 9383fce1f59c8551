"""The train command: a recipe and imagery in; a weights file, a log and a checkpoint out."""

from __future__ import annotations

import csv
import math
import os
import platform
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch

from .. import __version__
from ..common.errors import ConfigError, one_line
from ..model import band_transfer, devices
from ..model import checkpoint as weights
from ..training import tensorboard
from ..training.recipe import Recipe, read_recipe
from ..training.simulated_source import MadeUp
from ..training.trainer import Trainer
from . import imagery, sample_processes


def train(
    recipe: str | Path,
    paths: Sequence[str | Path],
    out: str | Path,
    notify: Callable[[str], None],
    device: str = "auto",
    minutes: float = math.inf,
    licence: str = "",
    start: str | Path | None = None,
    processes: int | None = None,
) -> bool:
    """Trains until the recipe ends (True), or the minutes do. Called again, it goes on.

    start: weights to begin with, for any bands and ratio. processes: that make samples; by default as the device wants.

    What was learnt so far is in out; beside it lie logs (.csv and, for TensorBoard, .events) and, until the end, a
    checkpoint (.ckpt).
    """
    recipe, out = Path(recipe), Path(out)
    checkpoint = out.with_suffix(".ckpt")
    text = _read(recipe)
    read = read_recipe(text)
    learnt = _begun(start, read) if start else None
    chosen = devices.choose(device)
    count = sample_processes.usual(chosen.type) if processes is None else processes
    elsewhere = partial(sample_processes.pools, count, list(map(str, paths)), text) if count else None
    source = MadeUp(imagery.load(paths), read, elsewhere)
    trainer = Trainer(read, source, chosen, notify, learnt)
    if checkpoint.exists():
        _go_on(trainer, checkpoint)
        notify(f"going on from {checkpoint}: stage {trainer.state.stage}, step {trainer.state.step}")
    with tensorboard.written(out.with_suffix(".events"), trainer, notify) as ears:
        ended = trainer.run(checkpoint, minutes, **ears)
    half = {name: tensor.half() for name, tensor in trainer.ema.items()}
    weights.save(out, half, trainer.card(_told(trainer, text), licence))
    _write_log(out.with_suffix(".csv"), trainer.log)
    if ended:
        checkpoint.unlink()
    return ended


def _begun(start: str | Path, recipe: Recipe) -> weights.Weights:
    """Weights to begin with, for the bands and the ratio of the recipe."""
    learnt = weights.load(start)
    if (len(learnt.card.bands), learnt.card.ratio) == (len(recipe.bands), recipe.ratio):
        return learnt
    return band_transfer.fitted(learnt, recipe.bands, recipe.wavelengths_nm, recipe.ratio)


def _go_on(trainer: Trainer, checkpoint: Path) -> None:
    try:
        trainer.load(checkpoint)
    except Exception as error:  # torch raises many kinds, none documented
        raise ConfigError(
            f"{checkpoint} is damaged or of another recipe ({one_line(error)}): "
            "remove it to begin anew, or name another file to write"
        ) from None


def _read(recipe: Path) -> str:
    try:
        return recipe.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the recipe {recipe} cannot be read: {error.strerror or error}") from None


def _told(trainer: Trainer, recipe: str) -> dict:
    """What the weights' card says of how they were made."""
    state = trainer.state
    cuda = trainer.device.type == "cuda"
    return {
        "places": [place.name for place in trainer.source.train],
        "samples": state.samples,
        "steps": state.taken,
        "seconds": round(state.seconds),
        "hardware": torch.cuda.get_device_name(trainer.device)
        if cuda
        else f"{os.cpu_count()} cores, {platform.machine()}",
        "held_out_error": trainer.log[-1]["error"] if trainer.log else None,
        "version": __version__,
        "recipe": recipe,
    }


def _write_log(path: Path, rows: list[dict]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["stage", "step", "samples", "error"])
        writer.writeheader()
        writer.writerows(rows)
