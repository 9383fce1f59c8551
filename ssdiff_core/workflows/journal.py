"""The journal of a run: locks the outputs, marks the working files as those of SSDiff, lists the finished blocks.

Each output has a journal, OUT.part.json. It is the first working file that is made and the last that is removed, so a
working file without a journal belongs to another program, and is neither used nor removed. The run holds a lock of the
system on its journals; the system releases it when the process ends, however that happens.

A journal has one JSON value in a line: the mark, the holders of the lock, what was begun, and the finished blocks.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path

from .. import __version__
from ..common.errors import OutputInUseError, RasterError
from ..common.files import kind_notice, kind_of, open_new, open_own, write_all
from ..common.locks import try_lock
from ..common.notices import notice
from ..domain.exact_sums import Sums
from ..raster.output import Output, write_errors

SumsOfImages = tuple[tuple[Sums, ...], ...]
"the sums of each band of each image"
MARK = b'{"ssdiff": '
"beginning of a journal"
CHOOSE = "choose another output file"


class Journal:
    """The open and locked journal of an output."""

    def __init__(self, output: Output, file):
        self.output, self._file = output, file

    @property
    def used(self) -> bool:
        """Whether anything is recorded: otherwise nothing is lost with it."""
        return os.fstat(self._file.fileno()).st_size > 0

    def lock(self) -> bool:
        """Locks the journal until it is closed; returns whether no other run had locked it."""
        return try_lock(self._file)

    def is_current(self) -> bool:
        """Returns whether the file still has its name: a run that ends removes its journal."""
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), os.stat(self.output.journal))
        except FileNotFoundError:
            return False

    def holder(self) -> str:
        """Returns which process holds the lock."""
        named = [entry for entry in _entries(self.content()) if isinstance(entry, dict) and "pid" in entry]
        if not named:
            return "another run"
        pid, host, since = (named[-1].get(key) for key in ("pid", "host", "since"))
        return f"process {pid} on {host} since {since}"

    def begin(self) -> None:
        """Removes what the journal lists, marks it, and names this process."""
        self._file.truncate(0)
        self._write({"ssdiff": __version__}, _this_process())

    def resume(self) -> None:
        """Names this process as the one that continues; the last line may be incomplete."""
        self._write(None, _this_process())

    def record_begin(self, begun: dict) -> None:
        """Records which run has been begun: values that JSON can hold, one of them `key`."""
        self._write(begun)

    def record_blocks(self, blocks: Sequence[tuple[int, SumsOfImages]]) -> None:
        """Records blocks that have been written, and the sums of their images."""
        self._write(*([number, [[astuple(band) for band in bands] for bands in images]] for number, images in blocks))

    def begun(self) -> dict | None:
        """Returns what was recorded as begun; None if nothing was."""
        return next((entry for entry in _entries(self.content()) if isinstance(entry, dict) and "key" in entry), None)

    def done(self) -> dict[int, SumsOfImages]:
        """Returns the finished blocks."""
        done = {}
        for entry in _entries(self.content()):
            with contextlib.suppress(ValueError, TypeError):
                if isinstance(entry, list):
                    number, images = entry
                    done[number] = tuple(tuple(Sums(*band) for band in bands) for bands in images)
        return done

    def remove(self) -> None:
        """Removes the journal and releases the lock."""
        if os.name == "nt":  # open files cannot be removed
            self.close()
        with contextlib.suppress(PermissionError):  # on Windows another run may have opened it since
            self.output.journal.unlink(missing_ok=True)
        self.close()

    def remove_unused(self) -> None:
        """Removes the journal if nothing is recorded in it."""
        if not self._file.closed and not self.used:
            self.remove()

    def close(self) -> None:
        """Releases the lock; the journal stays."""
        self._file.close()

    def content(self) -> bytes:
        self._file.seek(0)
        return self._file.read()

    def _write(self, *entries) -> None:
        text = "".join("\n" if entry is None else sealed(entry) for entry in entries).encode()
        self._file.seek(0, os.SEEK_END)
        write_all(self._file, text)


@contextlib.contextmanager
def claimed(outputs: Sequence[Output]) -> Iterator[list[Journal]]:
    """Holds the locks of all outputs, and yields their journals.

    Raises RasterError if another run holds one, or if a working file belongs to another program.
    """
    journals: list[Journal] = []
    try:
        for output in outputs:
            with write_errors(output):
                journals.append(_claim(output))
        yield journals
    finally:
        for journal in journals:
            journal.remove_unused()
            journal.close()


def _claim(output: Output) -> Journal:
    """Returns the locked journal of an output; makes it if there is none."""
    while True:
        with contextlib.ExitStack() as on_error:
            try:
                journal = Journal(output, _opened(output.journal))
            except FileNotFoundError:
                if output.path.parent.is_dir():
                    continue  # a run that has just ended has removed it
                raise
            on_error.callback(journal.close)
            if not journal.lock():
                raise OutputInUseError(notice("output_in_use", path=str(output.path), holder=journal.holder()))
            if journal.is_current():
                on_error.callback(journal.remove_unused)
                _check_own(journal)
                on_error.pop_all()
                return journal


def _opened(path: Path):
    try:
        return open_new(path)
    except FileExistsError:
        if kind_of(path, follow=False):
            raise _foreign(path) from None
        return open_own(path)


def _check_own(journal: Journal) -> None:
    """Raises RasterError if the journal or a working file beside it has not been made by SSDiff."""
    if journal.used and not journal.content().startswith(MARK):
        raise _foreign(journal.output.journal)
    for path in journal.output.temporary:
        if os.path.lexists(path) and (not journal.used or kind_of(path, follow=False)):
            raise _foreign(path)


def _foreign(path: Path) -> RasterError:
    kind = kind_notice(kind_of(path, follow=False))
    return RasterError(notice("not_made_by_ssdiff", path=str(path), kind=kind))


def _this_process() -> dict:
    return {"pid": os.getpid(), "host": platform.node(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}


def sealed(entry: object) -> str:
    """Returns a line of the journal: a value as JSON, and its checksum, as a damaged line must not count."""
    text = json.dumps(entry)
    return f"{text} {checksum_of(text.encode()).decode()}\n"


def checksum_of(text: bytes) -> bytes:
    return f"{zlib.crc32(text):08x}".encode()


def _entries(content: bytes) -> Iterator[object]:
    """Yields the JSON values of a journal; incomplete lines are left out."""
    for line in content.split(b"\n"):
        text, _, checksum = line.rpartition(b" ")
        with contextlib.suppress(ValueError, RecursionError):
            if checksum == checksum_of(text):
                yield json.loads(text)
