"""Which wheels of PyTorch suit a computer: by its Python, its system, and what the NVIDIA driver says.

resources/runtime.json is the table; what it promises is proved after the installation, by a kernel.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..common.errors import InstallError
from ..common.isolated_python import HIDDEN, environment
from ..common.paths import RESOURCES

DEVICES = ("auto", "cpu", "cuda")
QUERIES = ("name,driver_version,compute_cap", "name,driver_version")
"what nvidia-smi is asked; drivers before 510 do not know compute_cap"
PLACES = (r"C:\Windows\System32", r"C:\Program Files\NVIDIA Corporation\NVSMI", "/usr/lib/wsl/lib", "/usr/bin")
"where nvidia-smi lies if PATH does not say"
KERNEL = Path("/proc/driver/nvidia/version")
"what the driver says of itself where nvidia-smi is out of reach, as in a Flatpak"
ROW = re.compile(r"(?P<name>\S.*?), (?P<driver>\d+\.\d[.\d]*)(?:, (?P<capability>\d+\.\d+|\[.*\]))?\s*")
MODULE = re.compile(r"NVRM version:.*?Kernel Module.*?\s(?P<driver>\d{3,}\.\d[.\d]*)\s")


@dataclass(frozen=True)
class Gpu:
    name: str
    driver: str
    capability: str | None = None
    "None: the driver did not say"


@dataclass(frozen=True)
class Choice:
    """What is to be installed."""

    build: str
    "cpu, mps, or the CUDA that PyTorch is built with: cu130 ..."
    why: str
    pins: Mapping[str, str]
    index: str | None
    "an index beside PyPI that has torch for this build"
    download: int
    disk: int
    "MB, about"

    @property
    def cuda(self) -> bool:
        return self.build.startswith("cu")

    @property
    def requirements(self) -> list[str]:
        """For an installer. What comes from PyTorch's index bears the build in its version, so PyPI cannot have it."""
        label = f"+{self.build}" if self.index else ""
        return [f"{name}=={pin}{label if name == 'torch' else ''}" for name, pin in self.pins.items()]

    @property
    def pinned(self) -> list[str]:
        """The same, whatever the build: for a folder of wheels."""
        return [f"{name}=={pin}" for name, pin in self.pins.items()]


def table() -> dict:
    return json.loads((RESOURCES / "runtime.json").read_text(encoding="utf-8"))


def pins(version: tuple[int, int], platform: str) -> dict[str, str] | None:
    """The versions for a Python, or None if PyTorch has no wheels for it."""
    for row in table()["packages"]:
        first, last = (_numbers(end) for end in row["python"])
        if platform in row["platforms"] and first <= tuple(version) <= last:
            return row["pins"]
    return None


def choose(device: str, version: tuple[int, int], platform: str, gpus: Sequence[Gpu]) -> Choice:
    """The wheels for what was asked: auto, cpu or cuda; the choice says why."""
    if device not in DEVICES:
        raise InstallError(f"device {device!r} is none of {', '.join(DEVICES)}")
    if device == "cpu":
        return plain(version, platform, "the CPU was asked for")
    build, why = _cuda(_pins(version, platform), platform, gpus)
    if build:
        return _choice(build, why, version, platform, indexed=True)
    if device == "cuda":
        raise InstallError(f"there are no CUDA wheels for this computer: {why}")
    return plain(version, platform, why)


def plain(version: tuple[int, int], platform: str, why: str) -> Choice:
    """The wheels without CUDA."""
    build = next(row for row in table()["plain"] if platform in row["platforms"])
    return _choice(build, why, version, platform, build["index"])


def _choice(build: Mapping, why: str, version: tuple[int, int], platform: str, indexed: bool) -> Choice:
    index = f"{base_index()}/{build['name']}" if indexed else None
    return Choice(build["name"], why, _pins(version, platform), index, build["download"], build["disk"])


def base_index() -> str:
    """PyTorch's own index; SSDIFF_TORCH_INDEX names a mirror of it."""
    return (os.environ.get("SSDIFF_TORCH_INDEX") or table()["index"]).rstrip("/")


def _pins(version: tuple[int, int], platform: str) -> dict[str, str]:
    found = pins(version, platform)
    if found is None:
        raise InstallError(
            f"there is no PyTorch for Python {version[0]}.{version[1]} on {platform}: "
            "name a Python that has it in the options of Processing, or in SSDIFF_PYTHON"
        )
    return found


def _cuda(pinned: Mapping[str, str], platform: str, gpus: Sequence[Gpu]) -> tuple[dict | None, str]:
    """The best build for the newest GPU and its driver, with the reason; or why there is none."""
    builds = [row for row in table()["builds"] if pinned["torch"] in row["torch"] and platform in row["driver"]]
    if platform.startswith("macos"):
        return None, "this is a Mac"
    if not gpus:
        return None, "no NVIDIA GPU answers"
    if not builds:
        return None, f"PyTorch {pinned['torch']} has no CUDA for {platform}"
    gpu = max(gpus, key=lambda gpu: _numbers(gpu.capability or "0"))
    able = [build for build in builds if _covers(build["capability"], gpu.capability)]
    if not able:
        return None, f"PyTorch {pinned['torch']} has no kernels for {gpu.name} (compute capability {gpu.capability})"
    for build in able:
        if _numbers(gpu.driver) >= _numbers(build["driver"][platform]):
            return build, f"{gpu.name}, driver {gpu.driver}"
    oldest = min((build["driver"][platform] for build in able), key=_numbers)
    return None, f"the NVIDIA driver {gpu.driver} is too old, {oldest} or newer is needed: update it and start again"


def _covers(ends: Sequence[str | None], capability: str | None) -> bool:
    if capability is None:
        return True
    first, last = ends
    return _numbers(first) <= _numbers(capability) and (last is None or _numbers(capability) <= _numbers(last))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


# --- what the driver says --------------------------------------------------------------------------------------------


def gpus() -> list[Gpu]:
    """The NVIDIA GPUs of this computer, as far as the driver tells."""
    program = shutil.which("nvidia-smi") or shutil.which("nvidia-smi", path=os.pathsep.join(PLACES))
    for query in QUERIES if program else ():
        found = rows(_told([program, f"--query-gpu={query}", "--format=csv,noheader"]))
        if found:
            return found
    return module(KERNEL.read_text()) if KERNEL.is_file() else []


def rows(text: str) -> list[Gpu]:
    """What nvidia-smi answers. Its errors come as text too, and have no such rows."""
    matches = filter(None, map(ROW.fullmatch, text.splitlines()))
    return [Gpu(row["name"], row["driver"], _known(row["capability"])) for row in matches]


def module(text: str) -> list[Gpu]:
    """What the kernel's module says: its version, but not which GPUs it found."""
    found = MODULE.search(text)
    return [Gpu("an NVIDIA GPU", found["driver"])] if found else []


def _known(capability: str | None) -> str | None:
    return None if capability is None or capability.startswith("[") else capability


def _told(command: list[str]) -> str:
    try:
        done = subprocess.run(  # nosec B603
            command, env=environment(), capture_output=True, creationflags=HIDDEN, timeout=30, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace")
