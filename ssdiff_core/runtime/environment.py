"""Python environments for the computing process, with torch, numpy and safetensors.

They are in `paths.runtime()` under a name made of Python version and platform; every QGIS of this user uses them. An
environment is created beside its final folder and moved there once a kernel has run in it; so incomplete ones are never
used, and the previous one is used until then.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from .. import __version__
from ..common import guarded_process, paths
from ..common.errors import Cancelled, InstallError, NoPythonError, message_of
from ..common.files import is_own, move, open_to_read
from ..common.locks import locked
from ..common.notices import Notice, Notify, notice
from ..weights.http import hidden, without_secrets
from . import doctor, find_python, lock, wheels
from .find_python import Host, Python
from .installers import (
    NO_WHEEL,
    PackageSource,
    Pip,
    Uv,
    explain,
    find_uv,
    installers,
    no_installer_error,
    unreachable_host,
    uv_python,
)
from .wheels import Choice

NOTE = "ssdiff.json"
"file in the environment that records what was installed"
NEW, OLD = ".new", ".old"
"suffixes of folders that are being created and removed"
MAXIMUM_NOTE = 1 << 20
"bytes that are read of it"
NOTE_TYPES = {"pins": dict, "version": list, "platform": str, "devices": dict, "build": str, "why": str, "wanted": str}
"entries of a record and their types"
PARTS = (NOTE, "pyvenv.cfg", "bin", "lib", "Scripts", "Lib")
"files and folders of an environment that others must not be able to change"
READY, OUTDATED, HALF_MADE, BROKEN, FOREIGN = "ready", "outdated", "half-made", "broken", "foreign"
MEANING = {
    READY: "complete",
    OUTDATED: "complete, with other versions than this SSDiff installs: Install runtime updates it",
    HALF_MADE: "incomplete, because an installation is running or was interrupted: Install runtime starts it over",
    FOREIGN: "not used, because another user can change it: remove it, or choose another cache folder",
    BROKEN: "created with a Python that is gone: Install runtime creates it again",
}
"explanation of each state"


@dataclass(frozen=True)
class Environment:
    """An environment on the disk, whatever its state."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))

    @property
    def note(self) -> dict | None:
        """Record of what was installed; None if the installation is incomplete."""
        try:
            with open_to_read(self.folder / NOTE) as file:
                note = json.loads(file.read(MAXIMUM_NOTE))
            return note if _is_whole(note) else None
        except (OSError, ValueError, RecursionError):
            return None

    @property
    def is_own(self) -> bool:
        """Whether only this user and the administrator can change what would be run; links are not followed.

        The folder that contains the environments may be shared, if it protects what each user puts there (mode 1777).
        """
        try:
            shared = self.folder.parent
            named = [self.folder, *(self.folder / name for name in PARTS), Path(self.python)]
            protected = is_own(shared) or bool(shared.stat().st_mode & stat.S_ISVTX)
            return protected and not self.folder.is_symlink() and all(map(is_own, filter(_exists, named)))
        except OSError:
            return False

    @property
    def state(self) -> str:
        if not self.is_own:
            return FOREIGN
        note = self.note
        if note is None or self.folder.suffix == NEW:
            return HALF_MADE
        if not (os.path.isfile(self.python) and os.path.isdir(_base_folder(self.folder))):
            return BROKEN
        return READY if note["pins"] == wheels.pins(note["build"], note["version"], note["platform"]) else OUTDATED

    @property
    def usable(self) -> bool:
        """Whether this computer can use it: the folder may be on a drive that other computers share."""
        if self.state not in (READY, OUTDATED):
            return False
        current, installed = find_python.this_platform(), self.note["platform"]
        return current == installed or (current.startswith("macos") and installed.startswith("macos"))


def environments() -> list[Environment]:
    """Returns all environments, whatever their state, newest first."""
    configured = paths.runtime().glob("*/pyvenv.cfg")
    found = [Environment(path.parent) for path in configured if path.parent.suffix != OLD]
    return sorted(found, key=lambda each: str((each.note or {}).get("made", "")), reverse=True)


def usable() -> Environment | None:
    """Returns the newest environment that this computer can use, or None."""
    return next((each for each in environments() if each.usable), None)


def _is_whole(note: object) -> bool:
    """Returns whether a record has all entries, of the right types."""
    return (
        isinstance(note, dict)
        and all(isinstance(note.get(name), kind) for name, kind in NOTE_TYPES.items())
        and len(note["version"]) == 2
        and all(type(number) is int for number in note["version"])
        and isinstance(note["pins"].get("torch"), str)
        and all(isinstance(device, dict) and "works" in device for device in note["devices"].values())
    )


def _exists(path: Path) -> bool:
    return os.path.lexists(path)


