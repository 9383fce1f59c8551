"""A CUDA device without a GPU: its tensors have a shape, a type and a device, but no values.

Operations that mix devices or types raise as on a GPU. Tensors on the CPU keep their values.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._pytree import tree_map

from ssdiff_core.model import devices

DEVICE = "cuda:0"
CUDA, META = 1, 14
"numbers of types of devices in torch"
COPIES = torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default
READS = torch.ops.aten._local_scalar_dense.default, torch.ops.aten.equal.default
"operations that return a value to the host"


class WaitsForDevice(Exception):
    """Raised where the host waits for the device: to read a value, or to copy memory that is not pinned."""


class FakeCuda(FakeTensorMode):
    """Makes tensors on CUDA fake. Inside `waiting`, the host may wait for the device."""

    avoid_device_init = True  # also where torch is told that there is a GPU

    def __init__(self):
        super().__init__()
        self._may_wait, self._value = False, 0.0
        self.types = set()
        "types of the tensors that were computed with"

    def __deepcopy__(self, memo) -> FakeCuda:
        return self  # a copy of a tensor is on the same device

    @contextlib.contextmanager
    def waiting(self, value: float = 0.0) -> Iterator[None]:
        """Lets the host wait for the device; every value that it reads there is `value`."""
        before = self._may_wait, self._value
        self._may_wait, self._value = True, value
        try:
            yield
        finally:
            self._may_wait, self._value = before

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = list(_tensors((*args, *kwargs.values())))
        on_device = [tensor for tensor in tensors if is_fake(tensor)]
        device = kwargs.get("device")
        if not on_device and (device is None or torch.device(device).type != "cuda"):
            return func(*args, **kwargs)
        if _is_composite(func):
            with self:
                return func.decompose(*args, **kwargs)
        if func in READS:
            self._wait(func)
            return self._value
        if func in COPIES:
            return self._copy(func, types, args, kwargs)
        self.types |= {tensor.dtype for tensor in on_device}
        return super().__torch_dispatch__(func, types, args, kwargs)

    def _copy(self, func, types, args, kwargs) -> Tensor:
        """Copies between devices, or from one type to another."""
        to_host = (kwargs.get("device") or args[0].device).type == "cpu"
        from_host = not all(map(is_fake, _tensors(args)))
        if to_host or (from_host and not kwargs.get("non_blocking")):
            self._wait(func)
        args = tree_map(lambda each: self.from_tensor(each) if isinstance(each, Tensor) else each, args)
        copied = super().__torch_dispatch__(func, types, args, kwargs)
        return torch.full(copied.shape, self._value, dtype=copied.dtype) if to_host else copied

    def _wait(self, func) -> None:
        if not self._may_wait:
            raise WaitsForDevice(f"the host waits for the device in {func}")


def is_fake(tensor: Tensor) -> bool:
    """Returns whether a tensor is on the fake device."""
    return isinstance(tensor, FakeTensor)


def _tensors(values: Iterable) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


@functools.cache
def _is_composite(func) -> bool:
    """Returns whether an operation consists of others; in inference mode torch does not take it apart before."""
    return func.namespace == "aten" and func.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd)


class FakeTransfers(devices.CudaTransfers):
    """Copies to and from the fake device. All images that arrive on the host are 0."""

    free = 8 << 30
    "free memory of the device in bytes"

    def __init__(self, device: torch.device):
        self.device = device

    @staticmethod
    def pinned(tensor: Tensor) -> Tensor:
        return tensor

    def upload(self, image: np.ndarray) -> Tensor:
        return devices.upload(image, self.device)

    def download(self, tensor: Tensor) -> Callable[[], np.ndarray]:
        assert tensor.device == self.device, f"the image is on {tensor.device}"
        image = np.zeros(tensor.shape, str(tensor.dtype).removeprefix("torch."))
        return lambda: image

    def free_memory(self) -> int:
        return self.free


@contextlib.contextmanager
def fake_cuda() -> Iterator[FakeCuda]:
    """Lets torch and SSDiff believe in a GPU that computes in bfloat16."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(_guard())
        for owner, name, value in (
            (devices, "CudaTransfers", FakeTransfers),
            (torch.nn.Module, "_apply", _convert),
            (torch.autograd, "grad", _gradients),
            (torch.cuda, "is_bf16_supported", lambda *args: True),
            (torch.cuda, "get_device_capability", lambda device: (8, 0)),
            (torch.cuda.amp.common, "amp_definitely_not_available", lambda: False),
        ):
            stack.enter_context(mock.patch.object(owner, name, value))
        yield stack.enter_context(FakeCuda())


def _convert(net: torch.nn.Module, convert, recurse: bool = True) -> torch.nn.Module:
    """Replaces the tensors of a network. torch would exchange their contents, which fake tensors do not allow."""
    for module in net.modules():
        for name, tensor in module._parameters.items():
            if tensor is not None:
                with torch.no_grad():
                    module._parameters[name] = torch.nn.Parameter(convert(tensor), tensor.requires_grad)
        module._buffers.update({name: convert(tensor) for name, tensor in module._buffers.items()})
    return net


def _gradients(loss: Tensor, tensors: Sequence[Tensor], allow_unused: bool) -> list[Tensor | None]:
    """Returns gradients of 0 for the tensors that the loss depends on: torch computes them only if there is a GPU."""
    nodes, done, used = [loss.grad_fn], set(), set()
    while nodes:
        node = nodes.pop()
        if node is None or node in done:
            continue
        done.add(node)
        nodes += [following for following, _ in node.next_functions]
        if hasattr(node, "variable"):
            used.add(node.variable)
    assert allow_unused or used.issuperset(tensors)
    return [torch.zeros_like(tensor) if tensor in used else None for tensor in tensors]


@contextlib.contextmanager
def _guard() -> Iterator[None]:
    """Lets torch's C++ code select the device: without a driver, indexing would raise.

    The guard of the device "meta" does nothing, so it can stand for that of CUDA.
    """
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libc10.so"))
    guards = (ctypes.c_void_p * (META + 1)).in_dll(library, "_ZN3c104impl26device_guard_impl_registryE")
    before, guards[CUDA] = guards[CUDA], guards[META]
    try:
        yield
    finally:
        guards[CUDA] = before
