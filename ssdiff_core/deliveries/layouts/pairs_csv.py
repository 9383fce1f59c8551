"""Lists of pairs: CSV files with the columns pan and ms, and optionally name and sensor."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator

from ...common.errors import ConfigError
from ...common.notices import notice
from ...common.texts import on_one_line
from ...domain import sensors
from ..delivery import Delivery, Image
from ..documents import located, text_of
from ..files import stem_of

LAYOUT = "CSV"
COLUMNS = ("pan", "ms", "name", "sensor")
FILES_SEPARATOR = "|"
"between the MS files of one scene"
MAXIMUM_SHOWN = 200
"characters of a cell that a message repeats"


def read(path: str) -> Iterator[Delivery]:
    """Yields the scenes of a list, in its order.

    Paths are relative to the folder of the list; several MS files, one for each band, are separated by |. Raises
    ConfigError if the list has no columns pan and ms, or names a sensor that there is not.
    """
    text = text_of(path)
    try:
        rows = list(csv.DictReader(io.StringIO(text), skipinitialspace=True, dialect=_dialect(text)))
    except csv.Error as error:
        raise ConfigError(notice("csv_damaged", path=str(path), reason=str(error))) from None
    names = {str(name).strip().lower(): name for name in (rows[0] if rows else {}) if name}
    if rows and not {"pan", "ms"} <= set(names):
        found = _cell(", ".join(names)) or "none"
        raise ConfigError(notice("csv_columns", path=str(path), columns=found))
    for number, row in enumerate(rows, 2):
        pan, ms, name, sensor = ((row[names[column]] or "").strip() if column in names else "" for column in COLUMNS)
        if sensor and sensor not in sensors.ids():
            values = {"path": str(path), "line": number, "sensor": _cell(sensor), "known": _ids()}
            raise ConfigError(notice("csv_sensor", **values))
        files = [located(path, part.strip()) for part in ms.split(FILES_SEPARATOR) if part.strip()]
        yield Delivery(
            " ".join(name.split()) or stem_of(pan.replace(os.sep, "/")) or f"line {number}",
            path,
            LAYOUT,
            (located(path, pan),) if pan else (),
            tuple(Image((file,)) for file in files),
            sensor or None,
        )


def _cell(text: str) -> str:
    """Returns the content of a cell for a message: it may contain line breaks, and be of any length."""
    return on_one_line(text[:MAXIMUM_SHOWN])


def _ids() -> str:
    return ", ".join(sensors.ids())


def _dialect(text: str):
    """Returns the dialect by the separator of the first line."""
    first = text.partition("\n")[0]
    dialect = type("dialect", (csv.excel,), {})
    dialect.delimiter = max(",;\t", key=first.count)
    return dialect