def _base_folder(folder: Path) -> str:
    """Returns the folder of the Python that an environment was created with."""
    with contextlib.suppress(OSError), open_to_read(folder / "pyvenv.cfg") as file:
        for line in file.read(MAXIMUM_NOTE).decode("utf-8", "replace").splitlines():
            name, _, value = line.partition("=")
            if name.strip() == "home":
                return value.strip()
    return ""


# --- installation ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InstallOptions:
    """Options of an installation."""

    device: str = "auto"
    wheels: str = ""
    "folder of wheels, for a computer without network; empty: packages come from the indexes"
    reinstall: bool = False
    "whether to install even if the environment is complete"
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    "environment variables for the installer, such as those of a proxy"


@dataclass(frozen=True)
class Listener:
    """Callbacks of an installation."""

    notify: Notify = print
    on_line: Callable[[str], None] = lambda line: None
    "called with each line of the installer's output"
    progress: Callable[[float], None] = lambda share: None
    cancelled: Callable[[], bool] = lambda: False


def install(
    options: InstallOptions = InstallOptions(), listener: Listener = Listener(), host: Host | None = None
) -> Environment:
    """Returns the environment, and installs it first if it is not complete.

    Only one installation runs at a time: a second program waits for the first.
    """
    if options.wheels and not os.path.isdir(options.wheels):
        raise InstallError(notice("no_wheels_folder", folder=str(options.wheels)))
    base, tools = _tools(host or Host())
    gpus = [] if options.device == "cpu" else wheels.gpus()
    choice = wheels.choose(options.device, base.version, base.platform, gpus)
    target = Environment(paths.runtime() / base.tag)

    def waiting() -> None:
        listener.notify(notice("install_waiting", folder=str(target.folder)))

    try:
        for folder in (paths.cache(), paths.runtime()):  # with any umask, others must not write to them
            folder.mkdir(0o755, parents=True, exist_ok=True)
        with locked(_beside(target.folder, ".lock"), listener.cancelled, waiting):
            if options.reinstall or target.state != READY or target.note["wanted"] != choice.build:
                _Installation(target, base, tools, options, listener).run(choice)
    except OSError as error:
        raise InstallError(
            notice("cache_unwritable", folder=str(target.folder), reason=error.strerror or str(error))
        ) from None
    listener.notify(notice("install_finished", folder=str(target.folder), summary=summary(target.note)))
    return target


def summary(note: Mapping) -> str:
    """Returns version, build and devices of an environment as text."""
    devices = ", ".join(doctor.working(note["devices"]))
    return f"torch {note['pins']['torch']} ({note['build']}: {note['why']}), works on {devices}"


def remove(folder: Path) -> None:
    """Removes an environment as a whole, or raises InstallError: Windows cannot move a folder that is in use."""
    old = _beside(folder, OLD)
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        _move(folder, old)
    shutil.rmtree(old, ignore_errors=True)


def _move(folder: Path, target: Path) -> None:
    try:
        move(folder, target)
    except PermissionError:
        raise InstallError(notice("environment_in_use", folder=str(folder))) from None


def _tools(host: Host) -> tuple[Python, list[Uv | Pip]]:
    """Returns a Python with PyTorch wheels, that of the program if possible, and the installers that work with it."""
    uv, without_installer = find_uv(), None
    for path in [*find_python.of_program(host), *find_python.of_system(host)]:
        base = find_python.properties(path)
        if base is None or not wheels.choices(base.version, base.platform):
            continue
        tools = installers(base, uv)
        if tools:
            return base, tools
        without_installer = without_installer or base
    if uv:
        base = uv_python(find_python.this_platform())
        return base, installers(base, uv)
    raise no_installer_error(without_installer, host)


def _beside(folder: Path, suffix: str) -> Path:
    return folder.with_name(folder.name + suffix)


class _InstallerFailed(Exception):
    "Raised when an installer ended with an error; the message is the reason."

    def __init__(self, lines: Sequence[str]):
        told = explain(lines)
        super().__init__(told)
        self.host = unreachable_host(lines)
        "host without connection, if that was the reason"
        lacking = told.values["package"] if isinstance(told, Notice) and told.kind == NO_WHEEL else ""
        self.lacks_torch = lacking.startswith("torch")
        "whether the index has no torch, as if a firewall answers in its place"


