"""Studies to assess, and the results of their images."""

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
    """A scene, fused images of it and possibly a reference image."""

    scene: Scene
    "the scene; its window is measured"
    sensor: Sensor
    images: tuple
    "fused images: files first, then computed baselines"
    rounded: bool
    "whether Q2n is computed on values rounded to integers"
    convention: str = "geometric"
    reference: object = None
    "reference image; None: full-resolution assessment against PAN and MS"
    warnings: tuple[Notice | str, ...] = ()
    "notices about the inputs, such as a shift between PAN and MS"
    crs: tuple[str, str] = ("", "")
    "name of the scene's CRS, and the unit of its coordinates"
    open_reader: Callable = field(default=None, compare=False)
    "opens a reader of the scene's blocks; each thread needs its own"
    original_files: tuple[str, ...] = ()
    "original PAN and MS files, if the scene is a degraded version of them"

    @property
    def files(self) -> tuple:
        """The fused images that are files."""
        return tuple(image for image in self.images if image.path)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The PAN file and the MS files that the user gave."""
        return self.original_files or self.scene.files

    def close(self) -> None:
        """Closes all files, because Windows cannot delete an open file."""
        for image in (*self.images, *([self.reference] if self.reference else [])):
            image.close()


@dataclass(frozen=True)
class Result:
    """The measures of one image."""

    name: str
    path: str | None
    "path of the file; None: a computed baseline"
    values: dict[str, float]
    "measures of the whole scene, by name"
    parts: dict[str, np.ndarray]
    "measures of each block, by name"
    valid: float
    "share of valid pixels"
    extra: dict = field(default_factory=dict)
    "settings of the measures: convention, rounding, peak and shifts"
    method: str = ""
    "fusion method, equal for images of several scenes"
    scene: str = ""
    "name of the scene"

    @property
    def measures(self) -> list[measures.Measure]:
        return measures.of(self.values)


@dataclass(frozen=True)
class Sample:
    """The random sample of blocks that is measured."""

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
        return (
            f"{self.blocks} of {self.of} blocks, random sample with seed {self.seed} ({self.megapixels:.3g} megapixels)"
        )


def method_of(image) -> str:
    """Returns the fusion method in the metadata of an image, otherwise its name."""
    metadata = image.provenance if image.path else {}
    if "method" not in metadata:
        return image.name
    label = LABELS.get(metadata["method"], metadata["method"])
    return f"{label} ({metadata['weights']})" if "weights" in metadata else label


def distinct(names: Sequence[str]) -> list[str]:
    """Returns the names, with a number appended to repeated ones."""
    return [f"{name} ({names[:i].count(name) + 1})" if names[:i].count(name) else name for i, name in enumerate(names)]


def within(image: np.ndarray | None, inside: Window, window: Window, bands: int) -> np.ndarray:
    """Returns an image over `inside` extended to `window` with NaN. image: None if `inside` is empty."""
    if inside == window:
        return image
    extended = np.full((bands, *window.shape), np.nan, np.float32)
    if image is not None:
        extended[(slice(None), *inside.within(window))] = image
    return extended
