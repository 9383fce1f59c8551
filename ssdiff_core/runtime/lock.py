"""Lock of the runtime: versions and SHA-256 of the wheels that are installed.

rows: the packages besides torch, for these (platform, Python, torch). wheels: the digests of the wheels of a package
for the supported systems; a torch of PyTorch's index whose wheel for a Python and platform is not listed is pinned by
version and index alone. sources: who states the digests that were not read from an index.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..common.errors import InstallError
from ..common.notices import notice
from ..common.paths import RESOURCES
from .wheels import Choice

FILE = RESOURCES / "runtime_lock.json"
SYSTEMS = {
    "linux-x86_64": r"(many)?linux\S*_x86_64",
    "linux-aarch64": r"manylinux\S*_aarch64",
    "win-amd64": "win_amd64",
    "macos-arm64": r"macosx_\S*_(arm64|universal2)",
    "macos-x86_64": r"macosx_\S*_(x86_64|universal2)",
}
"platforms in the names of wheels"


@dataclass(frozen=True)
class Step:
    """Packages that are installed together, from one source."""

    lines: tuple[str, ...]
    "lines of a requirements file"
    index: str | None = None
    "index that is the only source; None: PyPI, or what the user has configured in its place"
    hashed: bool = True
    "whether all wheels must have the checksums in the lines"


def content() -> dict:
    """Returns the lock."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def key(platform: str, version: Sequence[int], torch: str) -> str:
    """Returns the name of what is installed for a platform, a Python and a torch, such as torch==2.13.0+cpu."""
    return f"{platform} {version[0]}.{version[1]} {torch}"


def steps(choice: Choice, version: Sequence[int], platform: str) -> list[Step]:
    """Returns the steps of an installation from indexes, in their order."""
    locked = content()
    torch = choice.requirements[0]
    name = key(platform, version, torch)
    row = next((row for row in locked["rows"] if name in row["for"]), None)
    if row is None:
        raise InstallError(notice("install_not_locked", name=name))
    if not choice.index:
        return [Step(_lines([torch, *row["packages"]], locked))]
    hashed = any(map(_suitable(version, platform).fullmatch, locked["wheels"].get(torch, {})))
    lines = _lines([torch], locked) if hashed else (torch,)
    return [Step(_lines(row["packages"], locked)), Step(lines, choice.index, hashed)]


def _suitable(version: Sequence[int], platform: str) -> re.Pattern:
    """Returns the pattern of the names of wheels for a Python and a platform."""
    tag = f"cp{version[0]}{version[1]}"
    return re.compile(rf"\S+-({tag}-({tag}|none)|cp3\d+-abi3|(py2\.)?py3-none)-(any|{SYSTEMS[platform]})\.whl")


def _lines(requirements: Sequence[str], locked: dict) -> tuple[str, ...]:
    found = locked["wheels"]
    return tuple(_line(each, sorted(set(found.get(each, {}).values()))) for each in requirements)


def _line(requirement: str, digests: Sequence[str]) -> str:
    return " \\\n    ".join([requirement, *(f"--hash={digest}" for digest in digests)])
