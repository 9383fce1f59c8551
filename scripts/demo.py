"""Fuses the bundled sample with the bundled weights and leaves what came of it in a folder.

python scripts/demo.py out
"""

import html
import sys
import time
from pathlib import Path

import numpy as np
from osgeo import gdal

from ssdiff_core import classical, weights
from ssdiff_core.blocks import SceneStats, whole
from ssdiff_core.engine import Engine

ROOT = Path(__file__).parents[1]
RATIO = 4


def main(folder: str = "out") -> None:
    gdal.UseExceptions()
    out = Path(folder)
    out.mkdir(exist_ok=True)
    with np.load(ROOT / "resources" / "sample" / "eureka.npz") as file:
        pan, ms, truth = (file[name].astype(np.float32) for name in ("pan", "ms", "truth"))
        mtf, source = tuple(file["mtf"].tolist()), str(file["source"])
    ms, truth = ms.transpose(2, 0, 1), truth.transpose(2, 0, 1)
    used = weights.load(ROOT / "resources" / "weights" / "sample-4.safetensors")
    scene = classical.fitted(whole(pan, ms, SceneStats()), mtf, used.card.interpolation)

    engine = Engine(used)
    start = time.perf_counter()
    fused = engine.fuse(scene)
    seconds = time.perf_counter() - start

    images = {
        "MS interpolated": bases(scene, "lms", used.card.interpolation),
        "MTF-GLP-FS": bases(scene, "mtf-glp-fs", used.card.interpolation),
        "SSDiff": fused,
        "truth": truth,
    }
    write(out / "fused.tif", "GTiff", np.clip(fused.round(), 1, 65535).astype(np.uint16))
    write(out / "side_by_side.png", "PNG", np.concatenate([as_seen(i, truth) for i in images.values()], axis=2))
    rows = [(name, *scores(image, truth)) for name, image in images.items() if name != "truth"]
    said = f"{engine.steps} step, weights {used.card.id}, {engine.device}, {seconds:.1f} s"
    (out / "report.html").write_text(page(rows, list(images), said, source), encoding="utf-8")
    print(f"{said}\n{'':16}   SAM  ERGAS   (0 is best)")
    for name, sam, ergas in rows:
        print(f"{name:16} {sam:5.2f}  {ergas:5.2f}")
    print(f"see {out}/fused.tif, {out}/side_by_side.png, {out}/report.html")


def bases(scene, name: str, kernel: str) -> np.ndarray:
    import torch

    lms = classical.upsample(scene, torch.from_numpy(scene.ms), kernel)
    return classical.base(name, scene, torch.from_numpy(scene.pan), lms, kernel).numpy()


def scores(fused: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Mean spectral angle in degrees, and ERGAS."""
    dot = (fused * truth).sum(0)
    angle = np.arccos(np.clip(dot / np.linalg.norm(fused, axis=0) / np.linalg.norm(truth, axis=0), -1, 1))
    relative = ((fused - truth) ** 2).mean((1, 2)) / truth.mean((1, 2)) ** 2
    return float(np.degrees(angle).mean()), float(100 / RATIO * np.sqrt(relative.mean()))


def as_seen(image: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Red, green, blue bytes under the stretch of the truth."""
    low, high = np.quantile(truth[:3], [0.01, 0.995])
    return (np.clip((image[2::-1] - low) / (high - low), 0, 1) ** 0.8 * 255).astype(np.uint8)


def write(path: Path, driver: str, image: np.ndarray) -> None:
    kind = gdal.GDT_Byte if image.dtype == np.uint8 else gdal.GDT_UInt16
    held = gdal.GetDriverByName("MEM").Create("", image.shape[2], image.shape[1], len(image), kind)
    for i, band in enumerate(image):
        held.GetRasterBand(i + 1).WriteArray(band)
    gdal.GetDriverByName(driver).CreateCopy(str(path), held)
    Path(f"{path}.aux.xml").unlink(missing_ok=True)


def page(rows, names, said: str, source: str) -> str:
    cells = "".join(f"<tr><td>{name}<td>{sam:.2f}<td>{ergas:.2f}" for name, sam, ergas in rows)
    shown = html.escape(", ".join(names))
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>SSDiff on the sample</title>
<style>body {{ font: 16px system-ui; margin: 2em auto; max-width: 1100px; color-scheme: light dark }}
img {{ width: 100%; image-rendering: pixelated }} td, th {{ padding: .2em 1.2em .2em 0; text-align: left }}</style>
<h1>SSDiff on the sample</h1><p>{html.escape(said)}</p>
<img src="side_by_side.png" alt="{shown}"><p>{shown}, from left to right</p>
<table><tr><th>method<th>SAM (degrees)<th>ERGAS{cells}</table>
<p>Both measure the distance to the truth that the sample was made from; 0 is best.</p>
<p>{html.escape(source)}</p></html>
"""


if __name__ == "__main__":
    main(*sys.argv[1:])
