"""Packs the open imagery that the bundled weights were trained on into one file for `ssdiff train`.

    python scripts/pack_imagery.py FOLDER OUT.npz [--half]

FOLDER contains the imagery as .npz files: NAIP and TreeSatAI as strips of tiles (`img`, rows x columns x bands,
`tile`), Landsat as `ms`, Sentinel-2 as `img`. --half packs the NAIP cities at half their resolution, which makes the
file smaller.
"""

import argparse
from pathlib import Path

import numpy as np

from ssdiff_core.inprocess.imagery import write_pack
from ssdiff_core.training.simulate import Picture
from ssdiff_core.training.simulated_source import Place

AERIAL = (650.0, 560.0, 470.0, 830.0)  # red, green, blue, near infrared
LANDSAT7 = (660.0, 560.0, 480.0, 835.0)
LANDSAT8 = (482.0, 561.0, 655.0, 865.0)
SENTINEL2 = (492.0, 560.0, 665.0, 833.0)
SENTINEL2_BANDS = (0, 1, 2, 6)  # B2, B3, B4 and B8
RESAMPLED = ("naip_va_2m", "naip_rural_1p8m", "naip_ailanthus_2m")  # as coarse as imagery of satellites
SIDE = 199  # of the pictures that a Landsat 7 scene is cut into, in pixels
DARK = 5000  # approximate count of Landsat 8 without light


def aerial(path: Path, half: bool) -> Place:
    with np.load(path) as file:
        image = file["img"]
        tall = int(file["tile"][0]) if "tile" in file else len(image)
    tiles = image[: len(image) // tall * tall].reshape(-1, tall, *image.shape[1:]).transpose(0, 3, 1, 2)
    if half and not path.stem.startswith(RESAMPLED):
        n, c, h, w = tiles.shape
        tiles = tiles.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5)).round().astype(np.uint8)
    return Place(path.stem, pictures(tiles, AERIAL, 255, path.stem in RESAMPLED))


def landsat7(path: Path) -> Place:
    with np.load(path) as file:
        ms = file["ms"][..., :4].transpose(2, 0, 1)
    corners = [(r, c) for r in (0, SIDE) for c in (0, SIDE)]
    return Place(path.stem, pictures([ms[:, r : r + SIDE, c : c + SIDE] for r, c in corners], LANDSAT7, 255, True))


def landsat8(path: Path) -> Place:
    with np.load(path) as file:
        ms = file["ms"][..., :4].transpose(2, 0, 1).astype(np.int32) - DARK
    ms = ms.clip(0, None).astype(np.uint16)
    return Place(path.stem, pictures([ms], LANDSAT8, float(np.quantile(ms, 0.999)), True))


def sentinel2(path: Path) -> Place:
    """Returns the bands of 10 m; the others are interpolated."""
    with np.load(path) as file:
        image = file["img"][..., SENTINEL2_BANDS].transpose(2, 0, 1)
    height, width = (n // 256 * 256 for n in image.shape[1:])
    tiles = [image[:, r : r + 256, c : c + 256] for r in range(0, height, 256) for c in range(0, width, 256)]
    return Place(path.stem, pictures(tiles, SENTINEL2, float(np.quantile(image, 0.999)), True))


def pictures(images, wavelengths, full: float, soft: bool) -> tuple[Picture, ...]:
    return tuple(Picture(np.ascontiguousarray(image), wavelengths, full, soft) for image in images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--half", action="store_true")
    args = parser.parse_args()
    found = [aerial(path, args.half) for path in sorted(args.folder.glob("naip_*.npz"))]
    found += [aerial(path, args.half) for path in sorted(args.folder.glob("treesatai_*.npz"))]
    found += [landsat7(path) for path in sorted(args.folder.glob("landsat7_*.npz"))]
    found += [landsat8(path) for path in sorted(args.folder.glob("landsat8_*.npz"))]
    found += [sentinel2(path) for path in sorted(args.folder.glob("sentinel2_*.npz"))]
    write_pack(args.out, found)
    print(f"{args.out}: {len(found)} places, {args.out.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
