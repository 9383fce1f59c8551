"""File fingerprints: SHA-256, and size with modification time."""

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


def size_and_time(path: str) -> tuple[int, int] | None:
    """Returns size and modification time of a file, or None if the path is no local file."""
    try:
        status = os.stat(path)
    except OSError:  # a URL, or a path within an archive
        return None
    return status.st_size, status.st_mtime_ns
