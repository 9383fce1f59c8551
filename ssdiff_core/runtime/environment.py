"""A Python of its own for what computes: an environment with torch, numpy and safetensors and nothing else.

It lies in places.runtime() under a name that tells Python and system, and belongs to no program: every QGIS of this
user takes it. It is made beside its place, and moved there once it has computed; so what is half-made is never used,
and what was there before is used until then.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .. import __version__
from ..common import guarded_process, paths
from ..common.errors import Cancelled, InstallError, NoPythonError
from ..common.locks import locked, move
from ..weights.http import shown
from . import doctor, find_python, wheels
from .find_python import Host, Python
from .installers import Pip, Uv, Wanted, brought, find_uv, in_words, installers, without_pip
from .wheels import Choice

NOTE = "ssdiff.json"
"what was installed, in the environment"
NEW, OLD = ".new", ".old"
"endings of what is being made, and of what is being removed"
READY, OUTDATED, HALF_MADE, BROKEN = "ready", "outdated", "half-made", "broken"
MEANING = {
    READY: "complete",
    OUTDATED: "complete, of other versions than this SSDiff installs: Install runtime renews it",
    HALF_MADE: "being made or interrupted: Install runtime starts it over",
    BROKEN: "made with a Python that is gone: Install runtime makes it anew",
}
"what a state is called in a sentence"


@dataclass(frozen=True)
class Environment:
    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))

    @property
    def note(self) -> dict | None:
        """What was installed; None: nothing that could be used."""
        try:
            return json.loads((self.folder / NOTE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    @property
    def state(self) -> str:
        note = self.note
        if note is None or self.folder.suffix == NEW:
            return HALF_MADE
        if not (os.path.isfile(self.python) and os.path.isdir(_made_with(self.folder))):
            return BROKEN
        return READY if note["pins"] == wheels.pins(note["version"], note["platform"]) else OUTDATED

    @property
    def usable(self) -> bool:
        """Whether it computes here: it may lie on a drive that other computers use too."""
        if self.state not in (READY, OUTDATED):
            return False
        here, there = find_python.this_platform(), self.note["platform"]
        return here == there or (here.startswith("macos") and there.startswith("macos"))


def environments() -> list[Environment]:
    """All that there are, whatever their state, the newest first."""
    configured = paths.runtime().glob("*/pyvenv.cfg")
    found = [Environment(path.parent) for path in configured if path.parent.suffix != OLD]
    return sorted(found, key=lambda each: (each.note or {}).get("made", ""), reverse=True)


def usable() -> Environment | None:
    """The environment to compute with, if there is one."""
    return next((each for each in environments() if each.usable), None)


def _made_with(folder: Path) -> str:
    """The folder of the Python that an environment was made with."""
    with contextlib.suppress(OSError):
        for line in (folder / "pyvenv.cfg").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("=")
            if name.strip() == "home":
                return value.strip()
    return ""


# --- making one ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wish:
    """What is asked for."""

    device: str = "auto"
    wheels: str = ""
    "a folder of wheels, for a computer without network; empty: the indexes"
    again: bool = False
    "even if nothing would change"
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    "how the network is reached, as variables of the installer's environment"


@dataclass(frozen=True)
class Listener:
    """Who waits for it."""

    notify: Callable[[str], None] = print
    "sentences"
    hear: Callable[[str], None] = lambda line: None
    "lines of the installer"
    progress: Callable[[float], None] = lambda share: None
    cancelled: Callable[[], bool] = lambda: False


def install(wish: Wish = Wish(), listener: Listener = Listener(), host: Host | None = None) -> Environment:
    """The environment, made if need be. One at a time: who comes second waits, and finds it made."""
    if wish.wheels and not os.path.isdir(wish.wheels):
        raise InstallError(f"there is no folder {wish.wheels} with wheels")
    base, tools = _tools(host or Host())
    choice = wheels.choose(wish.device, base.version, base.platform, [] if wish.device == "cpu" else wheels.gpus())
    there = Environment(paths.runtime() / base.tag)

    def waiting() -> None:
        listener.notify(f"Another program is installing into {there.folder}: waiting until it has done so.")

    try:
        with locked(_beside(there.folder, ".lock"), listener.cancelled, waiting):
            if wish.again or there.state != READY or there.note["wanted"] != choice.build:
                _Making(there, base, tools, wish, listener).make(choice)
    except OSError as error:
        raise InstallError(f"{there.folder} cannot be written: {error.strerror or error}") from None
    listener.notify(f"{there.folder} is complete: {summary(there.note)}.")
    return there


def summary(note: Mapping) -> str:
    """An environment in a few words."""
    devices = ", ".join(doctor.working(note["devices"]))
    return f"torch {note['pins']['torch']} ({note['build']}: {note['why']}), computes on {devices}"


def remove(folder: Path) -> None:
    """Away with it, at once or not at all: what is in use cannot be moved on Windows."""
    old = _beside(folder, OLD)
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        _move(folder, old)
    shutil.rmtree(old, ignore_errors=True)


def _move(folder: Path, to: Path) -> None:
    try:
        move(folder, to)
    except PermissionError:
        raise InstallError(f"{folder} is in use: close the other windows of QGIS and start again") from None


def _tools(host: Host) -> tuple[Python, list[Uv | Pip]]:
    """A Python that PyTorch is made for, the program's own if possible, and what makes an environment with it."""
    uv, lacking = find_uv(), None
    for path in [*find_python.own(host), *find_python.elsewhere(host)]:
        base = find_python.ask(path)
        if base is None or wheels.pins(base.version, base.platform) is None:
            continue
        tools = installers(base, uv)
        if tools:
            return base, tools
        lacking = lacking or base
    if uv:
        base = brought(find_python.this_platform())
        return base, installers(base, uv)
    raise without_pip(lacking, host)


