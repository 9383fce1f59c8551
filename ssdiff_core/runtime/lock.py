"""Lock of the runtime: versions and SHA-256 of the wheels that are installed.

rows: for these (platform, Python, build), the packages besides torch that PyPI has, and those that only PyTorch's index
has. wheels: the digests of all wheels of a package for the supported systems; a torch that is not listed is pinned by
version and index alone. open: builds of which the dependencies are not known; they come from PyTorch's index alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from ..common.errors import InstallError
from ..common.notices import notice
from ..common.paths import RESOURCES
from .wheels import PYPI, Choice

FILE = RESOURCES / "runtime_lock.json"


@dataclass(frozen=True)
class Step:
    """Packages that are installed together, from one source."""

    lines: tuple[str, ...]
    "lines of a requirements file"
    index: str | None = None
    "index that is the only source; None: PyPI, or what the user has configured in its place"
    hashed: bool = True
    "whether all wheels must have the checksums in the lines"
    dependencies: bool = False
    "whether what they depend on is installed too, from the same index"


def content() -> dict:
    """Returns the lock."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def key(platform: str, version: Sequence[int], build: str) -> str:
    """Returns the name of what is installed for a platform, a Python and a build."""
    return f"{platform} {version[0]}.{version[1]} {build}"


def steps(choice: Choice, version: Sequence[int], platform: str) -> list[Step]:
    """Returns the steps of an installation from indexes, in their order."""
    locked = content()
    name = key(platform, version, choice.build if choice.index else PYPI)
    row = next((row for row in locked["rows"] if name in row["for"]), None)
    if row is None:
        raise InstallError(notice("install_not_locked", name=name))
    torch = choice.requirements[0]
    if not choice.index:
        return [_step([torch, *row["pypi"]], locked)]
    is_open = name in locked["open"]
    from_index = _step([torch, *row["index"]], locked, index=choice.index, dependencies=is_open)
    return [_step(row["pypi"], locked), from_index]


def _step(requirements: Sequence[str], locked: dict, index: str | None = None, dependencies: bool = False) -> Step:
    digests = {each: sorted(set(locked["wheels"].get(each, {}).values())) for each in requirements}
    if index and not all(digests.values()):
        return Step(tuple(requirements), index, hashed=False, dependencies=dependencies)
    return Step(tuple(_line(each, found) for each, found in digests.items()), index)


def _line(requirement: str, digests: Sequence[str]) -> str:
    return " \\\n    ".join([requirement, *(f"--hash={digest}" for digest in digests)])
