"""A real browser for tests, if this machine has one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
DARK = "--blink-settings=preferredColorScheme=0"


def run(*arguments: str) -> subprocess.CompletedProcess:
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if not found:
        pytest.skip(f"no browser was found; these would do: {', '.join(NAMES)}")
    usual = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr")
    command = [found, *usual, "--virtual-time-budget=4000", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def page(path: Path) -> tuple[str, list[str]]:
    """The page as it stands once its script has run, and what the console was told."""
    done = run("--dump-dom", path.as_uri())
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def screenshot(path: Path, out: Path, *arguments: str, size: str = "1200,1600") -> Path:
    run(f"--screenshot={out}", f"--window-size={size}", *arguments, path.as_uri())
    return out
