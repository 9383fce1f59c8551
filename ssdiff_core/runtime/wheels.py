"""Choice of the PyTorch wheels for a computer, by its Python, its system and the NVIDIA driver.

The table is resources/runtime.json; after the installation, a kernel is run to test the choice.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..common.errors import InstallError
from ..common.isolated_python import NO_WINDOW, environment, find_program
from ..common.notices import Notice, notice
from ..common.paths import RESOURCES

PYPI = "pypi"
"name of the build that is PyPI's torch in place of another"
DEVICES = ("auto", "cpu", "cuda")
QUERIES = ("name,driver_version,compute_cap", "name,driver_version")
"queries of nvidia-smi; drivers before 510 do not know compute_cap"
SMI_FOLDERS = (r"C:\Windows\System32", r"C:\Program Files\NVIDIA Corporation\NVSMI", "/usr/lib/wsl/lib", "/usr/bin")
"folders to search for nvidia-smi besides PATH"
KERNEL = Path("/proc/driver/nvidia/version")
"version of the driver, for programs that cannot run nvidia-smi, such as those in a Flatpak"
ROW = re.compile(r"(?P<name>\S.*?), (?P<driver>\d+\.\d[.\d]*)(?:, (?P<capability>\d+\.\d+|\[.*\]))?\s*")
MODULE = re.compile(r"NVRM version:.*?Kernel Module.*?\s(?P<driver>\d{3,}\.\d[.\d]*)\s")


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU."""

    name: str
    driver: str
    capability: str | None = None
    "compute capability; None: the driver did not report it"


@dataclass(frozen=True)
class Choice:
    """The packages to install."""

    build: str
    "cpu, mps, pypi, or the CUDA version that PyTorch is built with, such as cu130"
    why: Notice | str
    "reason for this build"
    pins: Mapping[str, str]
    index: str | None
    "index besides PyPI that has torch for this build"
    download: int
    "approximate size of the download in MB"
    disk: int
    "approximate size of the environment in MB"

    @property
    def cuda(self) -> bool:
        return self.build.startswith("cu")

    @property
    def requirements(self) -> list[str]:
        """Requirements for the indexes. The version of torch names the build if it comes from PyTorch's index."""
        label = f"+{self.build}" if self.index else ""
        return [f"{name}=={pin}{label if name == 'torch' else ''}" for name, pin in self.pins.items()]

    @property
    def pinned(self) -> list[str]:
        """Requirements without the build, for a folder of wheels."""
        return [f"{name}=={pin}" for name, pin in self.pins.items()]


def table() -> dict:
    """Returns the table of versions and builds."""
    return json.loads((RESOURCES / "runtime.json").read_text(encoding="utf-8"))


def choices(version: Sequence[int], platform: str) -> list[Choice]:
    """Returns all that can be installed for a Python, preferred first; nothing if PyTorch has no wheels for it."""
    return [_choice(row, "", version, platform) for row in _builds(version, platform)]


def pins(build: str, version: Sequence[int], platform: str) -> Mapping[str, str] | None:
    """Returns the versions of a build that would be installed now, or None if there is no such build."""
    everything = choices(version, platform)
    found = [each.pins for each in everything if (not each.index if build == PYPI else each.build == build)]
    return found[0] if found else None


def choose(device: str, version: Sequence[int], platform: str, gpus: Sequence[Gpu]) -> Choice:
    """Returns the wheels for a device, one of auto, cpu and cuda."""
    if device not in DEVICES:
        raise InstallError(notice("wheels_device", known=DEVICES, device=device))
    builds = _builds(version, platform)
    if not builds:
        raise InstallError(notice("no_torch", major=version[0], minor=version[1], platform=platform))
    if device == "cpu":
        return without_cuda(version, platform, notice("cuda_not_wanted"))
    row, why = _cuda(builds, platform, gpus)
    if row:
        return _choice(row, why, version, platform)
    if device == "cuda":
        raise InstallError(notice("no_cuda_wheels", reason=why))
    return without_cuda(version, platform, why)


def without_cuda(version: Sequence[int], platform: str, why: Notice) -> Choice:
    """Returns the wheels without CUDA."""
    return _choice(next(row for row in _builds(version, platform) if "driver" not in row), why, version, platform)


