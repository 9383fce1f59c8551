"""The files of an archive, in a local or shared folder or in an object store that GDAL writes to."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from osgeo import gdal

from ..common.errors import RasterError, one_line
from ..common.files import write_whole
from ..common.fingerprints import state_of
from ..common.paths import cache, ensure_folder

gdal.UseExceptions()

CHUNK_BYTES = 8 << 20
"bytes that are uploaded at a time"


class Storage:
    """The folder of an archive; names are relative to it, with slashes."""

    def __init__(self, root: str):
        self.root = root.rstrip("/") or root
        self.local = not self.root.startswith("/vsi")

    def path(self, name: str) -> str:
        """Returns the path or GDAL's name of a file."""
        return f"{self.root}/{name}"

    def size(self, name: str) -> int | None:
        """Returns the bytes of a file; None if there is none."""
        if not self.local:
            gdal.VSICurlPartialClearCache(self.path(name))  # another process may have written it since
        return size_of(self.path(name))

    def read(self, name: str) -> bytes | None:
        """Returns the content of a file; None if there is none."""
        if not self.local:
            size = self.size(name)
            return None if size is None else _read(self.path(name), size)
        try:
            return Path(self.path(name)).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Writes a file in one step: a failure leaves what there was before."""
        if self.local:
            path = Path(self.path(name))
            ensure_folder(path.parent)
            write_whole(path, content)
        else:
            _write(self.path(name), [content])

    def read_json(self, name: str) -> dict | None:
        """Returns the object in a JSON file; None if there is none."""
        try:
            value = json.loads(self.read(name) or b"")
        except ValueError:
            return None
        return value if isinstance(value, dict) else None

    def write_json(self, name: str, value: dict) -> None:
        self.write(name, json.dumps(value, indent=1, ensure_ascii=False).encode())

    def remove(self, name: str) -> None:
        """Removes a file or a folder of files, if there is one."""
        with contextlib.suppress(RuntimeError):
            status = gdal.VSIStatL(self.path(name))
            if status is not None:
                gdal.RmdirRecursive(self.path(name)) if status.IsDirectory() else gdal.Unlink(self.path(name))

    def local_file(self, name: str) -> Path:
        """Returns a small file as one on this machine; one of an object store is copied into the cache."""
        if self.local:
            return Path(self.path(name))
        content = self.read(name)
        if content is None:
            raise RasterError(f"{self.path(name)} is missing")
        copy = ensure_folder(cache() / "archive") / name.rpartition("/")[2]
        write_whole(copy, content)
        return copy

    @contextlib.contextmanager
    def working_folder(self, name: str, scratch: str) -> Iterator[Path]:
        """Yields the local folder to write the file `name` and those beside it into.

        That is its own folder, or a temporary one in `scratch`, whose files are uploaded at the end.
        """
        if self.local:
            yield ensure_folder(Path(self.path(name)).parent)
            return
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            yield Path(folder)
            target = self.path(name).rpartition("/")[0]
            for file in sorted(Path(folder).iterdir()):
                _upload(file, f"{target}/{file.name}")


def size_of(path: str) -> int | None:
    """Returns the bytes of a file by its path or GDAL's name; None if there is none."""
    try:
        status = gdal.VSIStatL(path)
    except RuntimeError:
        return None
    return None if status is None or status.IsDirectory() else status.size


def state(path: str) -> tuple | None:
    """Returns numbers that differ once a file, local or elsewhere, has been replaced; None if there is none."""
    found = state_of(path)
    if found or not path.startswith("/vsi"):
        return found
    try:
        status = gdal.VSIStatL(path)
    except RuntimeError:
        return None
    return None if status is None else (status.size, status.mtime)


def _read(path: str, size: int) -> bytes:
    file = gdal.VSIFOpenL(path, "rb")
    if file is None:
        raise RasterError(f"{path} cannot be read: {gdal.GetLastErrorMsg()}")
    try:
        return bytes(gdal.VSIFReadL(1, size, file) or b"")
    finally:
        gdal.VSIFCloseL(file)


def _write(path: str, chunks: Iterable[bytes]) -> None:
    """Writes a file of an object store, which exists there when it is complete."""
    try:
        file = gdal.VSIFOpenL(path, "wb")
        if file is None:
            raise RuntimeError(gdal.GetLastErrorMsg())
        whole = all(gdal.VSIFWriteL(chunk, 1, len(chunk), file) == len(chunk) for chunk in chunks)
        if gdal.VSIFCloseL(file) or not whole:
            raise RuntimeError(gdal.GetLastErrorMsg() or "it is incomplete")
    except RuntimeError as error:
        raise RasterError(f"{path} cannot be written: {one_line(error)}") from None


def _upload(file: Path, target: str) -> None:
    with open(file, "rb") as source:
        _write(target, iter(lambda: source.read(CHUNK_BYTES), b""))
