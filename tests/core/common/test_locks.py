"""Locks between processes."""

import multiprocessing
import os

import pytest

from ssdiff_core.common.errors import Cancelled
from ssdiff_core.common.locks import locked

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")


def _hold(path, connection):
    with locked(path):
        connection.send("holding")
        connection.recv()


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock until it is killed."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_hold, args=(tmp_path / "lock", there))
    process.start()
    assert here.recv() == "holding"
    yield process
    process.kill()
    process.join()


def test_a_lock_that_another_process_holds_is_waited_for_until_the_process_ends(holder, tmp_path):
    told = []
    with pytest.raises(Cancelled), locked(tmp_path / "lock", cancelled=lambda: True, waiting=lambda: told.append(1)):
        pass
    holder.kill()
    holder.join()
    with locked(tmp_path / "lock"):
        assert told == [1]


@posix
@pytest.mark.parametrize("kind", ["a link", "a pipe"])
def test_a_lock_is_not_taken_on_what_others_have_put_there(tmp_path, kind):
    lock, victim = tmp_path / "lock", tmp_path / "victim"
    if kind == "a link":
        lock.symlink_to(victim)
    else:
        os.mkfifo(lock)
    with pytest.raises(OSError, match=f"it is {kind}"), locked(lock):
        pass
    assert not victim.exists()


@posix
def test_a_lock_is_closed_to_other_users(tmp_path):
    with locked(tmp_path / "new" / "lock"):
        assert (tmp_path / "new" / "lock").stat().st_mode & 0o077 == 0
