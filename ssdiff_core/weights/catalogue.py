"""Catalogue of weights: bundled with SSDiff, published for download, and the user's own.

The catalogue (resources/weights.json) lists all published files. A file is a published one if its digest matches,
wherever it is stored; all other files in the user's folder (paths.weights()) are the user's own. Imports no torch, so
that QGIS can list and download weights.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..common import paths
from ..common.errors import ConfigError, DownloadError, WeightsError, message_of, one_line
from ..common.files import open_new, open_to_read, write_all
from ..common.fingerprints import sha256_of
from ..common.notices import Notify, notice
from ..common.progress import file_size
from ..domain import sensors
from ..domain.resampling import nearest_ratio
from . import download
from .card import is_id, read_card, read_header, suits
from .http import DEFAULT_CONNECTION, Connection, joined, without_secrets

SUFFIX = ".safetensors"
CATALOGUE = "weights.json"
"file name of the catalogue, in the resources"
MAXIMUM_SIZE = 1 << 34
"size of a weights file that the catalogue can list, bytes"
UNBUNDLED = "unbundled"
"folder of published files that only a clone of the repository contains"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
"pattern of digests in the catalogue"


@dataclass(frozen=True)
class Entry:
    """A weights file as described by the catalogue or its card."""

    id: str
    file: str
    "file name"
    size: int
    sha256: str = ""
    "empty for the user's own weights"
    urls: tuple[str, ...] = ()
    "addresses to download from, in this order: names relative to `home`, or full URLs"
    sensor: str = sensors.GENERAL
    bands: tuple[str, ...] = ()
    ratio: int = 4
    licence: str = ""
    bundled: bool = False
    patches: bool = False
    "whether the network works on patches, which is many times faster"
    path: Path | None = None
    "path of the file, if it is on this computer"

    @property
    def stored(self) -> str:
        """File name in the user's folder; a part of the digest distinguishes versions and the user's own files."""
        return f"{self.id}-{self.sha256[:8]}{SUFFIX}" if self.sha256 else f"{self.id}{SUFFIX}"

    @property
    def state(self) -> str:
        """Where the file is, for lists."""
        if not self.sha256:
            return "your own"
        return "not here" if not self.path else "bundled" if self.bundled else "here"

    def suits(self, ratio: float) -> bool:
        return suits(ratio, self.ratio)


Fetch = Callable[[Entry], Path]
"downloads published weights and returns their path"


# --- listing weights -------------------------------------------------------------------------------------------------


def published(resources: Path = paths.RESOURCES) -> tuple[Entry, ...]:
    """Returns all entries of the catalogue, whether they are on this computer or not."""
    try:
        return tuple(_entry(**item) for item in _catalogue(resources)["weights"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(resources, error) from None


def _entry(digest: str, urls: list[str], bands: list[str], **values) -> Entry:
    texts = (digest, *urls, *bands, *(values[name] for name in ("id", "file", "sensor", "licence")))
    if not all(isinstance(text, str) for text in texts) or not DIGEST.fullmatch(digest):
        raise ValueError("an entry has texts or a digest of another type")
    stem, suffix = os.path.splitext(values["file"])
    if not (is_id(values["id"]) and is_id(stem) and suffix == SUFFIX):
        raise ValueError(f"{values['id'][:80]!r} and {values['file'][:80]!r} are not an id and a file name")
    if not all(type(values[name]) is int and 0 < values[name] < MAXIMUM_SIZE for name in ("size", "ratio")):
        raise ValueError(f"size and ratio of {values['id']} are not positive whole numbers")
    return Entry(**values, sha256=digest.partition(":")[2], urls=tuple(urls), bands=tuple(bands))


def known(
    resources: Path = paths.RESOURCES, folder: Path | None = None, notify: Notify = lambda message: None
) -> list[Entry]:
    """Returns the published weights, with their paths, then the user's own; notifies of files that are skipped."""
    folder = folder or paths.weights()
    try:
        files = sorted(folder.glob(f"*{SUFFIX}"))
    except OSError as error:
        notify(notice("weights_skipped", path=str(folder), reason=error.strerror or str(error)))
        files = []
    folders = resources / "weights", resources / "weights" / UNBUNDLED
    found = [_located(entry, [*(each / entry.file for each in folders), *files]) for entry in published(resources)]
    taken, here = {entry.id for entry in found}, {entry.path for entry in found}
    own = _readable([file for file in files if file not in here], notify)
    return found + [entry for entry in own if entry.id not in taken]


