"""Makes the bundled sample: simulates a satellite of ratio 4 from a tile of a city that no weights were trained on.

python scripts/make_sample.py naip_urban_eureka.npz resources/sample/eureka.npz
"""

import sys

import numpy as np

from ssdiff_core.training.simulate import degraded

TILE, SIDE, RATIO = 11, 256, 4
MTF = (0.34, 0.32, 0.30, 0.22)  # QuickBird's blue, green, red, near infrared
PAN_SHARE = (0.16, 0.28, 0.32, 0.24)


def main(source: str, target: str) -> None:
    rng = np.random.default_rng(0)
    tile = np.load(source)["img"].reshape(-1, SIDE, SIDE, 4)[TILE][..., (2, 1, 0, 3)]
    truth = 80 + 1500 * (tile / 255.0) ** 1.6  # counts of an 11-bit sensor with a little haze
    pan = truth @ PAN_SHARE + rng.normal(0, 2, (SIDE, SIDE))
    ms = np.stack([degraded(truth[..., band], gain, RATIO) for band, gain in enumerate(MTF)], axis=-1)
    ms += rng.normal(0, 1, ms.shape)
    np.savez_compressed(
        target,
        pan=pan.round().astype(np.uint16),
        ms=ms.round().astype(np.uint16),
        truth=truth.round().astype(np.uint16),
        bands=["blue", "green", "red", "nir"],
        mtf=MTF,
        source="NAIP, USDA, public domain, as in Urban tree detection data, Ventura et al. 2024 (CC BY 4.0)",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
