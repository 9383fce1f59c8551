"""Pansharpens the bundled sample with the bundled weights, as a user would, and leaves what came of it in a folder.

    python scripts/demo.py out

Leaves PAN and MS as GeoTIFFs, the fused GeoTIFF, a picture side by side and a report.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
from osgeo import gdal, osr

gdal.UseExceptions()

ROOT = Path(__file__).parents[1]
NAMES = ("blue", "green", "red", "nir")
CORNER, PIXEL, EPSG = (400_000.0, 4_510_000.0), 0.6, 26910
RATIO = 4


def main(folder: str = "out") -> None:
    out = Path(folder)
    out.mkdir(exist_ok=True)
    with np.load(ROOT / "resources" / "sample" / "eureka.npz") as file:
        pan, ms, truth = file["pan"][None], file["ms"].transpose(2, 0, 1), file["truth"].transpose(2, 0, 1)
        print(file["source"])
    write(out / "pan.tif", pan, PIXEL, ("pan",))
    write(out / "ms.tif", ms, PIXEL * RATIO, NAMES)
    write(out / "truth.tif", truth, PIXEL, NAMES)

    pair = [out / "pan.tif", out / "ms.tif"]
    run("pansharpen", *pair, out / "fused.tif", "--report", out / "report.html")
    run("pansharpen", *pair, out / "exp.tif", "--method", "exp", "--align", "none")
    run("pansharpen", *pair, out / "mtf-glp-fs.tif", "--method", "mtf-glp-fs", "--align", "none")
    run("assess", out / "fused.tif", "--reference", out / "truth.tif")

    shown = [read(out / f"{name}.tif") for name in ("exp", "mtf-glp-fs", "fused", "truth")]
    picture = np.concatenate([as_seen(image, shown[-1]) for image in shown], axis=2)
    write(out / "side_by_side.png", picture, PIXEL, (), "PNG")
    print(f"see {out}/fused.tif, {out}/report.html and {out}/side_by_side.png:")
    print("MS interpolated, MTF-GLP-FS, SSDiff and the truth, from left to right")


def run(*arguments) -> None:
    """An ssdiff command."""
    words = [str(argument) for argument in arguments]
    print("\nssdiff", *words, flush=True)
    subprocess.run([sys.executable, "-m", "ssdiff_core", *words], check=True)


def write(path: Path, image: np.ndarray, pixel: float, names: tuple[str, ...], driver: str = "GTiff") -> None:
    kind = gdal.GDT_Byte if image.dtype == np.uint8 else gdal.GDT_UInt16
    held = gdal.GetDriverByName("MEM").Create("", image.shape[2], image.shape[1], len(image), kind)
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(EPSG)
    if driver == "GTiff":
        held.SetGeoTransform((CORNER[0], pixel, 0.0, CORNER[1], 0.0, -pixel))
        held.SetProjection(crs.ExportToWkt())
    for index, band in enumerate(image, 1):
        held.GetRasterBand(index).WriteArray(band)
        held.GetRasterBand(index).SetDescription(names[index - 1] if names else "")
    gdal.GetDriverByName(driver).CreateCopy(str(path), held)
    Path(f"{path}.aux.xml").unlink(missing_ok=True)


def read(path: Path) -> np.ndarray:
    return gdal.Open(str(path)).ReadAsArray().astype(np.float32)


def as_seen(image: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Red, green, blue bytes under the stretch of the truth."""
    low, high = np.quantile(truth[:3], [0.01, 0.995])
    return (np.clip((image[2::-1] - low) / (high - low), 0, 1) ** 0.8 * 255).astype(np.uint8)


if __name__ == "__main__":
    main(*sys.argv[1:])
