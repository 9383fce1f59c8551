"""Folders for the files of a user. They are outside QGIS's profile and the plugin folder, so updates keep them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from .errors import ConfigError
from .notices import notice

_IN_PACKAGE = Path(__file__).resolve().parents[1] / "resources"
RESOURCES = _IN_PACKAGE if _IN_PACKAGE.is_dir() else _IN_PACKAGE.parents[1] / "resources"
"folder of the resources: within the package if installed by pip, beside it in the plugin folder"

_selected_cache = ""


def use_cache(folder: str) -> None:
    """Selects the cache folder of this process; an empty name selects the default. SSDIFF_CACHE takes precedence."""
    global _selected_cache
    _selected_cache = folder


def cache(environ: Mapping[str, str] = os.environ, system: str = sys.platform) -> Path:
    """Returns the folder for files that can be downloaded or created again: weights and the Python environment.

    SSDIFF_CACHE selects another folder, for instance on a larger disk, or one that many users share. In that, only an
    environment that belongs to the administrator or to the user is used, as it contains programs.
    """
    selected = environ.get("SSDIFF_CACHE") or _selected_cache
    if selected:
        return Path(selected).expanduser()
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or "~").expanduser()
    if system == "win32":
        return Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "ssdiff"
    if system == "darwin":
        return home / "Library" / "Caches" / "ssdiff"
    return Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "ssdiff"


def runtime() -> Path:
    """Returns the folder of the Python environments that Install runtime creates."""
    return cache() / "runtime"


def weights() -> Path:
    """Returns the folder of weights that are not part of the plugin."""
    return cache() / "weights"


def ensure_folder(path: str | Path) -> Path:
    """Creates a folder if it does not exist, and returns its path."""
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(notice("folder_is_file", folder=str(folder)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            notice("folder_not_created", folder=str(folder), reason=error.strerror or str(error))
        ) from None
    return folder
