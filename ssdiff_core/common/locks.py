"""File locks between processes.

The system releases a lock when the process that holds it ends, however it ends.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .errors import Cancelled
from .files import open_own_or_new

POLL_SECONDS = 0.1
"time between two attempts to take a lock"
UNSUPPORTED_ERRORS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)
"errors of network drives that have no locks"
LOCKED_BYTE = 1 << 30
"offset of the byte that Windows locks; other processes can read and write the file before it"


@contextlib.contextmanager
def locked(
    path: Path, cancelled: Callable[[], bool] = lambda: False, waiting: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Holds a lock that only one thread of all processes can hold. path: a file that other users cannot open.

    cancelled: called while waiting; if it returns True, Cancelled is raised.
    waiting: called once if the lock is taken.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_own_or_new(path, 0o600) as file:
        if not try_lock(file):
            waiting()
            while not try_lock(file):
                if cancelled():
                    raise Cancelled("cancelled")
                time.sleep(POLL_SECONDS)
        yield


def try_lock(file) -> bool:
    """Locks an open file until it is closed; returns whether that worked. Always True on drives that have no locks."""
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(LOCKED_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in UNSUPPORTED_ERRORS
    return True