def of_pypi(version: Sequence[int], platform: str, why: Notice) -> Choice:
    """Returns PyPI's own torch, for a network that blocks PyTorch's index. On Linux it may contain CUDA."""
    found = next(choice for choice in choices(version, platform) if not choice.index)
    return replace(found, build=PYPI, why=why)


def base_index() -> str:
    """Returns the address of PyTorch's index, or of the mirror in SSDIFF_TORCH_INDEX."""
    return (os.environ.get("SSDIFF_TORCH_INDEX") or table()["index"]).rstrip("/")


def _builds(version: Sequence[int], platform: str) -> list[dict]:
    return [row for row in table()["builds"].get(platform, []) if _name(version) in row["python"]]


def _choice(row: Mapping, why: Notice | str, version: Sequence[int], platform: str) -> Choice:
    index = f"{base_index()}/{row['name']}" if row["index"] else None
    others = (row for row in table()["others"] if platform in row["platforms"] and _name(version) in row["python"])
    pins = {"torch": row["torch"], **next(others)["pins"]}
    return Choice(row["name"], why, pins, index, row["download"], row["disk"])


def _cuda(builds: Sequence[Mapping], platform: str, gpus: Sequence[Gpu]) -> tuple[Mapping | None, Notice]:
    """Returns the best build for the newest GPU and its driver with the reason, or None and why there is none."""
    if platform.startswith("macos"):
        return None, notice("cuda_mac")
    if not gpus:
        return None, notice("cuda_no_gpu")
    with_cuda = [row for row in builds if "driver" in row]
    if not with_cuda:
        return None, notice("cuda_no_build", torch=builds[0]["torch"], platform=platform)
    gpu = max(gpus, key=lambda gpu: _numbers(gpu.capability or "0"))
    supported = [row for row in with_cuda if _covers(row["capability"], gpu.capability)]
    if not supported:
        gpu_values = {"gpu": gpu.name, "capability": gpu.capability}
        return None, notice("cuda_no_kernels", torch=with_cuda[0]["torch"], **gpu_values)
    for row in supported:
        if _numbers(gpu.driver) >= _numbers(row["driver"]):
            return row, notice("cuda_gpu", gpu=gpu.name, driver=gpu.driver)
    oldest = min((row["driver"] for row in supported), key=_numbers)
    return None, notice("cuda_old_driver", driver=gpu.driver, oldest=oldest)


def _covers(ends: Sequence[str | None], capability: str | None) -> bool:
    if capability is None:
        return True
    first, last = ends
    return _numbers(first) <= _numbers(capability) and (last is None or _numbers(capability) <= _numbers(last))


def _name(version: Sequence[int]) -> str:
    return "{}.{}".format(*version)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


# --- GPUs and driver ------------------------------------------------------------------------------------------------


def gpus() -> list[Gpu]:
    """Returns the NVIDIA GPUs of this computer that the driver reports."""
    program = find_program("nvidia-smi", SMI_FOLDERS)
    for query in QUERIES if program else ():
        found = parse_nvidia_smi(_output([program, f"--query-gpu={query}", "--format=csv,noheader"]))
        if found:
            return found
    return parse_kernel_module(KERNEL.read_text()) if KERNEL.is_file() else []


def parse_nvidia_smi(text: str) -> list[Gpu]:
    """Returns the GPUs in the output of nvidia-smi, none if the output is an error message."""
    matches = filter(None, map(ROW.fullmatch, text.splitlines()))
    return [Gpu(row["name"], row["driver"], _known(row["capability"])) for row in matches]


def parse_kernel_module(text: str) -> list[Gpu]:
    """Returns a GPU with the driver version of the kernel module, which does not report the GPUs themselves."""
    found = MODULE.search(text)
    return [Gpu("an NVIDIA GPU", found["driver"])] if found else []


def _known(capability: str | None) -> str | None:
    return None if capability is None or capability.startswith("[") else capability


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(  # nosec B603
            command, env=environment(), capture_output=True, creationflags=NO_WINDOW, timeout=30, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace")
