"""Scans the zip with the tools and rules of plugins.qgis.org, and fails where that site would not let a version be had.

    python scripts/scan.py dist/ssdiff.zip

There, anything that bandit or detect-secrets finds blocks a version. flake8 only comments; here it must be silent too.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

NOT_ASKED = "B404"
"that subprocess is imported: switched off there"
LENGTH, STYLE = "120", "E203"
"of a line, and the one rule that contradicts ruff's format"


def tool(folder: Path, *command: str) -> str:
    """What a tool prints of a folder. Where it cannot work it must not look as if it had found nothing."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True)
    if done.returncode not in (0, 1) or "Traceback" in done.stderr or "No module named" in done.stderr:
        sys.exit(f"{command[0]} failed: {done.stderr.strip()}")
    return done.stdout


def bandit(folder: Path) -> Iterator[str]:
    report = json.loads(tool(folder, "bandit", "-q", "-r", ".", "-f", "json", "--skip", NOT_ASKED))
    for found in report["errors"]:
        yield f"{found['filename']}: {found['reason']}"
    for found in report["results"]:
        yield f"{found['filename']}:{found['line_number']}: {found['test_id']} {found['issue_text']}"


def secrets(folder: Path) -> Iterator[str]:
    words = ("scan", "--all-files", "--exclude-files", r"metadata\.txt", "--disable-plugin", "IPPublicDetector", ".")
    for path, found in json.loads(tool(folder, "detect_secrets", *words))["results"].items():
        for secret in found:
            yield f"{path}:{secret['line_number']}: {secret['type']}"


def flake8(folder: Path) -> Iterator[str]:
    words = ("--isolated", "--max-line-length", LENGTH, "--extend-ignore", STYLE, ".")
    yield from tool(folder, "flake8", *words).splitlines()


def findings(zipped: Path) -> list[str]:
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(zipped) as file:
        file.extractall(folder)
        return [line for scan in (bandit, secrets, flake8) for line in scan(Path(folder))]


if __name__ == "__main__":
    found = findings(Path(sys.argv[1]))
    print("\n".join(found) or f"{sys.argv[1]}: nothing found by bandit, detect-secrets and flake8")
    sys.exit(bool(found))
