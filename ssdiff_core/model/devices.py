"""Choice of the device. A device counts as working only after it has run a kernel."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..classical.parallel import one_thread
from ..common.errors import DeviceError
from ..common.notices import notice

KINDS = ("cpu", "cuda", "mps")
FASTER = 1.2
"factor by which a CPU must compute faster in bfloat16 than in float32 to use it"


def failure_of(name: str) -> str | None:
    """Returns the reason why a device does not work; None if it works."""
    if name.split(":")[0] not in KINDS:
        return f"SSDiff computes on {', '.join(KINDS)} only"
    try:
        device = torch.device(name)
        image = torch.arange(36.0, device=device).view(1, 1, 6, 6)
        answer = torch.nn.functional.conv2d(image, torch.ones(1, 1, 3, 3, device=device)).sum().item()
    except Exception as error:  # drivers raise errors of many classes
        return str(error).strip().splitlines()[0].split(". ")[0] if str(error).strip() else type(error).__name__
    return None if answer == 16 * 9 * 17.5 else f"a convolution returned {answer}, not {16 * 9 * 17.5}"


def choose(name: str = "auto") -> torch.device:
    """Returns the device with this name; for "auto" the fastest that works. Raises DeviceError if it does not work."""
    if name != "auto":
        reason = failure_of(name)
        if reason:
            raise DeviceError(notice("device_fails", device=name, reason=str(reason)))
        return torch.device(name)
    candidates = ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()
    return torch.device(next((name for name in candidates if failure_of(name) is None), "cpu"))


def survey() -> dict[str, dict]:
    """Returns all possible devices: whether each works, its name, or the reason why it does not."""
    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())] or ["cuda"]
    found = {}
    for name in ["cpu", *cuda, "mps"]:
        reason = failure_of(name)
        found[name] = {"works": reason is None, "reason": reason, "name": describe(name) if reason is None else None}
    return found


def describe(name: str) -> str:
    """Returns a device's name and memory, or its number of threads."""
    device = torch.device(name)
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    return f"{torch.get_num_threads()} threads" if device.type == "cpu" else "Apple GPU"


class Transfers:
    """Copies of images between the host and a device."""

    def __init__(self, device: torch.device):
        self.device = device

    def upload(self, image: np.ndarray) -> Tensor:
        """Returns an image on the device."""
        return upload(image, self.device)

    def download(self, tensor: Tensor) -> Callable[[], np.ndarray]:
        """Starts the copy to the host; returns a function that waits for it and returns the array."""
        return lambda: tensor.cpu().numpy()

    def free_memory(self) -> int | None:
        """Returns the free memory of the device in bytes; None: the device has that of the host."""
        return None


class CudaTransfers(Transfers):
    """Copies beside the kernels, in streams of their own.

    Only this class calls what needs a real GPU, so that a test without one can replace it.
    """

    def __init__(self, device: torch.device):
        super().__init__(device)
        self._upstream, self._downstream = torch.cuda.Stream(device), torch.cuda.Stream(device)

    @staticmethod
    def pinned(tensor: Tensor) -> Tensor:
        """Returns a host tensor in memory that a GPU reads while the host goes on."""
        return tensor.pin_memory()

    def upload(self, image: np.ndarray) -> Tensor:
        """Returns an image on the device, which is copied while the previous kernels run."""
        with torch.cuda.stream(self._upstream):
            uploaded = upload(image, self.device)
        torch.cuda.current_stream(self.device).wait_stream(self._upstream)
        uploaded.record_stream(torch.cuda.current_stream(self.device))
        return uploaded

    def download(self, tensor: Tensor) -> Callable[[], np.ndarray]:
        """Starts the copy to the host; returns a function that waits for it and returns the array."""
        self._downstream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._downstream):
            host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            host.copy_(tensor, non_blocking=True)
            tensor.record_stream(self._downstream)
            arrived = self._downstream.record_event()
        return lambda: (arrived.synchronize(), host.numpy())[1]

    def free_memory(self) -> int:
        """Returns the free memory of the device in bytes, with what torch keeps for further tensors."""
        kept = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return torch.cuda.mem_get_info(self.device)[0] + kept


def transfers(device: torch.device) -> Transfers:
    """Returns the copies between the host and a device."""
    return CudaTransfers(device) if device.type == "cuda" else Transfers(device)


def upload(array: np.ndarray, device: torch.device) -> Tensor:
    """Returns an array on the device. CUDA copies it asynchronously from pinned memory, so the host does not wait."""
    tensor = torch.from_numpy(np.require(array, requirements=("C", "W")))
    return CudaTransfers.pinned(tensor).to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def fast_bfloat16(device: torch.device) -> bool:
    """Returns whether the device computes faster in bfloat16 than in float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)  # earlier ones emulate it
    return device.type == "cpu" and _cpu_bfloat16_is_faster()


@functools.cache
def _cpu_bfloat16_is_faster() -> bool:
    """Measures a convolution in both types: some processors have slow instructions for bfloat16, others fast ones."""
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)  # the only public name is newer
    if not supported():
        return False
    with one_thread(), torch.inference_mode():
        return FASTER * _convolution_seconds(torch.bfloat16) < _convolution_seconds(torch.float32)


def _convolution_seconds(dtype: torch.dtype) -> float:
    """Returns the processor time of a convolution of about 0.2 gigaflops: the shortest of several."""
    image = torch.ones(1, 96, 32, 32, dtype=dtype).contiguous(memory_format=torch.channels_last)
    kernel = torch.ones(96, 96, 3, 3, dtype=dtype).contiguous(memory_format=torch.channels_last)
    times = []
    for _ in range(6):
        started = time.thread_time()
        torch.nn.functional.conv2d(image, kernel, padding=1)
        times.append(time.thread_time() - started)
    return min(times)


def release(device: torch.device) -> None:
    """Frees the device memory that torch keeps cached."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