def _beside(folder: Path, ending: str) -> Path:
    return folder.with_name(folder.name + ending)


class _Failed(Exception):
    "An installer ended with an error; the argument says why, in a sentence."


class _Making:
    """One installation, under the lock."""

    def __init__(self, there: Environment, base: Python, tools: Sequence[Uv | Pip], wish: Wish, listener: Listener):
        self.there, self.base, self.tools, self.wish, self.listener = there, base, tools, wish, listener
        self.new = Environment(_beside(there.folder, NEW))
        self.log, self.work = _beside(there.folder, ".log"), _beside(there.folder, ".work")
        self.guard = base.path if os.path.isfile(base.path) else None
        self.tick: Callable[[], None] = lambda: None

    def make(self, choice: Choice) -> None:
        """What was fetched is kept after a failure, for the next time; nothing is after a cancellation."""
        self._announce(choice)
        self._check_room(choice)
        self.tick = Ticking([self.new.folder, self.work], choice.download + choice.disk, self.listener)
        self.log.write_text("", encoding="utf-8")
        try:
            self._write_note(choice.build, *self._made(choice))
            remove(self.there.folder)
            _move(self.new.folder, self.there.folder)
        except Exception as error:
            shutil.rmtree(self.new.folder, ignore_errors=True)
            if isinstance(error, Cancelled):
                shutil.rmtree(self.work, ignore_errors=True)
            raise
        shutil.rmtree(self.work, ignore_errors=True)
        self.listener.progress(1.0)

    def _made(self, choice: Choice) -> tuple[Choice, dict]:
        """What was made in the end, and what it answered."""
        told = self._attempt(choice)
        reason = _cannot(told) or (_cuda_cannot(told) if choice.cuda else None)
        if reason and choice.cuda:
            why = f"{choice.build} was installed, but CUDA does not compute here: {reason}"
            self.listener.notify(f"{why}. So it will be the CPU.")
            choice = wheels.plain(self.base.version, self.base.platform, why)
            told = told if self.wish.wheels else self._attempt(choice)
            reason = _cannot(told)
        if reason:
            raise InstallError(f"what was installed does not compute: {reason} (all that was said: {self.log})")
        return choice, told

    def _attempt(self, choice: Choice) -> dict:
        """A fresh environment, and what doctor finds in it. If uv cannot make it, pip may."""
        pinned = choice.pinned if self.wish.wheels else choice.requirements
        wanted = Wanted(pinned, choice.index, self.wish.wheels, self.work)
        for tool in self.tools:
            self._clear()
            environ = {**tool.variables(wanted), **self.wish.variables}
            try:
                self._run(tool.make(self.new.folder), environ)
                self._run(tool.fill(self.new.python, wanted), environ)
                return self._proof()
            except _Failed as failed:
                reason = str(failed)
                self.listener.notify(f"{tool.name} has failed: {reason}.")
        raise InstallError(f"{reason} (all that was said: {self.log})")

    def _proof(self) -> dict:
        """What doctor finds in it; of a Python that crashes, that it does not compute."""
        try:
            return doctor.ask(self.new.python, self._hear, tick=self.tick, guard=self.guard)
        except NoPythonError as error:
            crashed = {"works": False, "reason": str(error), "name": None}
            return {"packages": dict.fromkeys(doctor.NEEDED), "devices": {"cpu": crashed}}

    def _clear(self) -> None:
        for folder in (self.new.folder, self.work / "tmp"):
            shutil.rmtree(folder, ignore_errors=True)
        (self.work / "tmp").mkdir(parents=True)

    def _run(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        lines: list[str] = []

        def hear(line: str) -> None:
            lines.append(line)
            self._hear(line)

        self._hear("> " + " ".join(command))
        if guarded_process.run(command, hear, tick=self.tick, guard=self.guard, environ=environ):
            raise _Failed(in_words(lines))

    def _hear(self, line: str) -> None:
        with self.log.open("a", encoding="utf-8") as log:
            log.write(line + "\n")
        self.listener.hear(line)

    def _announce(self, choice: Choice) -> None:
        source = self.wish.wheels or " and ".join(filter(None, [choice.index and shown(choice.index), "PyPI"]))
        pinned = choice.pinned if self.wish.wheels else choice.requirements
        fetched = "" if self.wish.wheels else f"about {choice.download / 1000:.1f} GB to fetch, "
        self.listener.notify(
            f"Installing {', '.join(pinned)} ({choice.why}) from {source} into {self.there.folder}, with "
            f"{self.tools[0].name} and Python {'.'.join(map(str, self.base.version))}: {fetched}"
            f"{choice.disk / 1000:.1f} GB on the disk. All that is said is kept in {self.log}."
        )

    def _check_room(self, choice: Choice) -> None:
        needed = choice.disk + (0 if self.wish.wheels else choice.download)
        self.work.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.work).free / 1e6
        if free < needed:
            raise InstallError(
                f"{self.work.parent} has room for {free / 1000:.1f} GB and {needed / 1000:.1f} GB are needed: "
                "make room, or choose another cache folder"
            )

    def _write_note(self, wanted: str, choice: Choice, told: dict) -> None:
        note = {
            "ssdiff": __version__,
            "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "wanted": wanted,
            "build": choice.build,
            "why": choice.why,
            "pins": choice.pins,
            "version": self.base.version,
            "platform": self.base.platform,
            "devices": told["devices"],
        }
        with (self.new.folder / NOTE).open("w", encoding="utf-8") as file:
            json.dump(note, file, indent=2)
            file.flush()
            os.fsync(file.fileno())


