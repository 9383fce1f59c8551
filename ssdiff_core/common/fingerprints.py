"""File fingerprints: SHA-256, and what the system records of a file."""

from __future__ import annotations

import hashlib
import os

CHUNK_BYTES = 1 << 20


def sha256_of(path: str | os.PathLike) -> str:
    """Returns the SHA-256 of a file in hexadecimal form."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def state_of(path: str) -> tuple[int, ...] | None:
    """Returns numbers that differ once a file has been written to or replaced, or None if the path is no local file.

    The time of change is among them, since programs that copy files set the modification time.
    """
    try:
        status = os.stat(path)
    except OSError:  # a URL, or a path within an archive
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
