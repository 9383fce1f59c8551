import pytest
import torch

from ssdiff_core.common.errors import DeviceError
from ssdiff_core.model import devices


def test_the_cpu_is_proved_by_a_kernel():
    assert devices.failure_of("cpu") is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_device_that_is_not_there_is_an_error_with_the_reason():
    with pytest.raises(DeviceError, match=r"'cuda' does not work here: .+"):
        devices.choose("cuda")


def test_a_name_that_is_no_device_is_an_error():
    with pytest.raises(DeviceError, match="'abacus' does not work here: SSDiff computes on cpu, cuda, mps only"):
        devices.choose("abacus")


def test_an_unsupported_kind_of_device_is_refused():
    with pytest.raises(DeviceError, match="'meta' does not work here: SSDiff computes on cpu, cuda, mps only"):
        devices.choose("meta")


def test_auto_always_finds_one_that_works():
    assert devices.failure_of(str(devices.choose("auto"))) is None


def test_survey_proves_or_gives_a_reason():
    found = devices.survey()
    assert found["cpu"]["works"]
    assert all(entry["works"] != bool(entry["reason"]) for entry in found.values())
