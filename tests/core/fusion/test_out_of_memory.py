"""What counts as out of memory, and how the work of an engine is reduced then."""

import errno
import os

import pytest
import torch

from ssdiff_core.common.errors import DeviceError
from ssdiff_core.fusion.out_of_memory import ReducedWork, is_out_of_memory


def test_out_of_memory_is_distinguished_from_other_errors():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.cuda.OutOfMemoryError("CUDA out of memory"))
    system = f"posix_memalign failed: {os.strerror(errno.ENOMEM)} ({errno.ENOMEM})"
    assert is_out_of_memory(RuntimeError(system))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))


@pytest.mark.parametrize("batch", [1, 2, 3, 128])
def test_the_batch_falls_to_single_tiles_and_never_to_none(batch):
    notices = []
    work = ReducedWork(torch.device("cpu"), batch, notices.append)
    sides = [work.side(960)]
    while work.batch > 1:
        assert work.reduce() == torch.device("cpu")
        sides.append(work.side(960))
    assert work.batch == 1
    with pytest.raises(DeviceError, match="the CPU cannot compute a single tile"):
        work.reduce()
    assert sides == sorted(set(sides), reverse=True)
    assert [each.kind for each in notices] == ["fewer_tiles"] * (batch > 1)


def test_a_device_without_memory_for_a_tile_is_left_for_the_cpu():
    notices = []
    work = ReducedWork(torch.device("meta"), 1, notices.append)
    assert work.reduce() == torch.device("cpu")
    assert [each.kind for each in notices] == ["cpu_instead"]
