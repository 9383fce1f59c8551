"""Checks an interpreter by running it: versions of its packages, and the devices on which a kernel runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping

from ..common import guarded_process
from ..common.errors import NoPythonError
from ..common.isolated_python import command
from ..common.notices import notice

NEEDED = ("torch", "numpy", "safetensors")
"packages without which the interpreter cannot compute"
FASTEST_FIRST = ("cuda", "mps", "cpu")


def check(
    python: str,
    on_line: Callable[[str], None] = lambda line: None,
    *,
    tick: Callable[[], None] = lambda: None,
    guard: str | None = None,
) -> dict:
    """Returns the report of `inprocess.installation` in another Python.

    on_line, tick, guard: see `common.guarded_process.run`. Raises NoPythonError if the interpreter does not run.
    """
    lines: list[str] = []

    def receive(line: str) -> None:
        lines.append(line)
        on_line(line)

    try:
        code = guarded_process.run(command(python, "inprocess.installation"), receive, tick=tick, guard=guard)
    except OSError as error:
        raise NoPythonError(
            notice("python_unstartable", python=str(python), reason=error.strerror or str(error))
        ) from None
    for line in reversed(lines):
        report = _report(line)
        if report:
            return report
    last_line = next(filter(str.strip, reversed(lines)), f"it ended with code {code}")
    raise NoPythonError(notice("python_fails", python=str(python), reason=last_line))


def _report(line: str) -> dict | None:
    """Returns the report in a line of output, or None; what torch prints may look similar."""
    try:
        report = json.loads(line)
        whole = {*NEEDED} <= {*report["packages"]} and all("works" in each for each in report["devices"].values())
        return report if whole and "cpu" in report["devices"] else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def working(devices: Mapping[str, Mapping]) -> list[str]:
    """Returns the names of the devices that work, the fastest first. devices: from a report."""
    names = [name for name, device in devices.items() if device["works"]]
    return sorted(names, key=lambda name: FASTEST_FIRST.index(name.split(":")[0]))


def as_text(report: dict) -> str:
    """Returns a report as text for people."""
    return "\n".join(lines_of(report, report["packages"].items(), lambda: report["devices"]))


def lines_of(
    program: Mapping, packages: Iterable[tuple[str, str | None]], devices: Callable[[], Mapping]
) -> Iterator[str]:
    """Yields the lines of a report, each as soon as its part is known: importing torch and testing devices takes long.

    devices: returns that part of the report.
    """
    yield f"ssdiff {program['ssdiff']} ({program['folder']})"
    yield f"Python {program['python']} ({program['executable']}), {program['system']}"
    yield ""
    for name, version in packages:
        yield f"{name:12} {version or 'not installed'}"
    yield ""
    for name, device in devices().items():
        yield f"{name:12} works: {device['name']}" if device["works"] else f"{name:12} {device['reason']}"
