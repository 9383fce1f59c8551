"""File fingerprints: SHA-256, and what the system records of a file."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable

CHUNK_BYTES = 1 << 20
SIDECAR = ".aux.xml"
"end of the names of files in which GDAL keeps what a raster itself cannot hold"
STATISTICS = re.compile(
    rb'<MDI key="STATISTICS_[^"]*">[^<]*</MDI>|<Histograms>.*?</Histograms>|<Description>[^<]*</Description>', re.DOTALL
)
"what QGIS adds to a sidecar: statistics and, with them, the names of bands, which are those in the scene"
NOTHING = re.compile(rb"(?:\s|</?(?:PAMDataset|PAMRasterBand|Metadata)\b[^>]*>)*")
"content of a sidecar that holds nothing"


def sha256_of(path: str | os.PathLike) -> str:
    """Returns the SHA-256 of a file in hexadecimal form."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def states_of(paths: Iterable[str]) -> list[tuple[str, tuple | None]]:
    """Returns each path with its state (see `state_of`).

    Statistics in sidecars do not count: QGIS adds them when it shows a raster, and no result depends on them. A sidecar
    that holds nothing else is left out.
    """
    found = []
    for path in paths:
        rest = _beyond_statistics(path) if path.endswith(SIDECAR) else None
        if rest is None:
            found.append((path, state_of(path)))
        elif rest:
            found.append((path, (hashlib.sha256(rest).hexdigest(),)))
    return found


def _beyond_statistics(sidecar: str) -> bytes | None:
    """Returns what a sidecar holds besides statistics, empty if nothing; None if it cannot be read."""
    try:
        with open(sidecar, "rb") as file:
            rest = STATISTICS.sub(b"", file.read())
    except OSError:
        return None
    return b"" if NOTHING.fullmatch(rest) else rest


def state_of(path: str) -> tuple[int, ...] | None:
    """Returns numbers that differ once a file has been written to or replaced, or None if the path is no local file.

    The time of change is among them, since programs that copy files set the modification time.
    """
    try:
        status = os.stat(path)
    except OSError:  # a URL, or a path within an archive
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
