"""Writes resources/weights.json, the catalogue of published weights, from the files themselves.

python scripts/make_catalogue.py [FURTHER.safetensors ...]

The files in resources/weights come with SSDiff; further ones lie in the release only, and stay in the catalogue once
they are in it. Upload them all to the release that the catalogue names.
"""

import configparser
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from ssdiff_core.common.fingerprints import sha256_of
from ssdiff_core.common.paths import RESOURCES
from ssdiff_core.weights.catalogue import entry_of

FILE = RESOURCES / "weights.json"
ABOUT = Path(__file__).parents[1] / "metadata.txt"
RELEASE = "weights-1"
"tag of the release on the project's page that holds the files"


def main(further: list[str]) -> None:
    FILE.write_text(catalogue(further), encoding="utf-8")


def catalogue(further: list[str] = ()) -> str:
    bundled = [told(path, True) for path in in_order((RESOURCES / "weights").glob("*.safetensors"))]
    new = [told(Path(path), False) for path in further]
    written = {entry["id"] for entry in bundled + new}
    before = json.loads(FILE.read_text(encoding="utf-8"))["weights"] if FILE.exists() else []
    kept = [entry for entry in before if not entry["bundled"] and entry["id"] not in written]
    made = {"repository": repository(), "release": RELEASE, "weights": bundled + kept + new}
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def repository() -> str:
    """The project's home, as the plugin names it."""
    about = configparser.ConfigParser(interpolation=None)
    about.read(ABOUT, encoding="utf-8")
    return about["general"]["repository"]


def in_order(paths: Iterable[Path]) -> list[Path]:
    """By their names without the suffix: general-4 before general-4-ratio2."""
    return sorted(paths, key=lambda path: path.stem)


def told(path: Path, bundled: bool) -> dict:
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
    }


if __name__ == "__main__":
    main(sys.argv[1:])