def _readable(files: Iterable[Path], notify: Notify) -> Iterator[Entry]:
    for path in files:
        try:
            yield entry_of(path)
        except (WeightsError, OSError) as error:
            notify(notice("weights_skipped", path=str(path), reason=str(error).removeprefix(f"{path}: ")))


def entry_of(path: Path) -> Entry:
    """Returns the entry of a file according to its card."""
    card = read_card(path)
    return Entry(
        *(card.id, path.name, path.stat().st_size),
        sensor=card.sensor,
        bands=card.bands,
        ratio=card.ratio,
        licence=card.licence,
        patches=card.arch.patch > 1,
        path=path,
    )


def recognised(path: Path) -> Entry:
    """Returns the entry of a file: the published one with its id, or the user's own.

    Raises WeightsError if it differs from the published file with its id.
    """
    own = entry_of(path)
    twin = next((entry for entry in published() if entry.id == own.id), None)
    if not twin:
        return own
    if not download.is_intact(path, twin.size, twin.sha256):
        raise WeightsError(notice("weights_changed", path=str(path), name=own.id))
    return replace(twin, path=path)


def _located(entry: Entry, files: Iterable[Path]) -> Entry:
    intact = (path for path in files if download.is_intact(path, entry.size, entry.sha256))
    return replace(entry, path=next(intact, None))


def _catalogue(resources: Path) -> dict:
    """Returns the content of the catalogue."""
    try:
        content = json.loads((resources / CATALOGUE).read_text(encoding="utf-8"))
        if not all(isinstance(content[name], str) for name in ("repository", "release")):
            raise ValueError("repository and release are not texts")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(resources, error) from None
    return content


def _damaged(resources: Path, error: Exception) -> WeightsError:
    reason = f"{type(error).__name__}: {one_line(error)[:200]}"
    return WeightsError(notice("catalogue_damaged", path=str(resources / CATALOGUE), reason=reason))


# --- choosing weights -------------------------------------------------------------------------------------------------


def find(
    name: str,
    sensor: str,
    bands: int,
    ratio: float,
    fetch: Fetch,
    notify: Notify,
    entries: Iterable[Entry] | None = None,
) -> Path:
    """Returns the path of weights by id or path, or of the best for the scene (auto); downloads missing ones."""
    entries = known(notify=notify) if entries is None else list(entries)
    if name == "auto":
        return _best(_suitable(entries, sensor, bands, ratio), fetch, notify)
    found = file_or_entry(name, entries)
    return found if isinstance(found, Path) else found.path or fetch(found)


def selected(name: str, sensor: str, bands: int, ratio: float) -> Path | Entry:
    """Returns the file or the entry that `find` takes, which may have to be downloaded."""
    entries = known()
    return _suitable(entries, sensor, bands, ratio)[0] if name == "auto" else file_or_entry(name, entries)


def file_or_entry(name: str, entries: Sequence[Entry]) -> Path | Entry:
    """Returns the file or the entry with this name; ids have priority over file names."""
    is_file = name.endswith(SUFFIX) or Path(name).is_file()
    return Path(name) if is_file and name not in {entry.id for entry in entries} else named(name, entries)


def named(name: str, entries: Iterable[Entry]) -> Entry:
    by_id = {entry.id: entry for entry in reversed(list(entries))}
    if name not in by_id:
        raise ConfigError(notice("weights_unknown", name=name, known=list(reversed(by_id))))
    return by_id[name]


def name_of(path: Path) -> str:
    """Returns the name by which `find` finds a file: its id if that is unambiguous, else its path."""
    first = {entry.id: entry for entry in reversed(known())}
    return next((id for id, entry in first.items() if entry.path and entry.path.samefile(path)), str(path))