class _Installation:
    """One installation, which runs under the lock."""

    def __init__(
        self,
        target: Environment,
        base: Python,
        tools: Sequence[Uv | Pip],
        options: InstallOptions,
        listener: Listener,
    ):
        self.target, self.base, self.tools, self.options, self.listener = target, base, tools, options, listener
        self.new = Environment(_beside(target.folder, NEW))
        self.log, self.work = _beside(target.folder, ".log"), _beside(target.folder, ".work")
        self.guard = base.path if os.path.isfile(base.path) else None
        self.tick: Callable[[], None] = lambda: None

    def run(self, choice: Choice) -> None:
        """Installs the chosen wheels. What was downloaded is kept after a failure or a cancellation."""
        self._announce(choice)
        self._check_disk_space(choice)
        self.tick = _Progress([self.new.folder, self.work], choice.download + choice.disk, self.listener)
        self.log.write_text("", encoding="utf-8")
        os.chmod(self.log, 0o644)
        try:
            self._write_note(choice.build, *self._install(choice))
            remove(self.target.folder)
            _move(self.new.folder, self.target.folder)
        except Exception as error:
            shutil.rmtree(self.new.folder, ignore_errors=True)
            if isinstance(error, Cancelled):
                shutil.rmtree(self.work / "tmp", ignore_errors=True)
            raise
        shutil.rmtree(self.work, ignore_errors=True)
        self.listener.progress(1.0)

    def _install(self, choice: Choice) -> tuple[Choice, dict]:
        """Installs the choice, or the CPU build if CUDA does not work. Returns what was installed and its report.

        Nothing replaces what is in a folder of wheels: it may be the only one.
        """
        try:
            report = self._attempt(choice)
        except _InstallerFailed as failed:
            choice = self._from_pypi(choice, failed)
            report = self._last_attempt(choice)
        reason = _failure(report) or (_cuda_failure(report) if choice.cuda else None)
        if reason and choice.cuda:
            why = notice("cuda_not_working", build=choice.build, reason=reason)
            self.listener.notify(notice("cuda_failed", reason=why))
            if self.options.wheels:
                choice = replace(choice, why=why)
            else:
                choice = wheels.without_cuda(self.base.version, self.base.platform, why)
                report = self._last_attempt(choice)
            reason = _failure(report)
        if reason:
            raise InstallError(notice("packages_fail", reason=reason, log=str(self.log)))
        return choice, report

    def _from_pypi(self, choice: Choice, failed: _InstallerFailed) -> Choice:
        """Returns PyPI's own torch if PyTorch's index cannot be used; raises InstallError if something else failed."""
        host = urlsplit(choice.index or "").hostname
        if self.options.wheels or not host or not (failed.host == host or failed.lacks_torch):
            raise self._error(failed) from None
        other = wheels.of_pypi(self.base.version, self.base.platform, notice("install_host", host=host))
        sizes = {"download_gb": other.download / 1000, "disk_gb": other.disk / 1000}
        self.listener.notify(notice("torch_from_pypi", host=host, **sizes))
        self._check_disk_space(other)
        self.tick.expected = other.download + other.disk
        return other

    def _error(self, failed: _InstallerFailed) -> InstallError:
        return InstallError(notice("install_failed", reason=message_of(failed), log=str(self.log)))

    def _last_attempt(self, choice: Choice) -> dict:
        try:
            return self._attempt(choice)
        except _InstallerFailed as failed:
            raise self._error(failed) from None

    def _attempt(self, choice: Choice) -> dict:
        """Installs into a new environment and returns its report. If one installer fails, the next is tried.

        Raises _InstallerFailed if the last one fails.
        """
        steps = self._steps(choice)
        for step in steps:
            if step.index and not step.hashed:
                index = without_secrets(step.index)
                self.listener.notify(notice("install_without_checksum", package=step.lines[0], index=index))
        sources = [PackageSource(step, self.options.wheels, self.work) for step in steps]
        for tool in self.tools:
            self._clear()
            try:
                self._run_tool(tool, sources)
                return self._report()
            except _InstallerFailed as failed:
                if tool is self.tools[-1]:
                    raise
                self.listener.notify(notice("installer_failed", tool=tool.name, reason=message_of(failed)))
        raise AssertionError("there is no installer")

    def _run_tool(self, tool: Uv | Pip, sources: Sequence[PackageSource]) -> None:
        """Creates the environment, installs into it, and checks that nothing is missing that a package depends on."""
        for source in sources:
            environ = {**tool.variables(source), **self.options.variables}
            if source is sources[0]:
                self._run_installer(tool.create(self.new.folder), environ)
            source.write()
            self._run_installer(tool.install(self.new.python, source), environ)
        self._run_installer(tool.check(self.new.python), environ)

    def _steps(self, choice: Choice) -> list[lock.Step]:
        if self.options.wheels:
            return [lock.Step(tuple(choice.pinned))]
        return lock.steps(choice, self.base.version, self.base.platform)

    def _requirements(self, choice: Choice) -> list[str]:
        return choice.pinned if self.options.wheels else choice.requirements

    def _report(self) -> dict:
        """Returns the report of the new environment; one without a working device if its Python crashes."""
        try:
            return doctor.check(self.new.python, self._on_line, tick=self.tick, guard=self.guard)
        except NoPythonError as error:
            crashed = {"works": False, "reason": str(error), "name": None}
            return {"packages": dict.fromkeys(doctor.NEEDED), "devices": {"cpu": crashed}}

    def _clear(self) -> None:
        for folder in (self.new.folder, self.work / "tmp"):
            shutil.rmtree(folder, ignore_errors=True)
        self.work.mkdir(0o755, parents=True, exist_ok=True)
        (self.work / "tmp").mkdir(0o700)

    def _run_installer(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        lines: list[str] = []

        def on_line(line: str) -> None:
            lines.append(hidden(line, urls))
            self._on_line(lines[-1])

        urls = [value for value in environ.values() if "://" in value]
        self._on_line(hidden("> " + " ".join(command), urls))
        if guarded_process.run(command, on_line, tick=self.tick, guard=self.guard, environ=environ):
            raise _InstallerFailed(lines)

    def _on_line(self, line: str) -> None:
        with self.log.open("a", encoding="utf-8") as log:
            log.write(line + "\n")
        self.listener.on_line(line)

    def _announce(self, choice: Choice) -> None:
        """Notifies of what is installed, from where, to where and how large it is."""
        indexes = [without_secrets(choice.index), "PyPI"] if choice.index else ["PyPI"]
        values = {
            "packages": self._requirements(choice),
            "reason": choice.why,
            "source": self.options.wheels or " and ".join(indexes),
            "folder": str(self.target.folder),
            "tool": self.tools[0].name,
            "python": ".".join(map(str, self.base.version)),
            "disk_gb": choice.disk / 1000,
            "log": str(self.log),
        }
        if self.options.wheels:
            self.listener.notify(notice("install_started_offline", **values))
        else:
            self.listener.notify(notice("install_started", download_gb=choice.download / 1000, **values))

    def _check_disk_space(self, choice: Choice) -> None:
        needed = choice.disk + (0 if self.options.wheels else choice.download)
        self.work.mkdir(0o755, parents=True, exist_ok=True)
        free = shutil.disk_usage(self.work).free / 1e6
        if free < needed:
            raise InstallError(
                notice("install_room", folder=str(self.work.parent), free=free / 1000, needed=needed / 1000)
            )

    def _write_note(self, requested_build: str, choice: Choice, report: dict) -> None:
        note = {
            "ssdiff": __version__,
            "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "wanted": requested_build,
            "build": choice.build,
            "why": str(choice.why),
            "pins": choice.pins,
            "version": self.base.version,
            "platform": self.base.platform,
            "devices": report["devices"],
        }
        with (self.new.folder / NOTE).open("w", encoding="utf-8") as file:
            json.dump(note, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(self.new.folder / NOTE, 0o644)


class _Progress:
    """Checks for cancellation, and estimates the progress from the bytes on the disk."""

    INTERVAL_SECONDS, NOTICE_SECONDS = 2.0, 15.0
    "time between two measurements of the folders, and between two notices of the size"

    def __init__(self, folders: Sequence[Path], expected: int, listener: Listener):
        self.folders, self.expected, self.listener = folders, expected, listener
        self.last, self.share = time.monotonic(), 0.0
        self.told = self.last

    def __call__(self) -> None:
        if self.listener.cancelled():
            raise Cancelled("cancelled")
        if time.monotonic() - self.last > self.INTERVAL_SECONDS:
            done = sum(map(size_of, self.folders)) / 1e6
            share = done / self.expected
            if time.monotonic() - self.told > self.NOTICE_SECONDS and done < self.expected:
                self.told = time.monotonic()
                self.listener.notify(notice("install_progress", done_mb=done, total_mb=self.expected))
            self.share = max(self.share, min(share, 0.95))  # downloads are removed once they are unpacked
            self.listener.progress(self.share)
            self.last = time.monotonic()


def size_of(folder: Path) -> int:
    """Returns the bytes of all files in a folder; files that vanish meanwhile do not count."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(path, name)).st_size
    return total


def _failure(report: Mapping) -> Notice | str | None:
    """Returns why an environment does not work at all; None if it works."""
    missing = [name for name in doctor.NEEDED if report["packages"][name] is None]
    cpu = report["devices"]["cpu"]
    if cpu["works"] and not missing:
        return None
    return explain([cpu["reason"] or f"{', '.join(missing)} cannot be imported"])


def _cuda_failure(report: Mapping) -> str | None:
    """Returns why no CUDA device works; None if one works."""
    devices = {name: device for name, device in report["devices"].items() if name.startswith("cuda")}
    if any(device["works"] for device in devices.values()):
        return None
    return next((device["reason"] for device in devices.values()), "torch finds no CUDA device")
