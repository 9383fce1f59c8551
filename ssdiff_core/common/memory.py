"""Memory of the computer."""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
UNKNOWN_SHARE = 0.25
"share of the memory that counts as free if the system does not say how much is"


class _Status(ctypes.Structure):
    """MEMORYSTATUSEX of Windows."""

    _fields_ = (
        ("length", ctypes.c_ulong),
        ("load", ctypes.c_ulong),
        *((name, ctypes.c_ulonglong) for name in ("total", "free", "file", "file_free", "virtual", "virtual_free")),
        ("extended", ctypes.c_ulonglong),
    )


def has_limited_address_space() -> bool:
    """Returns whether the system limits the address space of this process (ulimit -v); Windows has no such limit."""
    if os.name == "nt":
        return False
    import resource

    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def free_memory() -> int:
    """Returns the bytes that a new process can use without swapping; an estimate on macOS, 0 if nothing is known."""
    if os.name == "nt":
        status = _Status(length=ctypes.sizeof(_Status))
        return status.free if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)) else 0
    try:
        found = re.search(r"MemAvailable:\s+(\d+) kB", MEMINFO.read_text())
        if found:
            return int(found[1]) * 1024
    except OSError:
        pass
    try:
        return round(UNKNOWN_SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError):
        return 0
