"""Finding the deliveries of places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ..common.notices import Notify
from .checks import checked, with_local_files
from .delivery import Delivery
from .files import files_at
from .layouts.registry import DOCUMENTS, LAYOUTS


def find_scenes(places: Iterable[str | Path], notify: Notify = lambda message: None) -> list[Delivery]:
    """Returns the deliveries of places in the order of places and names, each once.

    places: folders, archives, lists of pairs (.csv), STAC files (.json), local or by GDAL's names such as /vsis3/. A
    delivery that cannot be fused is returned too, with the reason among its doubts. Reports places that cannot be
    read; raises ConfigError if there is no such place.
    """
    found = {}
    for place in map(str, places):
        for delivery in _found(place, notify):
            found.setdefault((delivery.pan, delivery.ms), delivery)
    return [checked(delivery) for delivery in found.values()]


def _found(place: str, notify: Notify) -> Iterator[Delivery]:
    document = next((read for ending, read in DOCUMENTS.items() if place.lower().endswith(ending)), None)
    if document:
        yield from document(place)
        return
    files = files_at(place, notify)
    for find in LAYOUTS:
        deliveries = sorted(find(files), key=lambda delivery: delivery.name)
        yield from map(with_local_files, deliveries)
        files = files.without({file for delivery in deliveries for file in delivery.files})
