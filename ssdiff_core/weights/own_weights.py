"""The user's own weights: files in the weights folder that are not published. They can be renamed and deleted."""

from __future__ import annotations

from pathlib import Path

from ..common import paths
from ..common.errors import WeightsError
from ..common.files import open_to_read, write_whole
from ..common.notices import notice
from . import catalogue
from .card import is_id, read_card, read_header, written
from .catalogue import SUFFIX, Entry


def own_weights() -> list[Entry]:
    """Returns the user's own weights."""
    return [entry for entry in catalogue.known() if not entry.sha256]


def rename(entry: Entry, name: str) -> Path:
    """Gives weights another id, which is in the card of the file, and returns their new file."""
    if not is_id(name):
        raise WeightsError(notice("weights_name", name=name[:80]))
    target = paths.weights() / f"{name}{SUFFIX}"
    if target.exists() or name in {each.id for each in catalogue.known()}:
        raise WeightsError(notice("weights_name_taken", name=name))
    _check_own(entry)
    with open_to_read(entry.path) as file:
        header, tensors = read_header(file), file.read()
    header["__metadata__"]["id"] = name
    write_whole(target, written(header) + tensors)
    entry.path.unlink()
    return target


def delete(entry: Entry) -> None:
    """Deletes the file of weights."""
    _check_own(entry)
    entry.path.unlink()


def scenes_of(entry: Entry) -> str:
    """Returns the names of the scenes that weights were adapted to; empty if they are not known."""
    return ", ".join(map(str, read_card(entry.path).training.get("scenes", [])))


def gain_of(entry: Entry) -> str:
    """Returns the held-out error before and after adapting; empty if it is not known."""
    held_out = read_card(entry.path).scores.get("held out", {})
    try:
        return f"ERGAS {held_out['before']['ERGAS']:.2f} -> {held_out['after']['ERGAS']:.2f}"
    except (LookupError, TypeError, ValueError):
        return ""


def _check_own(entry: Entry) -> None:
    """Raises WeightsError for published weights and files outside the weights folder."""
    if entry.sha256 or entry.path is None or entry.path.parent != paths.weights():
        raise WeightsError(notice("weights_not_own", name=entry.id))
