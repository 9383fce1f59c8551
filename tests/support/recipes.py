"""A training recipe of four steps, and places to train it on."""

import numpy as np

from ssdiff_core.training.simulate import Picture
from ssdiff_core.training.simulated_source import Place

RECIPE = """
id = "tiny"
sensors = ["qb"]
bands = ["blue", "green", "red", "nir"]
held_out = ["elsewhere"]
pool = 2
validate = 4
net = { keys = 4, widths = [32, 32, 32] }
[[stages]]
tile = 16
steps = 4
batch = 2
warmup = 1
"""


def place(name: str, seed: int, n=2) -> Place:
    images = np.random.default_rng(seed).integers(20, 220, (n, 4, 64, 64)).astype(np.uint8)
    return Place(name, tuple(Picture(image, (650.0, 560.0, 470.0, 830.0)) for image in images))
