"""Installers that create an environment and install packages: uv if it is found, otherwise venv and pip.

Indexes, proxies and certificates are passed as environment variables, never on the command line, which every user of
the computer can read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..common.errors import InstallError
from ..common.isolated_python import environment, find_program
from ..common.notices import Notice, notice
from .find_python import Host, Python
from .lock import Step

EXCLUDED_PREFIXES = (
    *("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON"),
    *("UV_PROJECT", "UV_TARGET", "UV_PREFIX", "UV_SYSTEM"),
)
"prefixes of variables that would make an installer write to another folder"
INDEX_PREFIXES = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"),
    *("UV_INDEX", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL"),
)
"prefixes of variables that name other indexes than the one that is the only source"
UV_FOLDERS = ("~/.local/bin", "~/.cargo/bin", "/opt/homebrew/bin", "/usr/local/bin")
"folders to search for uv besides PATH, which is short for programs that are started from a desktop"
UV_PYTHON = (3, 12)
"version of the Python that uv downloads if none is found"
PIP_QUIET = ("--no-input", "--disable-pip-version-check", "--no-warn-script-location", "--progress-bar=off")
PIP_FOR_OTHER_PYTHON = (22, 3)
"first version of pip that can install into another environment"


@dataclass(frozen=True)
class PackageSource:
    """Packages to install together, and where they come from."""

    step: Step
    wheels: str
    "folder of wheels that is the only source; empty: the indexes"
    work: Path
    "folder for downloads"

    @property
    def index(self) -> str | None:
        return self.step.index

    @property
    def requirements(self) -> Path:
        """The requirements file, which alone can name checksums."""
        return self.work / "requirements.txt"

    def write(self) -> None:
        """Writes the requirements file."""
        self.requirements.write_text("\n".join(self.step.lines) + "\n", encoding="utf-8")

    @property
    def arguments(self) -> list[str]:
        """Arguments of `install`, the same for pip and uv."""
        if self.wheels:
            return ["--only-binary=:all:", "--no-index", "--find-links", self.wheels, *self.step.lines]
        hashes = ["--require-hashes"] * self.step.hashed
        return ["--only-binary=:all:", "--no-deps", *hashes, "-r", str(self.requirements)]

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables of an installer. Temporary files go to `work`, since /tmp is often too small."""
        excluded = (*EXCLUDED_PREFIXES, *(INDEX_PREFIXES if self.index else ()))
        kept = {name: value for name, value in environment().items() if not name.upper().startswith(excluded)}
        return {**kept, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self.work / "tmp"))}


@dataclass(frozen=True)
class Pip:
    """Installs with venv and pip of a Python."""

    base: Python

    name = "pip"

    @property
    def can_install(self) -> bool:
        """Whether the pip of the base can install into the environment. Otherwise the environment needs its own pip."""
        return (self.base.pip or (0,)) >= PIP_FOR_OTHER_PYTHON

    def create(self, folder: Path) -> list[str]:
        without_pip = ["--without-pip"] if self.can_install else []
        return [self.base.path, "-I", "-m", "venv", *without_pip, str(folder)]

    def install(self, python: str, source: PackageSource) -> list[str]:
        pip = [self.base.path, "-I", "-m", "pip", "--python", python]
        return [*(pip if self.can_install else [python, "-I", "-m", "pip"]), "install", *PIP_QUIET, *source.arguments]

    def check(self, python: str) -> list[str]:
        """Returns the command that tells whether a package lacks one that it depends on."""
        pip = [self.base.path, "-I", "-m", "pip", "--python", python]
        return [*(pip if self.can_install else [python, "-I", "-m", "pip"]), "check", "--disable-pip-version-check"]

    def variables(self, source: PackageSource) -> dict[str, str]:
        index = {"PIP_INDEX_URL": source.index} if source.index else {}
        return {**source.variables, **index, "PIP_USER": "0", "PIP_CACHE_DIR": str(source.work / "cache")}


@dataclass(frozen=True)
class Uv:
    """Installs with uv."""

    program: str
    base: Python

    name = "uv"

    def create(self, folder: Path) -> list[str]:
        return [self.program, "venv", "--no-project", "--python", self.base.path, str(folder)]

    def install(self, python: str, source: PackageSource) -> list[str]:
        return [self.program, "pip", "install", "--python", python, *source.arguments]

    def check(self, python: str) -> list[str]:
        return [self.program, "pip", "check", "--python", python]

    def variables(self, source: PackageSource) -> dict[str, str]:
        """PIP_INDEX_URL holds for uv too. Each package is taken from the first index that has it (uv's default)."""
        variables = source.variables
        index = source.index or variables.get("UV_DEFAULT_INDEX") or variables.get("PIP_INDEX_URL")
        cache = variables.get("UV_CACHE_DIR") or str(source.work / "uv")  # its size tells the progress
        return {
            **variables,
            **({"UV_DEFAULT_INDEX": index} if index else {}),
            **{"UV_INDEX_STRATEGY": "first-index", "UV_NO_PROGRESS": "1", "UV_CACHE_DIR": cache},
        }


