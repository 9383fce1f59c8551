"""Fetches one file over a network that may fail at any moment: whole and as it was published, or not at all.

What has come lies beside the file in a partial one, whose name bears the digest of what it is to become: so it is gone
on with after whatever happened, and never with another file. Whoever fetches into a folder holds a lock of the system,
which goes with the process however that ends; others wait, and find the file.
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
"how often each address is tried"
PAUSE = 1.0
"seconds after the first round; twice as long after each further one"
LOCK = "fetching.lock"
OLD = 7 * 86400
"seconds after which nobody will go on with a partial file"
SPARE = 1 << 20
"bytes that are left free on the disk"


@dataclass(frozen=True)
class Wanted:
    """A file, and who waits for it."""

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
        """Bytes of it that are here."""
        return self.partial.stat().st_size if self.partial.exists() else 0


def is_intact(path: Path, size: int, sha256: str) -> bool:
    return path.is_file() and path.stat().st_size == size and sha256_of(path) == sha256


def fetch(urls: Sequence[str], wanted: Wanted) -> Path:
    """The file, from the first of the addresses that has it; if it is here already, without asking anybody."""
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
    """Removes partial files that were forgotten."""
    for partial in folder.glob("*.part"):
        with contextlib.suppress(OSError):
            if time.time() - partial.stat().st_mtime > OLD:
                partial.unlink()


def keep(partial: Path, target: Path) -> None:
    """Gives a whole file its name, for good."""
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
    """Fills the partial file, from whichever address, until it is what is wanted."""
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
    """Fetches what is missing from one address, and makes sure of the whole."""
    if wanted.here > wanted.size:
        wanted.partial.unlink()
    begun = wanted.here
    if begun < wanted.size:
        _receive(url, begun, wanted)
    if wanted.here < wanted.size:
        raise Again(f"{host(url)} broke off after {wanted.here} of {wanted.size} bytes")
    if not is_intact(wanted.partial, wanted.size, wanted.sha256):
        wanted.partial.unlink()
        kind = Again if begun else Useless  # what was here before may be to blame
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
    """Where in the file the answer begins. An answer that does not fit on what is here makes an end of that."""
    length = answer.headers.get("Content-Length", "")
    if answer.status == 200:
        if length.isdigit() and int(length) != wanted.size and "Content-Encoding" not in answer.headers:
            raise Useless(f"{host(url)} has another file, of {length} bytes and not {wanted.size}")
        return 0
    told = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if answer.status == 206 and told and int(told[1]) <= begun and told[2] in ("*", str(wanted.size)):
        return int(told[1])
    wanted.partial.unlink(missing_ok=True)
    raise Again(f"{host(url)} answers with another part of the file than it was asked for")
