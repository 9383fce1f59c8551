"""Search for Python interpreters on this computer, and their properties.

In QGIS `sys.executable` is often QGIS itself, and running that opens a second window; so the search covers the folders
where each system keeps interpreters.
"""

from __future__ import annotations

import json
import ntpath
import os
import platform
import posixpath
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..common.isolated_python import NO_WINDOW, command, environment

PROGRAM_FOLDERS = {
    "win32": ("{prefix}", "{program}"),  # OSGeo4W and the installers: apps/Python3X; conda: the environment
    "darwin": ("{prefix}/bin", "{program}/bin", "{program}", "{prefix}/tools/python3"),
    "linux": ("{prefix}/bin", "{program}"),  # Flatpak too, whose prefix is /usr
}
"folders of the interpreter of a program that embeds Python, most likely first"
NAMES = {
    "win32": ("python.exe", "python3.exe"),
    "darwin": ("python{version}", "python3"),
    "linux": ("python{version}", "python3"),
}
SYSTEM_FOLDERS = {
    "darwin": (
        "/opt/homebrew/bin",
        "/usr/local/bin",
        "/Library/Frameworks/Python.framework/Versions/Current/bin",
        "/Library/Developer/CommandLineTools/usr/bin",  # not /usr/bin, which offers to install these tools
    ),
    "linux": ("/usr/bin", "/usr/local/bin"),
}
"folders of other interpreters; PATH is not used, as it depends on the shell"
TIMEOUT_SECONDS = 60
"time that an interpreter may take to report its properties"


@dataclass(frozen=True)
class Host:
    """The program that embeds this Python."""

    system: str = sys.platform
    program: str = sys.executable or ""
    prefix: str = sys.prefix
    version: tuple[int, int] = sys.version_info[:2]


@dataclass(frozen=True)
class Python:
    """An interpreter with the properties that it reported."""

    path: str
    version: tuple[int, int]
    platform: str
    "linux-x86_64, linux-aarch64, win-amd64, macos-arm64, macos-x86_64 ..."
    venv: bool
    ensurepip: bool
    pip: tuple[int, ...] | None

    @property
    def tag(self) -> str:
        """Name of the folder of environments that are created with this interpreter."""
        return "py{}{}-".format(*self.version) + self.platform


def of_program(host: Host, is_file: Callable[[str], bool] = os.path.isfile) -> list[str]:
    """Returns the interpreters that belong to the program, most likely first."""
    path = ntpath if host.system == "win32" else posixpath
    known = {"prefix": host.prefix, "program": path.dirname(host.program), "version": "{}.{}".format(*host.version)}
    system = host.system if host.system in PROGRAM_FOLDERS else "linux"
    folders = [folder.format(**known) for folder in PROGRAM_FOLDERS[system]]
    names = [name.format(**known) for name in NAMES[system]]
    return _existing(folders, names, path.join, is_file)


def of_system(host: Host, is_file: Callable[[str], bool] = os.path.isfile) -> list[str]:
    """Returns other interpreters of this computer, newest first."""
    names = [f"python3.{minor}" for minor in range(19, 8, -1)] + ["python3"]
    return _existing(SYSTEM_FOLDERS.get(host.system, ()), names, posixpath.join, is_file)


def _existing(folders: Iterable[str], names: Iterable[str], join: Callable, is_file: Callable[[str], bool]) -> list:
    names = list(names)
    candidates = [join(folder, name) for folder in folders if folder for name in names]
    return [path for path in dict.fromkeys(candidates) if is_file(path)]


def properties(path: str) -> Python | None:
    """Returns the properties of an interpreter, or None if it cannot run the code of SSDiff."""
    try:
        done = subprocess.run(  # nosec B603
            command(path, "runtime.find_python"),
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            creationflags=NO_WINDOW,
            timeout=TIMEOUT_SECONDS,
            check=True,
        )
        report = json.loads(done.stdout)
        pip = report["pip"] and tuple(report["pip"])
        version = tuple(report["version"])
        return Python(report["path"], version, report["platform"], report["venv"], report["ensurepip"], pip)
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return None


# --- run by such an interpreter --------------------------------------------------------------------------------------


def main() -> None:
    """Prints the properties of this interpreter as JSON."""
    from importlib.util import find_spec

    has = {name: find_spec(name) is not None for name in ("venv", "ensurepip")}
    print(
        json.dumps(
            {"path": sys.executable, "version": sys.version_info[:2], "platform": this_platform(), "pip": _pip(), **has}
        )
    )


def this_platform(system: str = sys.platform, machine: str | None = None, built_for: str | None = None) -> str:
    """Returns the platform that wheels must be built for.

    On Windows that of the interpreter's build counts, since ARM computers also run programs for Intel.
    """
    if system == "win32":
        return built_for or sysconfig.get_platform()
    name = {"darwin": "macos"}.get(system, system)
    return f"{name}-{(machine or platform.machine()).lower()}"


def _pip() -> list[int] | None:
    """Returns the version of pip, or None if there is none."""
    from importlib import metadata

    try:
        return [int(part) for part in metadata.version("pip").split(".")[:2]]
    except (metadata.PackageNotFoundError, ValueError):
        return None
