"""Opening files in folders that other users or programs may write to: no links are followed, no pipe is waited for."""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO

NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
NO_WAITING = getattr(os, "O_NONBLOCK", 0)
BINARY = getattr(os, "O_BINARY", 0)


def open_to_read(path: str | os.PathLike) -> BinaryIO:
    """Opens a regular file for reading; raises OSError for anything else, such as a pipe, which might never end."""
    return _checked(os.open(path, os.O_RDONLY | NO_WAITING | BINARY), "rb", path)


def open_to_change(path: str | os.PathLike) -> BinaryIO:
    """Opens a regular file for reading and writing, or creates it; raises OSError if it is a link."""
    try:
        handle = os.open(path, os.O_RDWR | NO_LINKS | NO_WAITING | BINARY)
    except FileNotFoundError:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | NO_LINKS | BINARY, 0o666)
    return _checked(handle, "r+b", path)


def _checked(handle: int, mode: str, path: str | os.PathLike) -> BinaryIO:
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is not a regular file", os.fspath(path))
    return os.fdopen(handle, mode)


def is_own(path: str | os.PathLike) -> bool:
    """Returns whether only this user and the administrator can change a file, a folder or a link itself.

    On Windows, the access rights of folders of a user keep other users out; they are not checked.
    """
    if not hasattr(os, "getuid"):
        return True
    status = os.lstat(path)
    others = stat.S_IWOTH | (stat.S_IWGRP if status.st_gid != os.getgid() else 0)
    return status.st_uid in (0, os.getuid()) and not (status.st_mode & others and not stat.S_ISLNK(status.st_mode))