def find_uv(environ: Mapping[str, str] = os.environ) -> str | None:
    """Returns the path of uv, or None."""
    return find_program("uv", map(os.path.expanduser, UV_FOLDERS), environ)


def installers(base: Python, uv: str | None) -> list[Uv | Pip]:
    """Returns the installers that can create an environment with a Python, fastest first."""
    pip = Pip(base)
    able = base.venv and (base.ensurepip or pip.can_install)
    return [*([Uv(uv, base)] if uv else []), *([pip] if able else [])]


def uv_python(platform: str) -> Python:
    """Returns the Python that uv downloads: its path is a version number."""
    return Python("{}.{}".format(*UV_PYTHON), UV_PYTHON, platform, True, False, None)


def no_installer_error(
    base: Python | None, host: Host, is_file: Callable[[str], bool] = os.path.isfile
) -> InstallError:
    """Returns the error for a computer on which no environment can be created. base: a Python without pip, if any."""
    remedy = notice("install_uv")
    if host.system == "linux" and is_file("/.flatpak-info"):
        remedy = notice("install_uv_flatpak")
    elif base and host.system == "linux" and is_file("/etc/debian_version"):
        remedy = notice("install_venv", version="{}.{}".format(*base.version))
    if base:
        return InstallError(notice("no_installer", path=base.path, remedy=remedy))
    return InstallError(notice("no_python_for_installer", remedy=remedy))


NO_WHEEL = "install_no_wheel"
"kind of the notice that the wheels folder or index lacks a package"
UNREACHABLE = (
    r"NewConnectionError|ConnectTimeout|Failed to establish|dns error|error sending request|tcp connect error"
    r"|Temporary failure in name|getaddrinfo|Network is unreachable|Connection refused"
)
"pattern of lines in the output of an installer that tell of a host without connection"
HOST = re.compile(r"host='([^']+)'|https?://(?:[^/@\s]*@)?\[?([^/:\s)\]`'\"]+)")
ADVICE = (
    (r"(?s)DO NOT MATCH THE HASHES.*?\n\s*(?P<package>[\w.-]+==[^\s,]+) from", "install_other_file"),
    (r"Hash mismatch for `(?P<package>[\w.-]+==[^\s`]+)`", "install_other_file"),
    (r"No space left|not enough space|Errno 28", "install_disk_full"),
    (r"Long Path|WinError 206|name too long", "install_long_path"),
    (r"WinError (?:126|127|1114)", "install_windows_library"),
    (r"\b407\b|Proxy Authentication", "install_proxy_login"),
    (r"CERTIFICATE_VERIFY|certificate verify|UnknownIssuer", "install_certificate"),
    (r"ProxyError|connect to proxy", "install_proxy"),
    (UNREACHABLE, "install_unreachable"),
    (r"No matching distribution found for (?P<package>\S+)", NO_WHEEL),
    (r"no version of (?P<package>\w+==[^\s,]+)", NO_WHEEL),
    (r"Because (?P<package>\w+) was not found", NO_WHEEL),
    (r"WinError (?:5|32)\b|Permission denied|Access is denied", "install_unwritable"),
    (
        r"(?m)^(?:The package `)?(?P<package>[\w.-]+)`?(?: \S+)? (?:requires|has requirement) "
        r"`?(?P<needed>[^\s`,]+)`?, (?:which|but)",
        "install_unlocked",
    ),
)
"patterns in the output of an installer and the kinds of notices that tell what they mean, most specific first"


def unreachable_host(lines: Iterable[str]) -> str:
    """Returns the first host to which an installer had no connection; empty if there was none, or it has no name."""
    lines = list(lines)
    failed = [number for number, line in enumerate(lines) if re.search(UNREACHABLE, line, re.IGNORECASE)]
    near = (lines[max(number - 3, 0) : number + 1][::-1] for number in failed)  # uv names it some lines before
    hosts = (HOST.search(line) for few in near for line in few)
    return next((found[1] or found[2] for found in hosts if found), "")


def explain(lines: Iterable[str]) -> Notice | str:
    """Returns why an installer failed: the meaning of a known message, otherwise its last line."""
    lines = [line for line in lines if line.strip()]
    for pattern, kind in ADVICE:
        found = re.search(pattern, "\n".join(lines), re.IGNORECASE)
        if found and kind == "install_unreachable":
            host = unreachable_host(lines)
            return notice(kind, host=host) if host else notice("install_no_network")
        if found:
            return notice(kind, **found.groupdict())
    return lines[-1].strip() if lines else notice("install_silent")
