"""Kinds and identities of files, and the check that no output replaces what it must not."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from io import RawIOBase
from pathlib import Path

from .errors import ConfigError
from .locks import move

FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
"flags of os.open for files that only SSDiff writes: links are not followed"
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


def identity(path: str | os.PathLike) -> object:
    """Returns a value that is equal for all names of one file: hard links, links, other spellings."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return os.path.realpath(path)
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)


def open_new(path: str | os.PathLike) -> RawIOBase:
    """Creates a file and opens it for reading and writing; raises FileExistsError if there is anything of that name."""
    return os.fdopen(os.open(path, FLAGS | os.O_CREAT | os.O_EXCL, 0o666), "r+b", buffering=0)


def open_own(path: str | os.PathLike) -> RawIOBase:
    """Opens a file that SSDiff has created for reading and writing; raises OSError for links and other kinds."""
    kind = kind_of(path, follow=False)
    if kind:
        raise OSError(None, f"it is {kind}", str(path))
    return os.fdopen(os.open(path, FLAGS), "r+b", buffering=0)


def write_whole(path: str | os.PathLike, text: str) -> None:
    """Writes a text file in one step: a failure leaves what there was before."""
    partial = Path(f"{path}.{os.getpid()}.part")
    file = open_new(partial)
    try:
        with file:
            write_all(file, text.encode())
        move(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_all(file: RawIOBase, data) -> None:
    """Writes all bytes to an unbuffered file; an almost full disk takes a part and fails at the next call."""
    left = memoryview(data).cast("B")
    while left:
        left = left[file.write(left) :]


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
            raise ConfigError(f"{path} is {kind}: give a file{' in it' if kind == 'a folder' else ''}")
        if not folder.is_dir():
            raise ConfigError(f"{path} cannot be written: the folder {folder} does not exist")
        if not os.access(folder, os.W_OK):
            raise ConfigError(f"{path} cannot be written: no permission to write to {folder}")
    for path in beside:
        _take(path, taken)


def _take(path: Path, taken: dict[object, str]) -> None:
    """Adds an output to the files that are taken, by identity: inputs with their names, outputs with ""."""
    name = taken.get(identity(path))
    if name is None:
        taken[identity(path)] = ""
    elif name:
        known = "" if os.path.abspath(name) == os.path.abspath(path) else f" ({name})"
        raise ConfigError(f"{path} is one of the inputs{known}: choose another file")
    else:
        raise ConfigError(f"{path} is used for two outputs: choose another file")
