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

from .errors import Cancelled, ConfigError
from .files import open_own_or_new
from .notices import notice

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


@contextlib.contextmanager
def held(target: Path) -> Iterator[None]:
    """Holds a lock on an output, TARGET.lock, which is empty and is removed at the end.

    Raises ConfigError if another run holds it, or if there is a file of that name that SSDiff has not made.
    """
    path = target.with_name(f"{target.name}.lock")
    with contextlib.ExitStack() as stack:
        while True:
            try:
                file = stack.enter_context(open_own_or_new(path, 0o600))
            except OSError as error:
                raise ConfigError(
                    notice("lock_unwritable", target=str(target), path=str(path), reason=error.strerror or str(error))
                ) from None
            if os.fstat(file.fileno()).st_size:
                raise ConfigError(notice("lock_foreign", path=str(path)))
            if not try_lock(file):
                raise ConfigError(notice("output_locked", target=str(target)))
            if _has_name(file, path):
                break
        try:
            yield
        finally:
            if os.name == "nt":  # open files cannot be removed
                file.close()
            with contextlib.suppress(OSError):  # on Windows another run may have opened it since
                path.unlink()


def _has_name(file, path: Path) -> bool:
    """Returns whether an open file still has its name: a run that ends removes it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


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
