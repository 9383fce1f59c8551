"""What is assessed, and what comes of it: plain values, and images that answer any window of PAN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..common.notices import Notice
from . import measures
from .methods import LABELS
from .scene import Scene
from .sensors import Sensor
from .window import Window


@dataclass(frozen=True)
class Study:
    """What is assessed."""

    scene: Scene
    "its window is what is measured"
    sensor: Sensor
    images: tuple
    "files first, then those computed beside them"
    rounded: bool
    "whether Q2n is that of whole counts"
    convention: str = "geometric"
    reference: object = None
    "an image too; None: PAN and MS are all that is known"
    warnings: tuple[Notice, ...] = ()
    crs: tuple[str, str] = ("", "")
    "what the scene's CRS is called, and the unit of its coordinates"
    open_reader: Callable = field(default=None, compare=False)
    "answers what reads the scene's blocks; each thread wants its own"
    made_of: tuple[str, ...] = ()
    "PAN and the files of MS that a user named, where the scene is one made coarser of them"

    @property
    def files(self) -> tuple:
        return tuple(image for image in self.images if image.path)

    @property
    def inputs(self) -> tuple[str, ...]:
        """PAN and the files of MS, as a user knows them."""
        return self.made_of or self.scene.files

    def close(self) -> None:
        """Closes all files: Windows removes none that is open."""
        for image in (*self.images, *([self.reference] if self.reference else [])):
            image.close()


@dataclass(frozen=True)
class Result:
    """What was measured of one image."""

    name: str
    path: str | None
    "None: it was computed to stand beside"
    values: dict[str, float]
    parts: dict[str, np.ndarray]
    "the same of each block"
    valid: float
    "share of the pixels that were measured"
    extra: dict = field(default_factory=dict)
    method: str = ""
    "what made it; the same for images of several scenes"
    scene: str = ""
    "which one it shows, where there may be several"

    @property
    def measures(self) -> list[measures.Measure]:
        return measures.of(self.values)


@dataclass(frozen=True)
class Sample:
    """Which blocks are measured."""

    blocks: int
    of: int
    megapixels: float
    seed: int

    @property
    def whole(self) -> bool:
        return self.blocks == self.of

    def __str__(self) -> str:
        if self.whole:
            return f"all {self.megapixels:.3g} megapixels"
        return f"{self.blocks} of {self.of} blocks, drawn with seed {self.seed} ({self.megapixels:.3g} megapixels)"


def method_of(image) -> str:
    """What made an image, if it says so; else its name."""
    said = image.said if image.path else {}
    if "method" not in said:
        return image.name
    label = LABELS.get(said["method"], said["method"])
    return f"{label} ({said['weights']})" if "weights" in said else label


def distinct(names: Sequence[str]) -> list[str]:
    """Names, those that occur again with a number."""
    return [f"{name} ({names[:i].count(name) + 1})" if names[:i].count(name) else name for i, name in enumerate(names)]


def within(image: np.ndarray | None, here: Window, window: Window, bands: int) -> np.ndarray:
    """An image over `here` as one over the window around it, NaN where it does not reach."""
    if here == window:
        return image
    answer = np.full((bands, *window.shape), np.nan, np.float32)
    if image is not None:
        answer[(slice(None), *here.within(window))] = image
    return answer
