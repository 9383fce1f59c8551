"""Progress as a bar or as JSON lines."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssdiff_core.common.progress import duration, reporter


def run(kind, shares, seconds=1.0):
    out, ticks = io.StringIO(), iter(range(1000))
    report = reporter(kind, 1_000_000, out, lambda: next(ticks) * seconds)
    for share in shares:
        report(share)
    return out.getvalue()


def test_programs_get_a_json_line_for_each_report():
    lines = [json.loads(line) for line in run("json", [0, 0.25, 0.5, 1]).splitlines()]
    assert [line["progress"] for line in lines] == [0, 0.25, 0.5, 1]
    assert [line["pixels_per_second"] for line in lines] == [0, 250_000, 250_000, pytest.approx(333_333)]
    assert [line["seconds_left"] for line in lines] == [None, 3.0, 2.0, 0.0]


def test_a_person_gets_a_bar_with_rate_and_remaining_time():
    output = run("bar", [0, 0.5, 1], seconds=60)
    assert "[###############...............]  50%  0.00833 Mpx/s, 1 min 00 s left" in output
    assert output.endswith("\n")


def test_a_shorter_line_overwrites_a_longer_one_without_escape_sequences():
    output = run("bar", [0, 0.1, 0.9999, 1], seconds=3000)
    lines = output.rstrip("\n").split("\r")[1:]
    assert "\x1b" not in output
    assert "h" in lines[1]
    assert len({len(line) for line in lines}) == 1


def test_a_resumed_run_counts_only_what_it_did_itself():
    lines = [json.loads(line) for line in run("json", [0.5, 0.75]).splitlines()]
    assert lines[1]["pixels_per_second"] == 250_000
    assert lines[1]["seconds_left"] == 1.0


def test_reports_come_at_most_once_per_interval():
    output = run("json", [i / 100 for i in range(101)], seconds=0.05).splitlines()
    assert 20 < len(output) < 30
    assert json.loads(output[-1])["progress"] == 1


def test_the_end_is_reported_once():
    assert run("bar", [0, 0.5, 1, 1]).count("100%") == 1


@pytest.mark.parametrize("kind", ["none", "auto"])
def test_nothing_is_written_without_a_terminal(kind):
    assert run(kind, [0, 0.5, 1]) == ""


@given(st.floats(0, 1e6))
def test_durations_are_short(seconds):
    assert len(duration(seconds)) <= 12
