"""Training recipes of four steps, and places to train on."""

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


def set_recipe(tile: int, batch: int, sampling_steps: int = 1) -> str:
    """Returns a recipe of four steps on a set of images, in the published form."""
    return f"""
id = "tiny"
sensors = ["qb"]
bands = ["blue", "green", "red", "nir"]
base = "lms"
scale = 2047
residual_sigma = 1.0
interpolation = "23tap"
ms_phase = 2.0
guides = 1
sampling_steps = {sampling_steps}
validate = 0
net = {{ keys = 4, widths = [32, 32, 32] }}
[[stages]]
tile = {tile}
steps = 4
batch = {batch}
"""


def place(name: str, seed: int, n=2) -> Place:
    images = np.random.default_rng(seed).integers(20, 220, (n, 4, 64, 64)).astype(np.uint8)
    return Place(name, tuple(Picture(image, (650.0, 560.0, 470.0, 830.0)) for image in images))
