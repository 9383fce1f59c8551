"""Downloads of single files: the published file, or an error.

Received bytes are kept in a partial file whose name contains the digest of the target, so a download is resumed after
any interruption and never with another file. A process that downloads into a folder holds a system lock, which ends
with the process; others wait and then find the file.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..common.errors import Cancelled, DownloadError, message_of
from ..common.files import kind_of, move, open_own, open_own_or_new, write_all
from ..common.fingerprints import sha256_of
from ..common.locks import locked
from ..common.notices import notice
from ..common.progress import file_size
from .http import DEFAULT_CONNECTION, TICK, Answer, Connection, PermanentError, RetryableError, host, open_response

ROUNDS = 4
"number of attempts for each address without progress"
WORTH = 0.05
"share of a file from which what was received beyond all earlier attempts counts as progress"
PAUSE = 1.0
"pause after the first round, seconds; doubled after each further one"
LOCK = "fetching.lock"
PARTIAL_FILE_LIFETIME = 7 * 86400
"age from which partial files are removed, seconds"
SPARE = 1 << 20
"free disk space that is kept, bytes"


@dataclass(frozen=True)
class DownloadRequest:
    """A file to download, and the callbacks of its caller."""

    target: Path
    size: int
    sha256: str
    connection: Connection = DEFAULT_CONNECTION
    progress: Callable[[float], None] = lambda share: None
    cancelled: Callable[[], bool] = lambda: False

    @property
    def partial(self) -> Path:
        return self.target.with_name(f"{self.target.name}.{self.sha256[:12]}.part")

    @property
    def received(self) -> int:
        """Number of bytes already received."""
        return self.partial.lstat().st_size if self.partial.is_file() and not self.partial.is_symlink() else 0


class DamagedError(RetryableError):
    "Raised when what was received does not fit together, and has been removed."


def is_intact(path: Path, size: int, sha256: str) -> bool:
    try:
        return path.is_file() and path.stat().st_size == size and sha256_of(path) == sha256
    except OSError:
        return False


def fetch(urls: Sequence[str], request: DownloadRequest) -> Path:
    """Downloads the file from the first address that has it, unless it exists, and returns its path."""
    target = request.target
    if is_intact(target, request.size, request.sha256):
        return target
    if request.connection.forbidden:
        raise DownloadError(notice("offline_download"))
    try:
        with locked(target.parent / LOCK, request.cancelled):
            sweep(target.parent)
            if not is_intact(target, request.size, request.sha256):  # another process may have fetched it
                _remove_foreign(request.partial)
                _check_room(request)
                _download_from_any(urls, request)
                keep(request.partial, target)
    except OSError as error:
        raise DownloadError(notice("cannot_write", path=str(target), reason=error.strerror or str(error))) from None
    return target


def _remove_foreign(partial: Path) -> None:
    """Removes what has the name of the partial file and is no file, such as a link to another place."""
    if partial.is_symlink() or (partial.exists() and not partial.is_file() and not partial.is_dir()):
        partial.unlink()


def sweep(folder: Path) -> None:
    """Removes old partial files."""
    for partial in folder.glob("*.part"):
        with contextlib.suppress(OSError):
            if time.time() - partial.stat().st_mtime > PARTIAL_FILE_LIFETIME:
                partial.unlink()


def keep(partial: Path, target: Path) -> None:
    """Syncs a complete file to disk, then renames it atomically."""
    with open_own(partial) as file:
        os.fsync(file.fileno())
    move(partial, target)
    if os.name != "nt":
        folder = os.open(target.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def _check_room(request: DownloadRequest) -> None:
    missing, free = request.size - request.received + SPARE, shutil.disk_usage(request.target.parent).free
    if free < missing:
        raise DownloadError(
            notice("download_room", folder=str(request.target.parent), free=file_size(free), needed=file_size(missing))
        )


def _download_from_any(urls: Sequence[str], request: DownloadRequest) -> None:
    """Completes the partial file from any of the addresses."""
    usable, errors = list(urls), {}
    turn, best, damaged = 0, request.received, False
    while turn < ROUNDS:
        for url in tuple(usable):
            try:
                return _resume(url, request)
            except DamagedError as error:
                errors[url] = error
                best, damaged = best if damaged else 0, True  # it starts over, which counts as progress only once
            except RetryableError as error:
                errors[url] = error
            except PermanentError as error:
                errors[url] = error
                usable.remove(url)
        if not usable:
            break
        turn = 0 if request.received - best >= WORTH * request.size else turn + 1
        best = max(best, request.received)
        if turn < ROUNDS:
            _pause(PAUSE * 2**turn, request.cancelled)
    if not errors:
        raise DownloadError(notice("download_without_url"))
    raise DownloadError(
        notice("download_failed", reasons=list({str(error): message_of(error) for error in errors.values()}.values()))
    )


def _pause(seconds: float, cancelled: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if cancelled():
            raise Cancelled("cancelled")
        time.sleep(min(TICK, seconds))


def _resume(url: str, request: DownloadRequest) -> None:
    """Downloads the missing bytes from one address and verifies the file."""
    if request.received > request.size or kind_of(request.partial, follow=False):
        request.partial.unlink()  # also a link or a pipe, which SSDiff never makes
    begun = request.received
    if begun < request.size:
        _receive(url, begun, request)
    if request.received < request.size:
        raise RetryableError(notice("download_closed", host=host(url), received=request.received, size=request.size))
    if not is_intact(request.partial, request.size, request.sha256):
        request.partial.unlink()
        kind = DamagedError if begun else PermanentError  # the bytes received before may be the reason
        raise kind(notice("download_differs", host=host(url)))


def _receive(url: str, begun: int, request: DownloadRequest) -> None:
    headers = {"Range": f"bytes={begun}-"} if begun else {}
    with open_response(url, headers, request.connection, request.cancelled) as answer:
        start = _start(answer, url, begun, request)
        with open_own_or_new(request.partial) as file:
            file.seek(start)
            file.truncate()
            for piece in answer.pieces:
                write_all(file, piece)
                if file.tell() > request.size:
                    break
                request.progress(file.tell() / request.size)


def _start(answer: Answer, url: str, begun: int, request: DownloadRequest) -> int:
    """Returns the offset at which the response begins; removes a partial file that it does not continue."""
    length = answer.headers.get("Content-Length", "")
    if answer.status == 200:
        if (
            re.fullmatch("[0-9]{1,18}", length)
            and int(length) != request.size
            and "Content-Encoding" not in answer.headers
        ):
            raise PermanentError(notice("download_size", host=host(url), length=length, expected=request.size))
        return 0
    content_range = re.fullmatch(
        r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)", answer.headers.get("Content-Range", "")
    )
    if (
        answer.status == 206
        and content_range
        and int(content_range[1]) <= begun
        and content_range[2] in ("*", str(request.size))
    ):
        return int(content_range[1])
    request.partial.unlink(missing_ok=True)
    raise DamagedError(notice("download_other_part", host=host(url)))
