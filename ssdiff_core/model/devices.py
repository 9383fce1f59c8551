"""Which device computes. A device is believed only after it has run a kernel."""

from __future__ import annotations

import numpy as np
import torch

from ..common.errors import DeviceError

KINDS = ("cpu", "cuda", "mps")


def prove(name: str) -> str | None:
    """None if the device computes, else the reason why not."""
    if name.split(":")[0] not in KINDS:
        return f"SSDiff computes on {', '.join(KINDS)} only"
    try:
        device = torch.device(name)
        image = torch.arange(36.0, device=device).view(1, 1, 6, 6)
        answer = torch.nn.functional.conv2d(image, torch.ones(1, 1, 3, 3, device=device)).sum().item()
    except Exception as error:  # drivers fail in every possible way
        return str(error).strip().splitlines()[0].split(". ")[0] if str(error).strip() else type(error).__name__
    return None if answer == 16 * 9 * 17.5 else f"a convolution answered {answer}"


def choose(name: str = "auto") -> torch.device:
    """The device of that name if it computes, or for "auto" the fastest that does."""
    if name != "auto":
        reason = prove(name)
        if reason:
            raise DeviceError(f"device {name!r} does not work here: {reason}")
        return torch.device(name)
    candidates = ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()
    return torch.device(next((name for name in candidates if prove(name) is None), "cpu"))


def survey() -> dict[str, dict]:
    """Every device torch could have, with what it is called and the proof or the reason."""
    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())] or ["cuda"]
    found = {}
    for name in ["cpu", *cuda, "mps"]:
        reason = prove(name)
        found[name] = {"works": reason is None, "reason": reason, "name": describe(name) if reason is None else None}
    return found


def describe(name: str) -> str:
    device = torch.device(name)
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    return f"{torch.get_num_threads()} threads" if device.type == "cpu" else "Apple GPU"


def upload(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """An array on the device. CUDA fetches it from pinned memory in its own time, so the host does not wait."""
    tensor = torch.from_numpy(np.require(array, requirements=("C", "W")))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def release(device: torch.device) -> None:
    """Gives memory that torch holds back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
