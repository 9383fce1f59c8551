"""Which Pythons there are on this computer, and what they answer when they are asked.

In QGIS `sys.executable` is often QGIS itself, and starting that opens a second window; so interpreters are looked for
where each system keeps them.
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

from ..common.isolated_python import HIDDEN, command, environment

FOLDERS = {
    "win32": ("{prefix}", "{program}"),  # OSGeo4W and the installers: apps/Python3X; conda: the environment
    "darwin": ("{prefix}/bin", "{program}/bin", "{program}", "{prefix}/tools/python3"),
    "linux": ("{prefix}/bin", "{program}"),  # Flatpak too, whose prefix is /usr
}
"where the interpreter of a program lies that has Python inside, likeliest first"
NAMES = {
    "win32": ("python.exe", "python3.exe"),
    "darwin": ("python{version}", "python3"),
    "linux": ("python{version}", "python3"),
}
ELSEWHERE = {
    "darwin": (
        "/opt/homebrew/bin",
        "/usr/local/bin",
        "/Library/Frameworks/Python.framework/Versions/Current/bin",
        "/Library/Developer/CommandLineTools/usr/bin",  # not /usr/bin, which asks to install these tools
    ),
    "linux": ("/usr/bin", "/usr/local/bin"),
}
"where other Pythons may lie that an environment can be made with; what PATH names comes and goes with shells"
PATIENCE = 60
"seconds that an interpreter may take to say what it is"


@dataclass(frozen=True)
class Host:
    """The program that this Python runs in."""

    system: str = sys.platform
    program: str = sys.executable or ""
    prefix: str = sys.prefix
    version: tuple[int, int] = sys.version_info[:2]


@dataclass(frozen=True)
class Python:
    """An interpreter that was asked what it is."""

    path: str
    version: tuple[int, int]
    platform: str
    "linux-x86_64, linux-aarch64, win-amd64, macos-arm64, macos-x86_64 ..."
    venv: bool
    ensurepip: bool
    pip: tuple[int, ...] | None

    @property
    def tag(self) -> str:
        """What an environment made with it is called."""
        return "py{}{}-".format(*self.version) + self.platform


def own(host: Host, is_file: Callable[[str], bool] = os.path.isfile) -> list[str]:
    """Interpreters that belong to the program, likeliest first."""
    path = ntpath if host.system == "win32" else posixpath
    known = {"prefix": host.prefix, "program": path.dirname(host.program), "version": "{}.{}".format(*host.version)}
    system = host.system if host.system in FOLDERS else "linux"
    places = [folder.format(**known) for folder in FOLDERS[system]]
    names = [name.format(**known) for name in NAMES[system]]
    return _found(places, names, path.join, is_file)


def elsewhere(host: Host, is_file: Callable[[str], bool] = os.path.isfile) -> list[str]:
    """Other interpreters of this computer, newest first."""
    names = [f"python3.{minor}" for minor in range(19, 8, -1)] + ["python3"]
    return _found(ELSEWHERE.get(host.system, ()), names, posixpath.join, is_file)


def _found(places: Iterable[str], names: Iterable[str], join: Callable, is_file: Callable[[str], bool]) -> list[str]:
    names = list(names)
    candidates = [join(place, name) for place in places if place for name in names]
    return [path for path in dict.fromkeys(candidates) if is_file(path)]


def ask(path: str) -> Python | None:
    """What an interpreter says of itself, or None if it does not start as it must for SSDiff."""
    try:
        done = subprocess.run(  # nosec B603
            command(path, "runtime.find_python"),
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            creationflags=HIDDEN,
            timeout=PATIENCE,
            check=True,
        )
        told = json.loads(done.stdout)
        pip = told["pip"] and tuple(told["pip"])
        return Python(told["path"], tuple(told["version"]), told["platform"], told["venv"], told["ensurepip"], pip)
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return None


# --- the answer of such an interpreter -------------------------------------------------------------------------------


def main() -> None:
    from importlib.util import find_spec

    has = {name: find_spec(name) is not None for name in ("venv", "ensurepip")}
    print(
        json.dumps(
            {"path": sys.executable, "version": sys.version_info[:2], "platform": this_platform(), "pip": _pip(), **has}
        )
    )


def this_platform(system: str = sys.platform, machine: str | None = None, built_for: str | None = None) -> str:
    """What wheels must be made for. On Windows that is told by the build, since ARM computers run both kinds."""
    if system == "win32":
        return built_for or sysconfig.get_platform()
    name = {"darwin": "macos"}.get(system, system)
    return f"{name}-{(machine or platform.machine()).lower()}"


def _pip() -> list[int] | None:
    """The version of pip, if it has one."""
    from importlib import metadata

    try:
        return [int(part) for part in metadata.version("pip").split(".")[:2]]
    except (metadata.PackageNotFoundError, ValueError):
        return None
