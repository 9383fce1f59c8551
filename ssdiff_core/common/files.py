"""Kinds and identities of files; opening, writing and moving them; the check that no output replaces what it must not.

Other users or programs may write to the same folders. So a file that SSDiff writes is never opened through a link, and
nothing that is opened is waited for, such as a pipe.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterable
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO

from .errors import ConfigError
from .notices import Notice, notice

READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"flags of os.open for files of others: no pipe is waited for"
WRITE = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"flags of os.open for files that only SSDiff writes: links are not followed either"
RETRY_SECONDS = (0.1, 0.5, 1.0, 2.0)
"times to wait after failed attempts to move a file"
KINDS = (
    (stat.S_ISREG, ""),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISLNK, "a link"),
)
"tests of st_mode, and names of what is no regular file"
BLOCKING = ("a pipe", "a socket", "a device")
"kinds that a program may wait for, or read from, without end"


def kind_of(path: str | os.PathLike, follow: bool = True) -> str:
    """Returns what a path is: "" for a regular file or none, else "a folder", "a pipe", "a socket" or "a device".

    follow: whether a link is what it points to; otherwise it is "a link".
    """
    try:
        mode = os.stat(path, follow_symlinks=follow).st_mode
    except (OSError, ValueError):
        return ""
    return next((name for test, name in KINDS if test(mode)), "a device")


def kind_notice(kind: str) -> Notice:
    """Returns a kind of file that `kind_of` gives as a notice, for messages; "" is a file."""
    return notice((kind or "a file").replace(" ", "_"))


def identity(path: str | os.PathLike) -> object:
    """Returns a value that is equal for all names of one file: hard links, links, other spellings."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return os.path.realpath(path)
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)


def is_own(path: str | os.PathLike) -> bool:
    """Returns whether only this user and the administrator can change a file, a folder or a link itself.

    On Windows, the access rights of folders of a user keep other users out; they are not checked.
    """
    if not hasattr(os, "getuid"):
        return True
    status = os.lstat(path)
    others = stat.S_IWOTH | (stat.S_IWGRP if status.st_gid != os.getgid() else 0)
    return status.st_uid in (0, os.getuid()) and not (status.st_mode & others and not stat.S_ISLNK(status.st_mode))


# --- opening, writing, moving ----------------------------------------------------------------------------------------


def open_to_read(path: str | os.PathLike) -> BinaryIO:
    """Opens a regular file for reading; raises OSError for anything else, such as a pipe, which might never end."""
    return os.fdopen(_opened(path, READ), "rb")


def open_new(path: str | os.PathLike, mode: int = 0o666) -> RawIOBase:
    """Creates a file and opens it for reading and writing; raises FileExistsError if there is anything of that name."""
    return os.fdopen(os.open(path, WRITE | os.O_CREAT | os.O_EXCL, mode), "r+b", buffering=0)


def open_own(path: str | os.PathLike) -> RawIOBase:
    """Opens a file that SSDiff has created for reading and writing; raises OSError for links and other kinds."""
    _check_regular(kind_of(path, follow=False), path)
    return os.fdopen(_opened(path, WRITE), "r+b", buffering=0)


def open_own_or_new(path: str | os.PathLike, mode: int = 0o666) -> RawIOBase:
    """Opens a file that SSDiff has created, or creates it with this mode."""
    while True:
        try:
            return open_own(path)
        except FileNotFoundError:
            try:
                return open_new(path, mode)
            except FileExistsError:  # another process has created it
                continue


def _opened(path: str | os.PathLike, flags: int) -> int:
    """Opens a path that may have changed since it was looked at; raises OSError unless it is a regular file."""
    handle = os.open(path, flags)
    try:
        _check_regular("" if stat.S_ISREG(os.fstat(handle).st_mode) else kind_of(path) or "no regular file", path)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _check_regular(kind: str, path: str | os.PathLike) -> None:
    if kind:
        raise OSError(errno.EINVAL, f"it is {kind}", os.fspath(path))


def move(source: str | os.PathLike, target: str | os.PathLike) -> None:
    """Moves a file or folder like os.replace, with retries.

    Windows cannot move open files, and virus scanners open new ones.
    """
    for seconds in RETRY_SECONDS:
        try:
            return os.replace(source, target)
        except PermissionError:
            time.sleep(seconds)
    os.replace(source, target)


def write_whole(path: str | os.PathLike, content: str | bytes) -> None:
    """Writes a file in one step: a failure leaves what there was before."""
    partial = Path(f"{path}.{os.getpid()}.part")
    file = open_new(partial)
    try:
        with file:
            write_all(file, content.encode() if isinstance(content, str) else content)
        move(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_all(file: RawIOBase, data) -> None:
    """Writes all bytes to an unbuffered file; an almost full disk takes a part and fails at the next call."""
    left = memoryview(data).cast("B")
    while left:
        left = left[file.write(left) :]


# --- outputs ---------------------------------------------------------------------------------------------------------


def check_targets(
    *targets: str | Path | None, inputs: Iterable[str | Path | None] = (), beside: Iterable[Path] = ()
) -> None:
    """Raises ConfigError if an output cannot be written, or would replace what must not be replaced.

    That is an input under any of its names, another output, or anything but a regular file. targets: the outputs; None
    and "" are left out. inputs: all files that are read. beside: files that are written or removed with the outputs.
    """
    taken = {identity(path): str(path) for path in filter(None, inputs)}
    for path in map(Path, filter(None, targets)):
        _take(path, taken)
        kind, folder = kind_of(path), path.parent
        if kind:
            told = "path_is_folder" if kind == "a folder" else "path_is_special"
            raise ConfigError(notice(told, path=str(path), kind=kind_notice(kind)))
        if not folder.is_dir():
            raise ConfigError(notice("folder_missing", path=str(path), folder=str(folder)))
        if not os.access(folder, os.W_OK):
            raise ConfigError(notice("no_permission", path=str(path), folder=str(folder)))
    for path in beside:
        _take(path, taken)


def _take(path: Path, taken: dict[object, str]) -> None:
    """Adds an output to the files that are taken, by identity: inputs with their names, outputs with ""."""
    name = taken.get(identity(path))
    if name is None:
        taken[identity(path)] = ""
    elif name:
        known = "" if os.path.abspath(name) == os.path.abspath(path) else f" ({name})"
        raise ConfigError(notice("is_input", path=str(path), known=known))
    else:
        raise ConfigError(notice("output_twice", path=str(path)))
