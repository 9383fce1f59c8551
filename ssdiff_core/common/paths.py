"""Where things of one user are kept: outside QGIS's profile and the plugin folder, so that updates leave them alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from .errors import ConfigError

_INSTALLED = Path(__file__).resolve().parents[1] / "resources"
RESOURCES = _INSTALLED if _INSTALLED.is_dir() else _INSTALLED.parents[1] / "resources"
"what comes with the code: within it where pip has installed it, beside it in the plugin folder"

_used = ""


def use(folder: str) -> None:
    """Makes a folder the cache of this process; SSDIFF_CACHE wins over it, and an empty name takes it back."""
    global _used
    _used = folder


def cache(environ: Mapping[str, str] = os.environ, system: str = sys.platform) -> Path:
    """The folder for what can be fetched or made again: weights, and the Python that computes.

    SSDIFF_CACHE names another one, for instance on a disk with more room, or one that many users share.
    """
    named = environ.get("SSDIFF_CACHE") or _used
    if named:
        return Path(named).expanduser()
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or "~").expanduser()
    if system == "win32":
        return Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "ssdiff"
    if system == "darwin":
        return home / "Library" / "Caches" / "ssdiff"
    return Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "ssdiff"


def runtime() -> Path:
    """The folder for Pythons that were made to compute."""
    return cache() / "runtime"


def weights() -> Path:
    """The folder for weights that do not come with the plugin."""
    return cache() / "weights"


def made_folder(path: str | Path) -> Path:
    """A folder for files, made if it is not there."""
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file: name a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the folder {folder} cannot be made ({error.strerror or error}): name another one") from None
    return folder
