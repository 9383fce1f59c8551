"""What is installed here, and what of it works: proved, not asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from ..common import guarded_process
from ..common.errors import NoPythonError
from ..common.isolated_python import command

NEEDED = ("torch", "numpy", "safetensors")
SPEED = ("cuda", "mps", "cpu")


def ask(
    python: str,
    hear: Callable[[str], None] = lambda line: None,
    *,
    tick: Callable[[], None] = lambda: None,
    guard: str | None = None,
) -> dict:
    """What another Python finds in itself; `hear` and `tick` as in guarded.run."""
    lines: list[str] = []

    def both(line: str) -> None:
        lines.append(line)
        hear(line)

    try:
        code = guarded_process.run(command(python, "inprocess.installation"), both, tick=tick, guard=guard)
    except OSError as error:
        raise NoPythonError(
            f"the Python interpreter {python} cannot be started ({error.strerror or error}): choose another one"
        ) from None
    for line in reversed(lines):
        if line.startswith("{"):
            return json.loads(line)
    said = next(filter(str.strip, reversed(lines)), f"it ended with code {code}")
    raise NoPythonError(f"{python} cannot run SSDiff: {said}")


def working(found: Mapping[str, Mapping]) -> list[str]:
    """The devices that compute, of what `devices` found, the fastest first."""
    names = [name for name, device in found.items() if device["works"]]
    return sorted(names, key=lambda name: SPEED.index(name.split(":")[0]))


def as_text(found: dict) -> str:
    lines = [f"ssdiff {found['ssdiff']} ({found['folder']})"]
    lines += [f"Python {found['python']} ({found['executable']}), {found['system']}", ""]
    lines += [f"{name:12} {version or 'not installed'}" for name, version in found["packages"].items()]
    lines += [""]
    for name, device in found["devices"].items():
        lines.append(f"{name:12} works: {device['name']}" if device["works"] else f"{name:12} {device['reason']}")
    return "\n".join(lines)
