"""Takes the pictures of the documentation: the bundled sample in QGIS's main window, on a virtual screen.

    python scripts/screenshots.py docs/pictures

posed.py sets up what QGIS shows. Requires Xvfb and ImageMagick. The picture of the report also requires a browser; it
is not taken without one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import demo

ROOT = demo.ROOT
sys.path.insert(0, str(ROOT / "tests" / "support"))

import browser  # noqa: E402
import desktop  # noqa: E402
from adapting import base_weights  # noqa: E402

from ssdiff_core.raster import sample  # noqa: E402

SCREEN = "1280x800"
"size of the virtual screen"
PAGE = "1000,1610"
"size of the picture of the report"


def main(folder: str = "docs/pictures") -> None:
    missing = desktop.missing() or ("" if shutil.which("convert") else "ImageMagick not found")
    if missing:
        sys.exit(missing)
    out = Path(folder).resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        pictures = take(Path(temporary))
        for picture in sorted(pictures.glob("*.png")):
            print(f"{folder}/{picture.name}: {shrink(picture, out / picture.name) / 1000:.0f} kB")


def take(folder: Path) -> Path:
    """Takes all pictures and returns their folder."""
    scene, pictures, temporary = folders = [folder / name for name in ("scene", "pictures", "temporary")]
    for created in folders:
        created.mkdir()
    sample.unpack(scene)
    base_weights(scene)
    with desktop.screen(SCREEN) as display:
        posed = Path(__file__).with_name("posed.py")
        result = desktop.run_inside(posed, folder / "qgis", display, SCENE=scene, PICTURES=pictures, TMPDIR=temporary)
    if "failed" in result:
        sys.exit(result["failed"])
    if any(map(shutil.which, browser.NAMES)):
        browser.screenshot(scene / "report.html", pictures / "report.png", size=PAGE)
    return pictures


def shrink(picture: Path, out: Path) -> int:
    """Writes a picture with 256 colours and returns the size of the file in bytes."""
    options = ["-strip", "+dither", "-colors", "256", "-define", "png:compression-level=9"]
    subprocess.run(["convert", str(picture), *options, f"PNG8:{out}"], check=True)
    return out.stat().st_size


if __name__ == "__main__":
    main(*sys.argv[1:])
