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

from ..common.errors import Cancelled, DownloadError
from ..common.fingerprints import sha256_of
from ..common.locks import locked, move
from ..common.progress import file_size
from .http import TICK, USUAL, Again, Answer, Connection, Useless, asked, host

ROUNDS = 4
"number of attempts for each address"
PAUSE = 1.0
"pause after the first round, seconds; doubled after each further one"
LOCK = "fetching.lock"
PARTIAL_FILE_LIFETIME = 7 * 86400
"age from which partial files are removed, seconds"
SPARE = 1 << 20
"free disk space that is kept, bytes"


@dataclass(frozen=True)
class Wanted:
    """A file to download, and the callbacks of its caller."""

    target: Path
    size: int
    sha256: str
    connection: Connection = USUAL
    progress: Callable[[float], None] = lambda share: None
    cancelled: Callable[[], bool] = lambda: False

    @property
    def partial(self) -> Path:
        return self.target.with_name(f"{self.target.name}.{self.sha256[:12]}.part")

    @property
    def here(self) -> int:
        """Number of bytes already received."""
        return self.partial.stat().st_size if self.partial.exists() else 0


def is_intact(path: Path, size: int, sha256: str) -> bool:
    return path.is_file() and path.stat().st_size == size and sha256_of(path) == sha256


def fetch(urls: Sequence[str], wanted: Wanted) -> Path:
    """Downloads the file from the first address that has it, unless it exists, and returns its path."""
    target = wanted.target
    if is_intact(target, wanted.size, wanted.sha256):
        return target
    if wanted.connection.forbidden:
        raise DownloadError("the network is not to be used: offline")
    try:
        with locked(target.parent / LOCK, wanted.cancelled):
            sweep(target.parent)
            if not is_intact(target, wanted.size, wanted.sha256):  # another process may have fetched it
                _check_room(wanted)
                _bring(urls, wanted)
                keep(wanted.partial, target)
    except OSError as error:
        raise DownloadError(f"{target} cannot be written: {error.strerror or error}") from None
    return target


def sweep(folder: Path) -> None:
    """Removes old partial files."""
    for partial in folder.glob("*.part"):
        with contextlib.suppress(OSError):
            if time.time() - partial.stat().st_mtime > PARTIAL_FILE_LIFETIME:
                partial.unlink()


def keep(partial: Path, target: Path) -> None:
    """Syncs a complete file to disk, then renames it atomically."""
    with open(partial, "r+b") as file:
        os.fsync(file.fileno())
    move(partial, target)
    if os.name != "nt":
        folder = os.open(target.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def _check_room(wanted: Wanted) -> None:
    missing, free = wanted.size - wanted.here + SPARE, shutil.disk_usage(wanted.target.parent).free
    if free < missing:
        raise DownloadError(
            f"{wanted.target.parent} has {file_size(free)} free and {file_size(missing)} are needed: "
            "make room, or name another folder with SSDIFF_CACHE"
        )


def _bring(urls: Sequence[str], wanted: Wanted) -> None:
    """Completes the partial file from any of the addresses."""
    useful, why = list(urls), {}
    for turn in range(ROUNDS):
        for url in tuple(useful):
            try:
                return _go_on(url, wanted)
            except Again as error:
                why[url] = error
            except Useless as error:
                why[url] = error
                useful.remove(url)
        if not useful or turn == ROUNDS - 1:
            break
        _pause(PAUSE * 2**turn, wanted.cancelled)
    raise DownloadError("; ".join(dict.fromkeys(map(str, why.values()))) or "no address is known for it")


def _pause(seconds: float, cancelled: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if cancelled():
            raise Cancelled("cancelled")
        time.sleep(min(TICK, seconds))


def _go_on(url: str, wanted: Wanted) -> None:
    """Downloads the missing bytes from one address and verifies the file."""
    if wanted.here > wanted.size:
        wanted.partial.unlink()
    begun = wanted.here
    if begun < wanted.size:
        _receive(url, begun, wanted)
    if wanted.here < wanted.size:
        raise Again(f"{host(url)} broke off after {wanted.here} of {wanted.size} bytes")
    if not is_intact(wanted.partial, wanted.size, wanted.sha256):
        wanted.partial.unlink()
        kind = Again if begun else Useless  # the bytes received before may be the reason
        raise kind(f"what {host(url)} sends is not what was published (its size or SHA-256 differs)")


def _receive(url: str, begun: int, wanted: Wanted) -> None:
    headers = {"Range": f"bytes={begun}-"} if begun else {}
    with asked(url, headers, wanted.connection, wanted.cancelled) as answer:
        start = _start(answer, url, begun, wanted)
        with open(wanted.partial, "r+b" if begun else "wb") as file:
            file.seek(start)
            file.truncate()
            for piece in answer.pieces:
                file.write(piece)
                if file.tell() > wanted.size:
                    break
                wanted.progress(file.tell() / wanted.size)


def _start(answer: Answer, url: str, begun: int, wanted: Wanted) -> int:
    """Returns the offset at which the response begins; removes a partial file that it does not continue."""
    length = answer.headers.get("Content-Length", "")
    if answer.status == 200:
        if length.isdigit() and int(length) != wanted.size and "Content-Encoding" not in answer.headers:
            raise Useless(f"{host(url)} has another file, of {length} bytes and not {wanted.size}")
        return 0
    content_range = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if (
        answer.status == 206
        and content_range
        and int(content_range[1]) <= begun
        and content_range[2] in ("*", str(wanted.size))
    ):
        return int(content_range[1])
    wanted.partial.unlink(missing_ok=True)
    raise Again(f"{host(url)} answers with another part of the file than it was asked for")
