"""Takes the pictures of the documentation: the bundled sample in QGIS's own window, on a screen that nobody sees.

    python scripts/screenshots.py docs/pictures

What QGIS is made to show stands in posed.py. Needs Xvfb and ImageMagick; the page of the report also a browser, without
which its picture stays as it was.
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

SCREEN = "1280x800"
PAGE = "1000,1610"


def main(folder: str = "docs/pictures") -> None:
    lacking = desktop.missing() or ("" if shutil.which("convert") else "ImageMagick not found")
    if lacking:
        sys.exit(lacking)
    out = Path(folder).resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        taken = take(Path(place))
        for picture in sorted(taken.glob("*.png")):
            print(f"{folder}/{picture.name}: {shrink(picture, out / picture.name) / 1000:.0f} kB")


def take(place: Path) -> Path:
    """The folder of what was taken, as it is on the screen."""
    scene, taken, temporary = folders = [place / name for name in ("scene", "taken", "temporary")]
    for made in folders:
        made.mkdir()
    demo.unpack(scene)
    with desktop.screen(SCREEN) as display:
        posed = Path(__file__).with_name("posed.py")
        told = desktop.run_inside(posed, place / "qgis", display, SCENE=scene, PICTURES=taken, TMPDIR=temporary)
    if "failed" in told:
        sys.exit(told["failed"])
    if any(map(shutil.which, browser.NAMES)):
        browser.screenshot(scene / "report.html", taken / "report.png", size=PAGE)
    return taken


def shrink(picture: Path, out: Path) -> int:
    """Writes it with few colours; how many bytes that takes."""
    how = ["-strip", "+dither", "-colors", "256", "-define", "png:compression-level=9"]
    subprocess.run(["convert", str(picture), *how, f"PNG8:{out}"], check=True)
    return out.stat().st_size


if __name__ == "__main__":
    main(*sys.argv[1:])
