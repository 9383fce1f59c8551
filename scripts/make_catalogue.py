"""Writes resources/weights.json, the catalogue of published weights, from the weights files.

python scripts/make_catalogue.py [FURTHER.safetensors ...]

The files in resources/weights are bundled; those in its folder `unbundled`, and further ones, are only in the release.
Entries of the existing catalogue are kept. Upload all files to the release that the catalogue names.
"""

import configparser
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from ssdiff_core.common.fingerprints import sha256_of
from ssdiff_core.common.paths import RESOURCES
from ssdiff_core.weights.catalogue import UNBUNDLED, entry_of

FILE = RESOURCES / "weights.json"
ABOUT = Path(__file__).parents[1] / "metadata.txt"
RELEASE = "weights-4"
"tag of the release that contains the files"


def main(further: list[str]) -> None:
    FILE.write_text(catalogue(further), encoding="utf-8")


def catalogue(further: list[str] = ()) -> str:
    bundled = [entry(path, True) for path in sorted_by_id((RESOURCES / "weights").glob("*.safetensors"))]
    only_released = sorted_by_id((RESOURCES / "weights" / UNBUNDLED).glob("*.safetensors"))
    new = [entry(Path(path), False) for path in [*only_released, *further]]
    written = {entry["id"] for entry in bundled + new}
    existing = json.loads(FILE.read_text(encoding="utf-8"))["weights"] if FILE.exists() else []
    kept = [entry for entry in existing if not entry["bundled"] and entry["id"] not in written]
    content = {"repository": repository(), "release": RELEASE, "weights": bundled + kept + new}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def repository() -> str:
    """Returns the URL of the repository, from the metadata of the plugin."""
    about = configparser.ConfigParser(interpolation=None)
    about.read(ABOUT, encoding="utf-8")
    return about["general"]["repository"]


def sorted_by_id(paths: Iterable[Path]) -> list[Path]:
    """Sorts paths by name without suffix, so that general-4 precedes general-4-ratio2."""
    return sorted(paths, key=lambda path: path.stem)


def entry(path: Path, bundled: bool) -> dict:
    entry = entry_of(path)
    return {
        "id": entry.id,
        "file": path.name,
        "size": entry.size,
        "digest": f"sha256:{sha256_of(path)}",  # a bare one looks like a secret to the plugin site
        "urls": [path.name],
        "sensor": entry.sensor,
        "bands": list(entry.bands),
        "ratio": entry.ratio,
        "licence": entry.licence,
        "bundled": bundled,
        "patches": entry.patches,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
