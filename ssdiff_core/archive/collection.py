"""What is written when all scenes are done: the STAC catalogue and collection, and the table of scenes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from .. import __version__
from .items import EXTENSIONS, STAC_VERSION
from .job import Outcome, SceneJob
from .storage import Storage

CATALOG, COLLECTION, SUMMARY = "catalog.json", "collection.json", "summary.csv"
COLUMNS = ("scene", "state", "method", "weights", "seconds", "HQNR", "D_rho", "notices", "reason", "file")
EVERYWHERE = [-180.0, -90.0, 180.0, 90.0]


def write(storage: Storage, jobs: Sequence[SceneJob], outcomes: Sequence[Outcome]) -> None:
    """Writes the catalogue, the collection, the links of items to them, and the table."""
    by_name = {outcome.name: outcome.item for outcome in outcomes if outcome.item}
    done = [(job, by_name[job.name]) for job in jobs if job.name in by_name]
    title = storage.root.rpartition("/")[2] or "archive"
    for job, item in done:
        linked = _linked(job, item, title)
        if linked != item:
            storage.write_json(job.item, linked)
    if done:  # a collection needs the extent of a scene
        storage.write_json(COLLECTION, _collection(title, done))
        storage.write_json(CATALOG, _catalog(title))
    storage.write(SUMMARY, table(jobs, outcomes).encode())


def table(jobs: Sequence[SceneJob], outcomes: Iterable[Outcome]) -> str:
    """Returns the table of scenes as CSV."""
    names, text = {job.name: job for job in jobs}, io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for outcome in sorted(outcomes, key=lambda each: each.name):
        done = outcome.item.get("properties", {})
        row = {name: done.get(f"ssdiff:{name}", "") for name in ("method", "weights", "seconds")}
        row |= done.get("ssdiff:quality", {})
        row |= {"scene": outcome.name, "state": "done" if done else "failed", "reason": outcome.reason}
        row |= {"notices": "; ".join(done.get("ssdiff:notices", ())), "file": names[outcome.name].out if done else ""}
        writer.writerow(row)
    return text.getvalue()


def _linked(job: SceneJob, item: dict, title: str) -> dict:
    """Returns an item with links to the collection and the catalogue."""
    up = "../" * (len(PurePosixPath(job.item).parts) - 1) or "./"
    links = [link for link in item["links"] if link["rel"] not in ("root", "parent", "collection")]
    links += [{"rel": "root", "href": up + CATALOG, "type": "application/json", "title": title}]
    links += [{"rel": rel, "href": up + COLLECTION, "type": "application/json"} for rel in ("parent", "collection")]
    return {**item, "collection": title, "links": links}


def _collection(title: str, done: Sequence[tuple[SceneJob, dict]]) -> dict:
    items = [item for _, item in done]
    boxes = [item["bbox"] for item in items if "bbox" in item]
    times = sorted(item["properties"]["datetime"] for item in items)
    outer = [*(min(box[i] for box in boxes) for i in (0, 1)), *(max(box[i] for box in boxes) for i in (2, 3))]
    methods = sorted({item["properties"]["ssdiff:method"] for item in items})
    return {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "stac_extensions": [EXTENSIONS[-1]],
        "id": title,
        "title": title,
        "description": f"Images pansharpened by SSDiff for QGIS {__version__} ({', '.join(methods)})",
        "license": "other",
        "providers": [
            {"name": "SSDiff for QGIS", "roles": ["processor"], "processing:software": {"SSDiff for QGIS": __version__}}
        ],
        "extent": {
            "spatial": {"bbox": [outer] if boxes else [EVERYWHERE]},
            "temporal": {"interval": [[times[0], times[-1]]]},
        },
        "summaries": {"processing:software": [{"SSDiff for QGIS": __version__}]},
        "links": [
            *({"rel": rel, "href": f"./{CATALOG}", "type": "application/json"} for rel in ("root", "parent")),
            *({"rel": "item", "href": f"./{job.item}", "type": "application/geo+json"} for job, _ in done),
        ],
    }


def _catalog(title: str) -> dict:
    return {
        "type": "Catalog",
        "stac_version": STAC_VERSION,
        "id": f"{title}-catalog",
        "title": title,
        "description": "Pansharpened images",
        "links": [
            {"rel": "root", "href": f"./{CATALOG}", "type": "application/json"},
            {"rel": "child", "href": f"./{COLLECTION}", "type": "application/json", "title": title},
        ],
    }
