"""Builds dist/ssdiff.zip, the plugin that QGIS installs; with --release also the weights and SHA256SUMS.

    python scripts/package.py [--release] [FOLDER]

Only files that git tracks are packed, and the help (see help_pages.py). The zip is reproducible: the same files give
the same bytes.
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

import help_pages

ROOT = Path(__file__).parents[1]
NAME = "ssdiff"
WEIGHTS = ROOT / "resources" / "weights"
PACKED = ("__init__.py", "metadata.txt", "LICENSE", "resources/", "ssdiff_core/", "ssdiff_qgis/")
EXCLUDED = ("resources/weights/unbundled/",)
"weights that are downloaded"
MAXIMUM_BYTES = 25_000_000
"size limit of plugins.qgis.org"
TIMESTAMP = (1980, 1, 1, 0, 0, 0)
"modification time of every file in the zip"


def tracked_files() -> list[str]:
    """Returns the paths of the files that git tracks, sorted."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        sys.exit("package.py must be run in a clone of the repository, and git must be installed")
    return sorted(path for path in listed.decode().split("\0") if path and (ROOT / path).is_file())


def packed_files(paths: list[str]) -> list[str]:
    """Returns those of the paths that go into the zip."""
    return [path for path in paths if path.startswith(PACKED) and not path.startswith(EXCLUDED)]


def latest_changes(changelog: str) -> str:
    """Returns the entries of the topmost version of CHANGELOG.md."""
    return re.split(r"^## .*\n", changelog, flags=re.MULTILINE)[1].strip()


def metadata() -> str:
    """Returns metadata.txt with the latest changes of CHANGELOG.md, in the form that QGIS reads."""
    changes = latest_changes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    changelog = changes.replace("%", "%%").replace("\n", "\n  ")
    return f"{(ROOT / 'metadata.txt').read_text(encoding='utf-8')}changelog={changelog}\n"


def content(path: str) -> bytes:
    """Returns the bytes of a file in the zip."""
    return metadata().encode() if path == "metadata.txt" else (ROOT / path).read_bytes()


def entry(path: str) -> zipfile.ZipInfo:
    """Returns the zip entry of a file: the same time, owner and permissions (0644) on every system."""
    info = zipfile.ZipInfo(f"{NAME}/{path}", TIMESTAMP)
    info.compress_type, info.create_system, info.external_attr = zipfile.ZIP_DEFLATED, 3, 0o100644 << 16
    return info


def contents() -> dict[str, bytes]:
    """Returns the bytes of all files in the zip by their paths in the plugin folder."""
    packed = {path: content(path) for path in packed_files(tracked_files())}
    try:
        pages = help_pages.pages()
    except ImportError:
        sys.exit("package.py needs the Python package markdown: pip install markdown, or python3-markdown of Debian")
    return packed | {f"resources/help/{name}": page for name, page in pages.items()}


def write_zip(files: dict[str, bytes], target: Path) -> Path:
    """Writes the zip; exits if it is too large for plugins.qgis.org."""
    with zipfile.ZipFile(target, "w") as file:
        for path in sorted(files):
            file.writestr(entry(path), files[path], compresslevel=9)
    size = target.stat().st_size
    if size > MAXIMUM_BYTES:
        target.unlink()
        sys.exit(f"the zip is {size} bytes, but plugins.qgis.org accepts at most {MAXIMUM_BYTES}: bundle fewer weights")
    return target


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def weights_files(folder: Path) -> Iterator[Path]:
    """Yields the weights of the catalogue. Weights that are not bundled must be in the folder or published already."""
    catalogue = json.loads((ROOT / "resources" / "weights.json").read_text(encoding="utf-8"))
    for entry in catalogue["weights"]:
        file = folder / entry["file"]
        for source in (WEIGHTS / entry["file"], WEIGHTS / "unbundled" / entry["file"]):
            if source.exists():
                shutil.copyfile(source, file)
        if not file.exists():
            print(f"{file} does not exist: {catalogue['release']} must provide it already", file=sys.stderr)
        elif entry["digest"] != f"sha256:{digest(file)}":
            sys.exit(f"{file} does not have the digest given in resources/weights.json: publish it under another id")
        else:
            yield file


def write_digests(files: list[Path], target: Path) -> Path:
    """Writes the SHA-256 digests in the format of sha256sum."""
    target.write_bytes("".join(f"{digest(file)}  {file.name}\n" for file in files).encode())
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "dist")
    parser.add_argument("--release", action="store_true", help="also write the weights and SHA256SUMS")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    files = [write_zip(contents(), options.folder / f"{NAME}.zip")]
    if options.release:
        files += weights_files(options.folder)
        files.append(write_digests(files, options.folder / "SHA256SUMS"))
    for file in files:
        print(f"{file} ({file.stat().st_size / 1e6:.2f} MB)")


if __name__ == "__main__":
    main()
