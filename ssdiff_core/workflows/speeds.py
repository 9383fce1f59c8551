"""How fast this computer fuses, measured by finished runs and kept for estimates in a small file of the cache folder.

An entry belongs to a device and a kind of computation. It holds the work of the last runs and the seconds that they
took; long runs count more than short ones, which are mostly preparation. Before the first run there are estimates from
the number of processors (docs/performance.md).
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from ..common import paths
from ..common.files import open_to_read, write_whole
from ..common.texts import printable

MAXIMUM_BYTES = 1 << 20
"bytes that are read of the file"
LIMITS = 1e-12, 1e18
"values of work and seconds beyond which an entry is damaged"
MAXIMUM_NAME = 200
"characters of the name of a device"
COUNTED_SECONDS = 60.0
"seconds of the last runs that count, so that an entry follows a computer that becomes slower or faster"
FADING = 0.5
"share of what was measured that counts after another run, as the first run after a start of the computer is slow"
ASSUMED_SECONDS = 0.25
"seconds of an imagined run at the assumed speed, which is added to the measured ones"
GPU_PROCESSORS = 20
"processors that a GPU replaces, by assumption: the speed on a GPU has not been measured"
CPU = "cpu"


@dataclass(frozen=True)
class Device:
    """A device that speeds are measured on."""

    id: str
    "cpu, cuda, cuda:0 or mps"
    name: str = ""
    "name of a GPU"

    @property
    def is_processor(self) -> bool:
        return self.id == CPU

    def __str__(self) -> str:
        return f"{processors()} x CPU" if self.is_processor else self.name or self.id


@dataclass(frozen=True)
class Kind:
    """A kind of computation and its assumed speed."""

    name: str
    assumed: float
    "units of work a second of one processor"
    parallel: bool = True
    "whether more processors are faster"

    def assumed_on(self, device: Device) -> float:
        """Returns the assumed units of work a second on a device."""
        count = processors() if device.is_processor else GPU_PROCESSORS
        return self.assumed * (count if self.parallel else 1)


@dataclass(frozen=True)
class Speed:
    """Units of work a second."""

    rate: float
    measured: bool
    "whether a run on this computer has measured it"


def processors() -> int:
    """Returns the number of processor cores that this process may use."""
    with contextlib.suppress(AttributeError, OSError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def speed(kind: Kind, device: Device) -> Speed:
    """Returns the speed of a kind of computation on a device."""
    work, seconds = _read("speeds", _is_run).get(_key(kind, device), (0.0, 0.0))
    rate = (work + kind.assumed_on(device) * ASSUMED_SECONDS) / (seconds + ASSUMED_SECONDS)
    return Speed(rate, seconds > 0)


def record(kind: Kind, device: Device, work: float, seconds: float) -> None:
    """Adds a finished run to the measured speeds."""
    if not (work > 0 and seconds > 0):
        return
    key, found = _key(kind, device), _read("speeds", _is_run)
    before, took = found.get(key, (0.0, 0.0))
    kept = min(FADING, max(COUNTED_SECONDS - seconds, 0.0) / took) if took else 0.0
    counted = min(1.0, COUNTED_SECONDS / seconds)
    _write("speeds", {**found, key: (before * kept + work * counted, took * kept + seconds * counted)})


def remember_device(name: str, device: Device) -> None:
    """Keeps which device the name of an option, such as auto, has meant in the last run."""
    found = _read("devices", _is_device)
    if found.get(name) != [device.id, device.name]:
        _write("devices", {**found, name: [device.id, device.name]})


def device_called(name: str) -> Device:
    """Returns the device that a name has meant in the last run; before the first, the processor for auto."""
    known = _read("devices", _is_device).get(name)
    return Device(*known) if known else Device(CPU if name == "auto" else name)


# --- the file --------------------------------------------------------------------------------------------------------


def file() -> Path:
    """Returns the file of the measured speeds."""
    return paths.cache() / "speeds.json"


def _key(kind: Kind, device: Device) -> str:
    return f"{kind.name} on {device}"


def _is_run(value) -> bool:
    return _are(value, (int, float)) and all(LIMITS[0] < number < LIMITS[1] for number in value)


def _is_device(value) -> bool:
    return _are(value, (str,)) and all(printable(each) == each and len(each) <= MAXIMUM_NAME for each in value)


def _are(value, types: tuple[type, ...]) -> bool:
    """Returns whether a value of the file is a list of two of these types."""
    return isinstance(value, list) and len(value) == 2 and all(type(each) in types for each in value)


def _read(part: str, is_valid) -> dict:
    """Returns a part of the file; empty if the file is missing or damaged."""
    with contextlib.suppress(OSError, ValueError, AttributeError, RecursionError):
        with open_to_read(file()) as content:
            found = json.loads(content.read(MAXIMUM_BYTES)).get(part, {})
        return {key: value for key, value in found.items() if is_valid(value)}
    return {}


def _write(part: str, values: dict) -> None:
    """Replaces a part of the file; a file that cannot be written is left as it is."""
    parts = {"speeds": _read("speeds", _is_run), "devices": _read("devices", _is_device)}
    with contextlib.suppress(OSError):
        file().parent.mkdir(parents=True, exist_ok=True)
        write_whole(file(), json.dumps({**parts, part: values}, indent=1))
