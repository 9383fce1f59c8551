"""TensorBoard logs of a training: curves, and images of held-out scenes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ..assessment.png import stretched
from ..assessment.report_data import colours_of
from ..common.notices import Notify, notice
from .trainer import Trainer

PANELS = "held-out/{}-ms-base-answer-truth-error"
"tag of the images of a scene; the number of the first scene is 1"
ERROR_RANGE = 0.25
"error that is shown at maximum brightness, as a share of the range of the stretched truth"
GAP = 2
"width of the white gap between two panels, in pixels"


@contextlib.contextmanager
def callbacks(folder: Path, trainer: Trainer, notify: Notify) -> Iterator[dict[str, Callable]]:
    """Yields the callbacks for Trainer.run that write a log to the folder; none if TensorBoard is not installed.

    Entries of the folder beyond the trainer's current step belong to an interrupted run and are discarded.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        notify(notice("no_tensorboard"))
        yield {}
        return

    def on_step(steps: int, numbers: dict[str, float]) -> None:
        for name, value in numbers.items():
            writer.add_scalar(name.replace(" ", "-"), value, steps)

    def on_evaluation(steps: int, weights) -> None:
        colours = colours_of(trainer.recipe.bands, len(trainer.recipe.bands))
        for number, example in enumerate(trainer.source.examples(weights), 1):
            image = comparison(example, colours)
            writer.add_image(PANELS.format(number), image, steps, dataformats="HWC"[: image.ndim])

    _wait_for_new_second(folder)
    with SummaryWriter(str(folder), purge_step=trainer.state.taken + 1, flush_secs=10) as writer:
        yield {"on_step": on_step, "on_evaluation": on_evaluation}


def _wait_for_new_second(folder: Path) -> None:
    """Waits until no log in the folder was started in the current second, because their names order them by second."""
    while any(folder.glob(f"*.tfevents.{int(time.time()):010}.*")):
        time.sleep(0.05)


def comparison(example: dict[str, np.ndarray], colours: list[int]) -> np.ndarray:
    """Returns images (bands, h, w) side by side with the stretch of the truth, followed by the absolute error."""
    limits = [tuple(np.quantile(band, (0.01, 0.99))) for band in example["truth"][colours]]
    panels = [stretched(image[colours], limits) for image in example.values()]
    error = np.abs(example["answer"] - example["truth"])[colours]
    panels.append(stretched(error, [(0, ERROR_RANGE * (high - low)) for low, high in limits]))
    gap = np.full_like(panels[0][:, :GAP], 255)
    return np.concatenate([item for panel in panels for item in (panel, gap)][:-1], axis=1)
