"""What a process that computes elsewhere asks of this one while it is at work: blocks of scenes, windows of images.

So files are opened here alone, and the other process needs nothing that can open one (see served.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from ...domain.scene import Scene
from ...domain.window import Window
from ...raster.reader import Reader
from ..shared_memory import Memory, write_arrays, write_block


class Serving:
    """Answers such requests, each into the memory that both see."""

    def __init__(self, scenes: Sequence[Scene], images: Sequence = ()):
        """images: what answers windows of PAN (images.Raster), in the order by which they are asked for."""
        self._readers, self._images = [Reader(scene) for scene in scenes], images

    def __call__(self, memory: Memory, what: dict) -> dict:
        window = Window(*what["window"])
        if "image" in what:
            return write_arrays(memory, {"image": self._images[what["image"]].over(window)})
        return write_block(memory, self._readers[what["scene"]].read(window, what["reach"], what["ms_halo"]))
