"""Search for the drivers of GPUs, without importing torch."""

from __future__ import annotations

import ctypes
import os
import sys

LIBRARIES = {"linux": "libcuda.so.1", "win32": "nvcuda.dll"}
"the library of NVIDIA's driver by operating system"
OTHER_GPUS = ("/dev/kfd", "/dev/dxg")
"devices of AMD's driver, and of Windows' GPUs in its Linux"


def may_have_gpu() -> bool:
    """Returns whether torch may find a GPU here; it takes a second to import, only to answer that there is none."""
    if sys.platform not in LIBRARIES or any(map(os.path.exists, OTHER_GPUS)):
        return True
    try:
        ctypes.CDLL(LIBRARIES[sys.platform])
    except OSError:
        return False
    return True
