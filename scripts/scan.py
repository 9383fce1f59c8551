"""Checks the zip with the tools and rules of plugins.qgis.org; fails if that site would block the version.

    python scripts/scan.py dist/ssdiff.zip

On plugins.qgis.org every finding of bandit or detect-secrets blocks a version; findings of flake8 are only shown there,
but fail here too.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

SKIPPED_TESTS = "B404"
"bandit's test for imports of subprocess, which plugins.qgis.org skips too"
MAXIMUM_LINE_LENGTH = "120"
IGNORED_RULES = "E203"
"the one rule of flake8 that contradicts the formatter of ruff"


def run_tool(folder: Path, *command: str) -> str:
    """Returns what a tool prints about a folder; exits if the tool itself failed, which must not pass as success."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True)
    if done.returncode not in (0, 1) or "Traceback" in done.stderr or "No module named" in done.stderr:
        sys.exit(f"{command[0]} failed: {done.stderr.strip()}")
    return done.stdout


def bandit(folder: Path) -> Iterator[str]:
    """Yields the security issues that bandit finds, one line each."""
    report = json.loads(run_tool(folder, "bandit", "-q", "-r", ".", "-f", "json", "--skip", SKIPPED_TESTS))
    for found in report["errors"]:
        yield f"{found['filename']}: {found['reason']}"
    for found in report["results"]:
        yield f"{found['filename']}:{found['line_number']}: {found['test_id']} {found['issue_text']}"


def secrets(folder: Path) -> Iterator[str]:
    """Yields the passwords and keys that detect-secrets finds, one line each."""
    options = ("scan", "--all-files", "--exclude-files", r"metadata\.txt", "--disable-plugin", "IPPublicDetector", ".")
    for path, found in json.loads(run_tool(folder, "detect_secrets", *options))["results"].items():
        for secret in found:
            yield f"{path}:{secret['line_number']}: {secret['type']}"


def flake8(folder: Path) -> Iterator[str]:
    """Yields the findings of flake8, one line each."""
    options = ("--isolated", "--max-line-length", MAXIMUM_LINE_LENGTH, "--extend-ignore", IGNORED_RULES, ".")
    yield from run_tool(folder, "flake8", *options).splitlines()


def findings(zipped: Path) -> list[str]:
    """Returns the findings of all three tools in the zip."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(zipped) as file:
        file.extractall(folder)
        return [line for scan in (bandit, secrets, flake8) for line in scan(Path(folder))]


if __name__ == "__main__":
    found = findings(Path(sys.argv[1]))
    print("\n".join(found) or f"{sys.argv[1]}: bandit, detect-secrets and flake8 found nothing")
    sys.exit(bool(found))
