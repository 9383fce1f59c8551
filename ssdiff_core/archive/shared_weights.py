"""Weights by their digest: workers that lack a file get it through the scheduler."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from ..common.errors import WeightsError
from ..common.files import write_whole
from ..common.fingerprints import sha256_of
from ..common.paths import ensure_folder
from ..weights import catalogue

_known: dict[str, Path] = {}
"files that this process has found, by digest"


def _local(digest: str, folder: str) -> Path | None:
    """Returns the file with this SHA-256 on this machine, if there is one. folder: where received files are kept."""
    if digest not in _known:
        kept = _kept(digest, folder)
        own = [entry.path for entry in catalogue.known() if entry.path and entry.sha256 in ("", digest)]
        for path in (kept, *own):
            if path.is_file() and sha256_of(path) == digest:
                _known[digest] = path
    return _known.get(digest)


def weights_file(digest: str, worker) -> Path:
    """Returns the file with this SHA-256 on a Dask worker, fetched if it is missing; called in a task."""
    from distributed import get_client

    found = _local(digest, worker.local_directory)
    if found:
        return found
    try:
        content = get_client().get_dataset(_name(digest))
    except KeyError:
        raise WeightsError(f"the worker {worker.address} lacks the weights with SHA-256 {digest[:12]}") from None
    path = _kept(digest, worker.local_directory)
    ensure_folder(path.parent)
    write_whole(path, content)
    if sha256_of(path) != digest:
        raise WeightsError(f"the weights with SHA-256 {digest[:12]} were damaged on their way to {worker.address}")
    _known[digest] = path
    return path


def publish(client, path: Path) -> str:
    """Makes a weights file available to all workers; returns its SHA-256."""
    digest = sha256_of(path)
    client.publish_dataset(path.read_bytes(), name=_name(digest), override=True)
    return digest


def withdraw(client, digests: Iterable[str]) -> None:
    """Removes published weights from the scheduler."""
    for digest in digests:
        with contextlib.suppress(KeyError, OSError):  # another run has removed them, or the scheduler is gone
            client.unpublish_dataset(_name(digest))


def _name(digest: str) -> str:
    return f"ssdiff-weights-{digest}"


def _kept(digest: str, folder: str) -> Path:
    return Path(folder, "ssdiff-weights", f"{digest}{catalogue.SUFFIX}")
