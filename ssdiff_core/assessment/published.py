"""Published results, as rows of a benchmark: quoted from resources/published.json, never measured here."""

from __future__ import annotations

import json

from ..common.paths import RESOURCES
from .benchmark_tables import Row

FILE = RESOURCES / "published.json"


def published_rows(sensor: str) -> list[Row]:
    """Returns the published rows for the test images of a sensor; sensor: its id."""
    tables = json.loads(FILE.read_text(encoding="utf-8"))
    return [row for table in tables if table["sensor"] == sensor for row in _rows(**table)]


def _rows(sensor: str, source: str, columns: list[str], rows: dict, remarks: dict | None = None) -> list[Row]:
    """Returns the rows of a table. rows: by method, the text of each column: mean, or mean±standard deviation."""
    found = []
    for method, cells in rows.items():
        printed = dict(zip(columns, (cell.partition("±")[::2] for cell in cells)))
        mean = {name: float(text) for name, (text, _) in printed.items()}
        std = {name: float(text) for name, (_, text) in printed.items() if text}
        remark = (remarks or {}).get(method)
        source_of_row = f"{source} ({method}: {remark})" if remark else source
        found.append(Row(method, mean, std, source=source_of_row, printed=printed))
    return found
