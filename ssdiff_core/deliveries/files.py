"""The files of a place: folders are walked, archives are listed, within limits."""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path

from osgeo import gdal

from ..common.errors import ConfigError, one_line
from ..common.files import kind_of
from ..common.notices import Notify, ignore, notice
from ..common.texts import decoded
from ..raster import network

MAXIMUM_DEPTH = 8
"folders within folders that are walked"
MAXIMUM_FILES = 200_000
"files of a place that are listed"
ARCHIVES = ((".zip", "/vsizip/"), (".tar", "/vsitar/"), (".tar.gz", "/vsitar/"), (".tgz", "/vsitar/"))
"endings of archives, and how GDAL names what is in them"
KINDS = "name a folder, an archive, a list of pairs (.csv) or a STAC file (.json)"
"end of errors about places"
WATCH_INTERVAL = 100
"files that are listed between two notices to the watch"
COMPRESSED = (".tar.gz", ".tgz")
"endings of archives in which each access to a file reads all before it"


class Files:
    """The files of a place, as paths with slashes, which are looked up without regard to case."""

    def __init__(self, place: str, paths: Iterable[str]):
        self.place, self.paths = place, tuple(sorted(paths))
        self._by_name = {path.lower(): path for path in reversed(self.paths)}
        self._names = sorted(self._by_name)

    def named(self, pattern: str) -> Iterator[tuple[str, re.Match]]:
        """Yields the files whose whole name matches a pattern, with the match."""
        compiled = re.compile(pattern, re.IGNORECASE)
        for path in self.paths:
            found = compiled.fullmatch(name_of(path))
            if found:
                yield path, found

    def beside(self, path: str, name: str) -> str | None:
        """Returns the file with this name in the folder of another one."""
        return self._by_name.get(f"{folder_of(path)}{name}".lower())

    def beginning(self, path: str, start: str) -> Iterator[str]:
        """Yields the files in the folder of another one whose names begin with a text."""
        beginning = f"{folder_of(path)}{start}".lower()
        for index in range(bisect_left(self._names, beginning), len(self._names)):
            name = self._names[index]
            if not name.startswith(beginning):
                break
            if folder_of(name) == folder_of(beginning):
                yield self._by_name[name]

    def without(self, taken: set[str]) -> Files:
        """Returns the other files."""
        return Files(self.place, (path for path in self.paths if path not in taken))


def folder_of(path: str) -> str:
    """Returns the folder of a file, with the slash at its end."""
    return path[: path.rfind("/") + 1]


def name_of(path: str) -> str:
    """Returns the name of a file."""
    return path[path.rfind("/") + 1 :]


def stem_of(path: str) -> str:
    """Returns the name of a file without its ending."""
    name = name_of(path)
    return name[: name.rfind(".")] if "." in name else name


def inside(path: str) -> str | None:
    """Returns GDAL's name for the content of an archive; None for any other file."""
    prefix = next((prefix for ending, prefix in ARCHIVES if path.lower().endswith(ending)), None)
    return prefix and f"{prefix}{path}"


def files_at(place: str, notify: Notify, watch: Notify = ignore) -> Files:
    """Returns the files of a folder or an archive, and of the archives in a folder.

    Reports what cannot be listed, and a place with too many files. watch: is told the number of files so far at each
    folder; may raise Cancelled. Raises ConfigError if there is no such place.
    """
    network.check(place)
    place = place if place.startswith("/vsi") else Path(place).as_posix()
    found: list[str] = []
    for path in _walked(place, notify):
        if path.endswith("/") or len(found) % WATCH_INTERVAL == 0:
            watch(notice("search_listing", count=len(found)))
        if path.endswith("/"):
            continue
        if len(found) == MAXIMUM_FILES:
            notify(notice("place_truncated", place=place, count=MAXIMUM_FILES))
            break
        found.append(path)
    return Files(place, found)


def _walked(place: str, notify: Notify) -> Iterator[str]:
    """Yields the files of a place, and its folders with a slash at the end."""
    if place.startswith(tuple(prefix for _, prefix in ARCHIVES)):
        return _virtual(place, notify)
    content = inside(place)
    if not place.startswith("/vsi"):
        kind = kind_of(place)
        if kind == "a folder":
            return _with_archives(_local(place, notify), notify)
        if not os.path.exists(place):
            raise ConfigError(notice("place_missing", place=str(place)))
        if not content or kind:
            raise ConfigError(notice("place_wrong", place=str(place)))
    return _archive(place, content, notify) if content else _with_archives(_virtual(place, notify), notify)


def _with_archives(paths: Iterator[str], notify: Notify) -> Iterator[str]:
    """Yields the files and folders, and what is in archives among them."""
    for path in paths:
        content = inside(path)
        yield from _archive(path, content, notify) if content else (path,)


def _archive(path: str, content: str, notify: Notify) -> Iterator[str]:
    if path.lower().endswith(COMPRESSED):
        notify(notice("archive_slow", path=path))
    return _virtual(content, notify)


def _local(folder: str, notify: Notify) -> Iterator[str]:
    """Yields the folder and the files and folders below it, each folder once: links may lead in circles."""
    waiting, seen = [(folder.rstrip("/") or "/", 0)], set()
    while waiting:
        at, depth = waiting.pop()
        yield f"{at.rstrip('/')}/"
        try:
            status = os.stat(at)
            entries = sorted(os.scandir(at), key=lambda entry: entry.name)
        except OSError as error:
            notify(notice("place_unreadable", place=at, reason=error.strerror or str(error)))
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        texts = [entry for entry in entries if decoded(entry.name) == entry.name]
        if len(texts) < len(entries):
            notify(notice("names_not_text", place=at, count=len(entries) - len(texts)))
        for entry in texts:
            path = f"{at.rstrip('/')}/{entry.name}"
            if _is(entry.is_dir) and depth < MAXIMUM_DEPTH:
                waiting.append((path, depth + 1))
            elif _is(entry.is_file):
                yield path


def _is(test) -> bool:
    try:
        return test()
    except OSError:
        return False


def _virtual(place: str, notify: Notify) -> Iterator[str]:
    """Yields the files and folders below a folder of one of GDAL's file systems."""
    try:
        folder = gdal.OpenDir(place, MAXIMUM_DEPTH)
    except RuntimeError as error:
        folder, reason = None, one_line(error)
    else:
        reason = gdal.GetLastErrorMsg() or "it is empty, or cannot be listed"
    if folder is None:
        notify(notice("place_unreadable", place=place, reason=reason))
        return
    try:
        while (entry := _next(folder)) is not None:
            name = f"{place.rstrip('/')}/{entry.name}"
            yield f"{name.rstrip('/')}/" if entry.IsDirectory() else name
    finally:
        gdal.CloseDir(folder)


def _next(folder):
    try:
        return gdal.GetNextDirEntry(folder)
    except RuntimeError:
        return None
