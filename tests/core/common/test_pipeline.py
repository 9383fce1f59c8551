"""Threads that work together end together."""

import threading

import pytest

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
