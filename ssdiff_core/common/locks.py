"""What other processes have to do with files: a lock of the system, which goes with the process that holds it, however
that ends; and a move that waits for a virus scanner."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .errors import Cancelled

TICK = 0.1
"seconds between two tries"
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)
"what some network drives answer"
HELD = (0.1, 0.5, 1.0, 2.0)
"seconds between tries to move what a virus scanner looks at"


@contextlib.contextmanager
def locked(
    path: Path, cancelled: Callable[[], bool] = lambda: False, waiting: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Alone among all processes and threads; `waiting` is called once if another one has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as file:
        if not _lock(file):
            waiting()
            while not _lock(file):
                if cancelled():
                    raise Cancelled("cancelled")
                time.sleep(TICK)
        yield


def _lock(file) -> bool:
    """Whether the lock was to be had; on drives that have no locks, always."""
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in NO_LOCKS
    return True


def move(one: str | os.PathLike, other: str | os.PathLike) -> None:
    """As os.replace. On Windows no file or folder can be moved that is open, and scanners open what is new."""
    for seconds in HELD:
        try:
            return os.replace(one, other)
        except PermissionError:
            time.sleep(seconds)
    os.replace(one, other)