def _suitable(entries: Iterable[Entry], sensor: str, bands: int, ratio: float) -> list[Entry]:
    """Returns fitting weights: for the sensor, then general ones for this number of bands, then for band groups.

    MS of a ratio that no weights are for is brought to the nearest that they know (see domain.resampling); weights for
    a sensor know its own ratio alone, so general ones precede them then. Networks on patches precede all others, even
    in band groups. The user's own weights come last, because weights adapted to one scene need not fit another.
    """

    def rank(entry: Entry) -> int | None:
        """Returns the place of an entry, the best first; None if it does not fit."""
        if entry.sensor == sensor != sensors.GENERAL and len(entry.bands) == bands:
            return 0 if entry.suits(ratio) else 3
        if entry.sensor == sensors.GENERAL:
            return 1 if len(entry.bands) == bands else 2
        return None

    entries = list(entries)
    nearest = nearest_ratio(ratio, {entry.ratio for entry in entries} or {4})
    fitting = [entry for entry in entries if entry.suits(nearest) and rank(entry) is not None]
    ranked = sorted(fitting, key=lambda entry: (not entry.sha256, not entry.patches, rank(entry)))
    if not ranked:
        raise ConfigError(notice("no_weights_for_scene", bands=bands, ratio=ratio))
    return ranked


def _best(ranked: list[Entry], fetch: Fetch, notify: Notify) -> Path:
    """Returns the path of the first entry; if it cannot be downloaded, of the first that is on this computer."""
    best = ranked[0]
    try:
        return best.path or fetch(best)
    except DownloadError as error:
        available = next((entry for entry in ranked if entry.path), None)
        if not available:
            raise
        notify(notice("weights_instead", reason=message_of(error), weights=available.id))
        return available.path


# --- download and import ----------------------------------------------------------------------------------------------


def home(setting: str = "", resources: Path = paths.RESOURCES, environ: Mapping[str, str] = os.environ) -> str:
    """Returns the base URL of published files: SSDIFF_WEIGHTS_URL, else the setting, else the project's release."""
    named = environ.get("SSDIFF_WEIGHTS_URL") or setting
    if not named:
        named = f"{repository(resources)}/releases/download/{_catalogue(resources)['release']}"
    return named.rstrip("/") + "/"


def repository(resources: Path = paths.RESOURCES) -> str:
    """Returns the URL of the project, which the catalogue repeats because wheels do not contain metadata.txt."""
    return _catalogue(resources)["repository"]


def fetcher(
    connection: Connection = DEFAULT_CONNECTION,
    progress: Callable[[float], None] = lambda share: None,
    cancelled: Callable[[], bool] = lambda: False,
    notify: Notify = lambda message: None,
    base: str = "",
) -> Fetch:
    """Returns a function that downloads published weights into the user's folder. base: base URL (see home)."""

    def fetch(entry: Entry) -> Path:
        urls = [joined(home(base), url) for url in entry.urls]
        target = paths.weights() / entry.stored
        if not connection.forbidden:
            notify(notice("weights_download", weights=entry.id, size=file_size(entry.size)))
        try:
            return download.fetch(
                urls, download.DownloadRequest(target, entry.size, entry.sha256, connection, progress, cancelled)
            )
        except DownloadError as error:
            values = {"weights": entry.id, "reason": message_of(error), "url": without_secrets(urls[0])}
            raise DownloadError(notice("weights_not_downloaded", **values)) from None

    return fetch


def adopt(file: str | os.PathLike, folder: Path | None = None) -> Entry:
    """Imports a weights file into the user's folder, where it is found by its id."""
    file, folder = Path(file), folder or paths.weights()
    entry = recognised(file)
    check_whole(file)
    target = folder / entry.stored
    if target.exists() and sha256_of(target) != sha256_of(file) and not entry.sha256:
        raise WeightsError(notice("weights_others", name=entry.id, folder=str(target)))
    _copy(file, target)
    return replace(entry, path=target)


def _copy(file: Path, target: Path) -> None:
    partial = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        with open_to_read(file) as source, open_new(partial) as copy:
            for piece in iter(lambda: source.read(1 << 20), b""):
                write_all(copy, piece)
        download.keep(partial, target)
    except OSError as error:
        raise WeightsError(
            notice("cannot_copy", path=str(file), target=str(target), reason=error.strerror or str(error))
        ) from None
    finally:
        partial.unlink(missing_ok=True)


def check_whole(path: Path) -> None:
    """Raises WeightsError if the size of a safetensors file differs from its header."""
    with open_to_read(path) as file:
        header = read_header(file)
        length = file.tell()
    try:
        end = max(tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__")
    except (LookupError, TypeError, ValueError):
        end = None
    if end is None or path.stat().st_size != length + end:
        raise WeightsError(notice("weights_truncated", path=str(path)))
