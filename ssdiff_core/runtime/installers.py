"""What makes an environment and fills it, uv where there is one, else venv and pip: commands, and what errors mean.

Indexes, proxies and authorities travel in the environment of the process, never on its command line, which any user of
a computer may read.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..common.errors import InstallError
from ..common.isolated_python import environment
from .find_python import Host, Python

ASTRAY = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON", "UV_PROJECT", "UV_TARGET", "UV_PREFIX", "UV_SYSTEM")
"how variables begin that would let an installer fill another place"
UV_PLACES = ("~/.local/bin", "~/.cargo/bin", "/opt/homebrew/bin", "/usr/local/bin")
"where uv lies if PATH does not say: programs that are started by a click know little of PATH"
UV_PYTHON = (3, 12)
"the Python that uv is asked to bring where none is found"
PIP_QUIET = ("--no-input", "--disable-pip-version-check", "--no-warn-script-location", "--progress-bar=off")
PIP_ELSEWHERE = (22, 3)
"from this version on pip fills environments that it does not lie in"


@dataclass(frozen=True)
class Wanted:
    """What is to be installed, and from where."""

    requirements: list[str]
    index: str | None
    wheels: str
    "a folder of wheels that is the only source; empty: the indexes"
    work: Path
    "a folder for what is fetched"

    @property
    def arguments(self) -> list[str]:
        """For pip, and for uv, which takes the same."""
        source = ["--no-index", "--find-links", self.wheels] if self.wheels else []
        return ["--only-binary=:all:", *source, *self.requirements]

    @property
    def variables(self) -> dict[str, str]:
        """The environment of an installer. Temporary folders of systems are often too small for PyTorch."""
        kept = {name: value for name, value in environment().items() if not name.upper().startswith(ASTRAY)}
        return {**kept, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self.work / "tmp"))}


@dataclass(frozen=True)
class Pip:
    base: Python

    name = "pip"

    @property
    def reaches(self) -> bool:
        """Whether the pip of the base can do it. Else the environment gets one of its own, which takes a while."""
        return (self.base.pip or (0,)) >= PIP_ELSEWHERE

    def make(self, folder: Path) -> list[str]:
        own = ["--without-pip"] if self.reaches else []
        return [self.base.path, "-I", "-m", "venv", *own, str(folder)]

    def fill(self, python: str, wanted: Wanted) -> list[str]:
        pip = [self.base.path, "-I", "-m", "pip", "--python", python]
        return [*(pip if self.reaches else [python, "-I", "-m", "pip"]), "install", *PIP_QUIET, *wanted.arguments]

    def variables(self, wanted: Wanted) -> dict[str, str]:
        own = wanted.variables
        index = {"PIP_EXTRA_INDEX_URL": _joined(wanted.index, own.get("PIP_EXTRA_INDEX_URL"))} if wanted.index else {}
        return {**own, **index, "PIP_USER": "0", "PIP_CACHE_DIR": str(wanted.work / "cache")}


@dataclass(frozen=True)
class Uv:
    program: str
    base: Python

    name = "uv"

    def make(self, folder: Path) -> list[str]:
        return [self.program, "venv", "--no-project", "--python", self.base.path, str(folder)]

    def fill(self, python: str, wanted: Wanted) -> list[str]:
        return [self.program, "pip", "install", "--python", python, *wanted.arguments]

    def variables(self, wanted: Wanted) -> dict[str, str]:
        """uv asks indexes in turn and is content with the first that knows a package: here all must be asked."""
        own = wanted.variables
        index = {"UV_INDEX": _joined(wanted.index, own.get("UV_INDEX"))} if wanted.index else {}
        if "PIP_INDEX_URL" in own:
            index["UV_DEFAULT_INDEX"] = own.get("UV_DEFAULT_INDEX") or own["PIP_INDEX_URL"]
        return {**own, **index, "UV_INDEX_STRATEGY": "unsafe-best-match", "UV_NO_PROGRESS": "1"}


def _joined(first: str, rest: str | None) -> str:
    return f"{first} {rest}" if rest else first


def find_uv(environ: Mapping[str, str] = os.environ) -> str | None:
    """Where uv is, if it is here."""
    places = [os.path.expanduser(place) for place in UV_PLACES]
    return shutil.which("uv", path=os.pathsep.join([environ.get("PATH", ""), *places]))


def installers(base: Python, uv: str | None) -> list[Uv | Pip]:
    """All that can make an environment with a Python, the quickest first."""
    pip = Pip(base)
    able = base.venv and (base.ensurepip or pip.reaches)
    return [*([Uv(uv, base)] if uv else []), *([pip] if able else [])]


def brought(platform: str) -> Python:
    """The Python that uv brings if it is asked for a version in the place of a file."""
    return Python("{}.{}".format(*UV_PYTHON), UV_PYTHON, platform, True, False, None)


def without_pip(base: Python | None, host: Host, is_file: Callable[[str], bool] = os.path.isfile) -> InstallError:
    """What to say where nothing can make an environment."""
    how = "install uv (docs.astral.sh/uv)"
    if host.system == "linux" and is_file("/.flatpak-info"):
        how = "put the program uv into ~/.local/bin, since this Flatpak has no pip"
    elif base and host.system == "linux" and is_file("/etc/debian_version"):
        how = "install it with `sudo apt install python{}.{}-venv`".format(*base.version)
    reason = f"{base.path} has no pip" if base else "there is no Python here that an environment can be made with"
    return InstallError(f"{reason}: {how}, or name a Python that has torch in SSDIFF_PYTHON or in the options")


NO_WHEEL = "there is no wheel of {0} to be had for this Python and system"
NO_NETWORK = "the network cannot be reached: look at the network options of QGIS, or install from a folder of wheels"
ADVICE = (
    (r"No space left|not enough space|Errno 28", "the disk is full: make room, or choose another cache folder"),
    (r"Long Path|WinError 206|name too long", "names of files get too long for Windows: choose a shorter cache folder"),
    (r"WinError (?:126|127|1114)", "Windows lacks a library: install the Visual C++ Redistributable of Microsoft"),
    (r"\b407\b|Proxy Authentication", "the proxy wants a name and a password: give them in the options of QGIS"),
    (
        r"CERTIFICATE_VERIFY|certificate verify|UnknownIssuer",
        "the network shows a certificate that is not trusted: name a file of your authorities in SSL_CERT_FILE",
    ),
    (r"ProxyError|connect to proxy", "the proxy cannot be reached: look at the network options of QGIS"),
    (r"NewConnectionError|ConnectTimeout|Failed to establish|dns error|error sending request", NO_NETWORK),
    (r"Temporary failure in name|getaddrinfo|Network is unreachable|Connection refused", NO_NETWORK),
    (r"No matching distribution found for (\S+)", NO_WHEEL),
    (r"no version of (\w+==[^\s,]+)", NO_WHEEL),
    (r"Because (\w+) was not found", NO_WHEEL),
    (
        r"WinError (?:5|32)\b|Permission denied|Access is denied",
        "a file may not be written: a virus scanner holds it, or the folder is not yours",
    ),
)
"what a line of an installer means, the surest first"


def in_words(lines: Iterable[str]) -> str:
    """The reason that an installer gives, in a sentence; else what it said last."""
    lines = [line for line in lines if line.strip()]
    for pattern, meaning in ADVICE:
        found = re.search(pattern, "\n".join(lines), re.IGNORECASE)
        if found:
            return meaning.format(*(found.groups() or ("",)))
    return lines[-1].strip() if lines else "it said nothing"