class Ticking:
    """Asks whether it is still wanted, and tells how far it is: by the bytes on the disk, which no installer hides."""

    EVERY = 2.0
    "seconds between two looks at the disk"

    def __init__(self, folders: Sequence[Path], expected: int, listener: Listener):
        self.folders, self.expected, self.listener = folders, expected, listener
        self.last, self.share = time.monotonic(), 0.0

    def __call__(self) -> None:
        if self.listener.cancelled():
            raise Cancelled("cancelled")
        if time.monotonic() - self.last > self.EVERY:
            share = sum(map(size_of, self.folders)) / 1e6 / self.expected
            self.share = max(self.share, min(share, 0.95))  # what was fetched goes again once it is unpacked
            self.listener.progress(self.share)
            self.last = time.monotonic()


def size_of(folder: Path) -> int:
    """Bytes of all files in it; of what goes away meanwhile, none."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(path, name)).st_size
    return total


def _cannot(told: Mapping) -> str | None:
    """Why an environment does not compute at all, if so."""
    missing = [name for name in doctor.NEEDED if told["packages"][name] is None]
    cpu = told["devices"]["cpu"]
    if cpu["works"] and not missing:
        return None
    return in_words([cpu["reason"] or f"{', '.join(missing)} cannot be imported"])


def _cuda_cannot(told: Mapping) -> str | None:
    devices = {name: device for name, device in told["devices"].items() if name.startswith("cuda")}
    if any(device["works"] for device in devices.values()):
        return None
    return next((device["reason"] for device in devices.values()), "torch sees no such device")
