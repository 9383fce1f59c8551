"""Measured speeds and the estimates that follow from them."""

import json
import os

import pytest

from ssdiff_core.workflows import speeds
from ssdiff_core.workflows.speeds import Device, Kind

CPU = Device("cpu")
KIND = Kind("fusing", 1000.0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SSDIFF_CACHE", str(tmp_path))


def test_before_the_first_run_the_number_of_processors_counts():
    assert speeds.speed(KIND, CPU) == speeds.Speed(1000.0 * speeds.processors(), False)
    assert speeds.speed(Kind("adapting", 1000.0, parallel=False), CPU).rate == 1000.0


def test_a_long_run_replaces_the_assumption_and_later_runs_count_more():
    speeds.record(KIND, CPU, 500_000, 100)
    assert speeds.speed(KIND, CPU).rate == pytest.approx(5000, rel=0.1)
    assert speeds.speed(KIND, CPU).measured
    speeds.record(KIND, CPU, 1_000_000, 100)
    assert speeds.speed(KIND, CPU).rate == pytest.approx(10_000, rel=0.2)


def test_a_short_run_changes_a_measured_speed_only_slightly():
    speeds.record(KIND, CPU, 300_000, 60)
    before = speeds.speed(KIND, CPU).rate
    speeds.record(KIND, CPU, 1, 0.5)
    assert speeds.speed(KIND, CPU).rate == pytest.approx(before, rel=0.05)


def test_devices_have_speeds_of_their_own():
    speeds.record(KIND, Device("cuda:0", "a GPU"), 1e9, 10)
    assert not speeds.speed(KIND, CPU).measured
    assert speeds.speed(KIND, Device("cuda:0", "a GPU")).measured


@pytest.mark.parametrize("content", ["", "[1]", '{"speeds": 3}', '{"speeds": {"fusing on cpu": "x"}}', "[" * 9999])
def test_a_damaged_file_counts_as_missing_and_is_replaced(content):
    speeds.file().write_text(content)
    assert not speeds.speed(KIND, CPU).measured
    assert speeds.device_called("auto") == CPU
    speeds.record(KIND, CPU, 5000, 5)
    assert speeds.speed(KIND, CPU).measured
    json.loads(speeds.file().read_text())


def test_a_folder_that_cannot_be_written_leaves_no_error(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SSDIFF_CACHE", str(tmp_path / "file"))
    speeds.record(KIND, CPU, 5000, 5)
    assert not speeds.speed(KIND, CPU).measured


def test_what_auto_has_meant_is_remembered():
    assert speeds.device_called("auto") == CPU
    assert speeds.device_called("cuda") == Device("cuda")
    speeds.remember_device("auto", Device("cuda:0", "a GPU"))
    assert speeds.device_called("auto") == Device("cuda:0", "a GPU")


@pytest.mark.parametrize(
    "value", [[10**400, 1], [1, 10**400], [1, 1e300], [5e-324, 1], ["a", "b"], [True, True], [1], 5]
)
def test_an_entry_that_cannot_be_is_ignored_and_the_others_count(value):
    speeds.record(KIND, CPU, 5000, 5)
    found = json.loads(speeds.file().read_text())
    found["speeds"][f"other on {CPU}"] = value
    found["devices"] = {"auto": value, "x": ["cuda", "a GPU"]}
    speeds.file().write_text(json.dumps(found))
    assert speeds.speed(KIND, CPU).measured
    assert speeds.speed(Kind("other", 1000.0), CPU) == speeds.Speed(1000.0 * speeds.processors(), False)
    assert speeds.device_called("x").name == "a GPU"


@pytest.mark.skipif(os.name == "nt", reason="pipes and devices")
@pytest.mark.parametrize("kind", ["pipe", "device", "link", "huge"])
def test_what_is_no_file_of_speeds_is_replaced_and_not_read_to_its_end(kind, tmp_path):
    other = tmp_path / "other"
    other.write_text("{}")
    if kind == "pipe":
        os.mkfifo(speeds.file())
    elif kind == "huge":
        speeds.file().touch()
        os.truncate(speeds.file(), 1 << 40)
    else:
        speeds.file().symlink_to("/dev/zero" if kind == "device" else other)
    assert not speeds.speed(KIND, CPU).measured
    speeds.record(KIND, CPU, 5000, 5)
    assert speeds.speed(KIND, CPU).measured
    assert other.read_text() == "{}"
