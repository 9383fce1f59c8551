"""How a file holds pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PixelType:
    """How the pixels of a file are stored. Engines convert fused values to it (see classical.quantise)."""

    name: str = "float32"
    "name of the data type, as numpy names it"
    nodata: float | None = None
    "value of pixels without data; None: no pixel can be masked"
    minimum: float | None = None
    "least value of a valid pixel; None: that of the data type"

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self.name)
