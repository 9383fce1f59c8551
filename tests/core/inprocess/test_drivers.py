"""A processor alone is recognised without torch."""

import subprocess
import sys

import pytest

from ssdiff_core.inprocess import drivers

WITHOUT_TORCH = """
import sys
from ssdiff_core.inprocess import backend
backend.may_have_gpu = lambda: False
assert backend.LocalBackend().device("auto") == ("cpu", "")
assert "torch" not in sys.modules
"""


@pytest.fixture
def no_others(monkeypatch):
    monkeypatch.setattr(drivers, "OTHER_GPUS", ())


def test_a_missing_driver_means_that_there_is_no_gpu(monkeypatch, no_others):
    monkeypatch.setitem(drivers.LIBRARIES, sys.platform, "no-such-library.so")
    assert not drivers.may_have_gpu()


@pytest.mark.skipif(sys.platform != "linux", reason="needs a library that every system of this kind has")
def test_a_driver_that_can_be_loaded_may_have_a_gpu(monkeypatch, no_others):
    monkeypatch.setitem(drivers.LIBRARIES, sys.platform, "libc.so.6")
    assert drivers.may_have_gpu()


def test_devices_of_other_drivers_and_unknown_systems_may_have_a_gpu(monkeypatch, tmp_path):
    monkeypatch.setitem(drivers.LIBRARIES, sys.platform, "no-such-library.so")
    monkeypatch.setattr(drivers, "OTHER_GPUS", (str(tmp_path),))
    assert drivers.may_have_gpu()
    monkeypatch.setattr(drivers, "LIBRARIES", {})
    monkeypatch.setattr(drivers, "OTHER_GPUS", ())
    assert drivers.may_have_gpu()


def test_torch_is_not_imported_to_learn_that_there_is_only_a_processor():
    subprocess.run([sys.executable, "-c", WITHOUT_TORCH], check=True)
