"""Threads that work together end together."""

import threading

import pytest

from ssdiff_core.common import pipeline
from ssdiff_core.common.pipeline import run_threads


def test_if_a_thread_cannot_be_started_those_before_it_have_ended(monkeypatch):
    stop, ended, start = threading.Event(), [], threading.Thread.start

    def start_only_one(thread):
        if threading.active_count() > before:
            raise RuntimeError("can't start new thread")
        start(thread)

    def work():
        stop.wait()
        ended.append(1)

    before = threading.active_count()
    monkeypatch.setattr(threading.Thread, "start", start_only_one)
    with pytest.raises(RuntimeError, match="new thread"):
        run_threads([work, work], stop)
    assert ended == [1]


def test_a_thread_that_never_ends_is_given_up_if_memory_is_missing(monkeypatch):
    monkeypatch.setattr(pipeline, "STUCK_SECONDS", 0.2)
    forever = threading.Event()

    def fail():
        raise MemoryError

    with pytest.raises(MemoryError):
        run_threads([fail, forever.wait], threading.Event())
    forever.set()
