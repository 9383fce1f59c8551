"""What TensorBoard shows of a training: numbers as they come, and what becomes of scenes that are held out."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ..assessment.png import stretched
from ..assessment.report_data import colours_of
from .trainer import Trainer

PANELS = "held-out/{}-ms-base-answer-truth-error"
"what the pictures are called; the first scene is number 1"
WRONG = 0.25
"how wide an error is, as a share of the stretch of the pictures beside it, that is shown as bright as can be"
GAP = 2
"white pixels between two panels"


@contextlib.contextmanager
def written(folder: Path, trainer: Trainer, notify: Callable[[str], None]) -> Iterator[dict[str, Callable]]:
    """What a run of the trainer shall be given to be written to a folder; nothing where there is no TensorBoard.

    Whatever the folder says of steps that are still to be taken is of a run that was stopped later, and does not count.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        notify("there will be no curves and pictures of this training; pip install tensorboard would give them")
        yield {}
        return

    def told(steps: int, numbers: dict[str, float]) -> None:
        for name, value in numbers.items():
            writer.add_scalar(name.replace(" ", "-"), value, steps)

    def looked(steps: int, learnt) -> None:
        colours = colours_of(trainer.recipe.bands, len(trainer.recipe.bands))
        for number, example in enumerate(trainer.source.examples(learnt), 1):
            image = strip(example, colours)
            writer.add_image(PANELS.format(number), image, steps, dataformats="HWC"[: image.ndim])

    _another_second(folder)
    with SummaryWriter(str(folder), purge_step=trainer.state.taken + 1, flush_secs=10) as writer:
        yield {"told": told, "looked": looked}


def _another_second(folder: Path) -> None:
    """Waits until no file there was begun in this second: which of two was the later, their names would not say."""
    while any(folder.glob(f"*.tfevents.{int(time.time()):010}.*")):
        time.sleep(0.05)


def strip(example: dict[str, np.ndarray], colours: list[int]) -> np.ndarray:
    """Images (bands, h, w) side by side, all stretched as the truth is; at last how far the answer lies off it."""
    limits = [tuple(np.quantile(band, (0.01, 0.99))) for band in example["truth"][colours]]
    shown = [stretched(image[colours], limits) for image in example.values()]
    wrong = np.abs(example["answer"] - example["truth"])[colours]
    shown.append(stretched(wrong, [(0, WRONG * (high - low)) for low, high in limits]))
    gap = np.full_like(shown[0][:, :GAP], 255)
    return np.concatenate([panel for image in shown for panel in (image, gap)][:-1], axis=1)
