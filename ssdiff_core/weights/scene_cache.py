"""What was learnt about scenes, kept for further runs: weights adapted to a scene, its statistics, its shift.

Each entry is a JSON file, named by the digest of everything that it follows from, and, for weights, a weights file
beside it. An entry that cannot be read or written, was changed, or belongs to another user is treated as missing: the
cache is never needed for a run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..common import paths
from ..common.files import is_own, kind_of, move, open_to_read
from ..common.fingerprints import sha256_of, states_of
from .catalogue import SUFFIX

MAXIMUM_BYTES = 512 << 20
"size of the cache from which the entries that were not used for the longest time are removed"
MAXIMUM_RECORD = 16 << 20
"bytes that are read of a JSON file"
CHECK = "check"
"key of the SHA-256 of a record in its JSON file"
WEIGHTS, STATISTICS, SHIFT, CORRELATION = "weights", "statistics", "shift", "correlation"
"kinds of entries"


@dataclass(frozen=True)
class Entry:
    """An entry of the cache."""

    kind: str
    record: dict
    "what was learnt, as plain values"
    path: Path
    "its JSON file"

    @property
    def weights(self) -> Path:
        """Returns the weights file of the entry, which exists if its record has a SHA-256."""
        return self.path.with_suffix(SUFFIX)

    @property
    def size(self) -> int:
        """Returns the bytes that its files take."""
        return sum(file.stat().st_size for file in (self.path, self.weights) if file.exists())


def folder() -> Path:
    """Returns the folder of the cache."""
    return paths.cache() / "scenes"


def key_of(kind: str, files: Iterable[str], *parts) -> str:
    """Returns the key of an entry: a digest of the files that it was learnt from, and of all else that it depends on.

    files: see raster.input_files.files_read. Empty if a file has no state, like one behind an address: then nothing is
    kept, because a change could not be noticed.
    """
    found = states_of(sorted(set(files)))
    if not all(each for _, each in found):
        return ""
    return f"{kind}-{hashlib.sha256(repr((found, parts)).encode()).hexdigest()[:32]}"


def read(key: str) -> Entry | None:
    """Returns the entry with this key, if it is complete; it then counts as just used."""
    if not key:
        return None
    path = folder() / f"{key}.json"
    entry = _entry(path)
    if not entry or (entry.record.get("sha256") and not _is_intact(entry)):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return entry


def _is_intact(entry: Entry) -> bool:
    try:
        regular = not kind_of(entry.weights, follow=False) and is_own(entry.weights)
        return regular and sha256_of(entry.weights) == entry.record["sha256"]
    except OSError:
        return False


def _entry(path: Path) -> Entry | None:
    try:
        if not is_own(path):
            return None
        with open_to_read(path) as file:
            record = json.loads(file.read(MAXIMUM_RECORD))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.pop(CHECK, None) != _digest(record):
        return None
    return Entry(path.name.partition("-")[0], record, path)


def _digest(record: dict) -> str:
    return hashlib.sha256(json.dumps(record).encode()).hexdigest()


def working_file() -> Path:
    """Returns a new file name for weights that are being made: in the cache, or in a temporary folder."""
    name = f"{os.getpid()}-{os.urandom(4).hex()}.part"
    try:
        folder().mkdir(parents=True, exist_ok=True)
        if os.access(folder(), os.W_OK):
            return folder() / name
    except OSError:
        pass
    return Path(tempfile.gettempdir()) / f"ssdiff-{name}"


def write(key: str, record: dict, weights: Path | None = None) -> Path | None:
    """Keeps an entry; weights: its weights file, which is moved into the cache.

    Returns the weights file: in the cache, or the given one if it could not be kept.
    """
    if not key:
        return weights
    path = folder() / f"{key}.json"
    try:
        folder().mkdir(parents=True, exist_ok=True)
        if weights:
            record = {**record, "sha256": sha256_of(weights)}
            move(weights, path.with_suffix(SUFFIX))
            weights = path.with_suffix(SUFFIX)
        partial = working_file()
        partial.write_text(json.dumps({**record, CHECK: _digest(record)}), encoding="utf-8")
        move(partial, path)
        _prune(keep=path)
    except OSError:
        return weights
    return weights


def _prune(keep: Path) -> None:
    """Removes the entries that were not used for the longest time, until the cache has its size."""
    by_age = sorted(entries(), key=lambda entry: entry.path.stat().st_mtime, reverse=True)
    total = 0
    for entry in by_age:
        total += entry.size
        if total > MAXIMUM_BYTES and entry.path != keep:
            remove(entry)


def entries() -> Iterator[Entry]:
    """Yields all entries that can be read."""
    yield from filter(None, map(_entry, sorted(folder().glob("*.json"))))


def remove(entry: Entry) -> None:
    """Removes an entry."""
    for file in (entry.path, entry.weights):
        with contextlib.suppress(OSError):
            file.unlink()


def clear() -> tuple[int, int]:
    """Removes all entries, and what killed runs have left; returns the number of entries and the bytes they took."""
    found = list(entries())
    size = sum(entry.size for entry in found)
    for entry in found:
        remove(entry)
    for file in folder().glob("*.part"):
        with contextlib.suppress(OSError):
            file.unlink()
    return len(found), size
