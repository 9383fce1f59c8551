"""Finding the deliveries of places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ..common.notices import Notify, ignore, notice
from .checks import checked, with_local_files
from .delivery import Delivery
from .files import files_at
from .layouts.registry import DOCUMENTS, LAYOUTS


def find_scenes(places: Iterable[str | Path], notify: Notify = ignore, watch: Notify = ignore) -> list[Delivery]:
    """Returns the deliveries of places in the order of places and names, each once.

    places: folders, archives, lists of pairs (.csv), STAC files (.json), local or by GDAL's names such as /vsis3/. A
    delivery that cannot be fused is returned too, with the reason among its doubts. Reports places that cannot be
    read; raises ConfigError if there is no such place. watch: is told often how far the search is; may raise Cancelled.
    """
    found = {}
    for place in map(str, places):
        for delivery in _found(place, notify, watch):
            found.setdefault((delivery.pan, delivery.ms), delivery)
    deliveries = []
    for number, delivery in enumerate(found.values(), 1):
        watch(notice("search_checking", number=number, total=len(found)))
        deliveries.append(checked(delivery))
    return deliveries


def _found(place: str, notify: Notify, watch: Notify) -> Iterator[Delivery]:
    document = next((read for ending, read in DOCUMENTS.items() if place.lower().endswith(ending)), None)
    if document:
        yield from document(place)
        return
    files = files_at(place, notify, watch)
    listed = notice("search_listing", count=len(files.paths))
    for find in LAYOUTS:
        watch(listed)
        deliveries = []
        for delivery in find(files):
            watch(listed)
            deliveries.append(with_local_files(delivery))
        yield from sorted(deliveries, key=lambda delivery: delivery.name)
        files = files.without({file for delivery in deliveries for file in delivery.files})
