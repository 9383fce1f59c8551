"""Makes dist/ssdiff.zip, the zip that QGIS installs; with --release all files that a release publishes, and SHA256SUMS.

    python scripts/package.py [--release] [FOLDER]

What goes in is chosen among the files that git knows, so nothing else that lies about gets in. The same files make the
same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAME = "ssdiff"
PARTS = ("__init__.py", "metadata.txt", "LICENSE", "resources/", "ssdiff_core/", "ssdiff_qgis/")
LEFT_OUT = ("resources/sample/",)
"what only the demo and the tests use"
LARGEST = 25_000_000
"bytes that plugins.qgis.org takes"
MADE = (1980, 1, 1, 0, 0, 0)
"the time of every file in the zip"


def known() -> list[str]:
    """The files that git knows, in a fixed order."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        sys.exit("the package is made in a clone of the repository: git must be installed and know its files")
    return sorted(path for path in listed.decode().split("\0") if path and (ROOT / path).is_file())


def packed(paths: list[str]) -> list[str]:
    return [path for path in paths if path.startswith(PARTS) and not path.startswith(LEFT_OUT)]


def changes(changelog: str) -> str:
    """What is new in the latest version."""
    return re.split(r"^## .*\n", changelog, flags=re.MULTILINE)[1].strip()


def metadata() -> str:
    """metadata.txt with what is new, told once in CHANGELOG.md, in the form that QGIS reads."""
    told = changes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8")).replace("%", "%%").replace("\n", "\n  ")
    return f"{(ROOT / 'metadata.txt').read_text(encoding='utf-8')}changelog={told}\n"


def content(path: str) -> bytes:
    return metadata().encode() if path == "metadata.txt" else (ROOT / path).read_bytes()


def entry(path: str) -> zipfile.ZipInfo:
    """The same on every system: no time, no owner, readable by all and executable by none."""
    made = zipfile.ZipInfo(f"{NAME}/{path}", MADE)
    made.compress_type, made.create_system, made.external_attr = zipfile.ZIP_DEFLATED, 3, 0o100644 << 16
    return made


def pack(paths: list[str], target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as file:
        for path in paths:
            file.writestr(entry(path), content(path), compresslevel=9)
    size = target.stat().st_size
    if size > LARGEST:
        target.unlink()
        sys.exit(f"the zip would have {size} bytes; plugins.qgis.org takes {LARGEST} at most: bundle fewer weights")
    return target


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def weights(folder: Path) -> Iterator[Path]:
    """All that the catalogue tells of. What is not bundled is expected in the folder, or published already."""
    catalogue = json.loads((ROOT / "resources" / "weights.json").read_text(encoding="utf-8"))
    for entry in catalogue["weights"]:
        file = folder / entry["file"]
        if entry["bundled"]:
            shutil.copyfile(ROOT / "resources" / "weights" / entry["file"], file)
        if not file.exists():
            print(f"{file} is not here: {catalogue['release']} must hold it already", file=sys.stderr)
        elif entry["digest"] != f"sha256:{digest(file)}":
            sys.exit(f"{file} is not what resources/weights.json tells of: publish it under another id")
        else:
            yield file


def sums(files: list[Path], target: Path) -> Path:
    target.write_bytes("".join(f"{digest(file)}  {file.name}\n" for file in files).encode())
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "dist")
    parser.add_argument("--release", action="store_true", help="also the weights, and SHA256SUMS")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    made = [pack(packed(known()), options.folder / f"{NAME}.zip")]
    if options.release:
        made += weights(options.folder)
        made.append(sums(made, options.folder / "SHA256SUMS"))
    for file in made:
        print(f"{file} ({file.stat().st_size / 1e6:.2f} MB)")


if __name__ == "__main__":
    main()
