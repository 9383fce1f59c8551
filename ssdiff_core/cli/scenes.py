"""The command `ssdiff scenes`."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import asdict

from ..domain import sensors
from .arguments import add_json, file_name
from .console import print_message

COLUMNS = ("name", "pan", "ms", "sensor", "layout", "size", "ratio", "cloud_cover", "acquired", "complete", "doubts")
"columns of the table"


def add(commands) -> None:
    """Adds the command to the parser."""
    text = "List the scenes that can be fused in folders, archives and lists, and what is missing or doubtful."
    command = commands.add_parser("scenes", help=text, description=text)
    command.add_argument(
        "places",
        nargs="+",
        type=file_name,
        metavar="PLACE",
        help="Folder with deliveries of vendors, archive (.zip, .tar, .tar.gz), list of pairs (.csv with the columns "
        "pan and ms) or STAC file (.json); also by GDAL's names, such as /vsis3/BUCKET/FOLDER.",
    )
    form = command.add_mutually_exclusive_group()
    add_json(form, "Print the scenes as JSON.")
    form.add_argument("--csv", action="store_true", help="Print the scenes as CSV.")
    command.set_defaults(run=run)


def run(args) -> None:
    from ..deliveries import find_scenes

    rows = [row_of(delivery) for delivery in find_scenes(args.places, print_message)]
    if args.json:
        print(json.dumps(rows, indent=2))
    elif args.csv:
        print_csv(rows)
    else:
        for row in rows:
            print(line_of(row))
        print_message(f"{len(rows)} scene(s), of which {sum(row['complete'] for row in rows)} can be fused")


def row_of(delivery) -> dict:
    """Returns a delivery as plain values."""
    return {
        **asdict(delivery),
        "doubts": [str(doubt) for doubt in delivery.doubts],
        "sensor_name": sensors.get(delivery.sensor).label if delivery.sensor else "",
        "complete": delivery.complete,
    }


def print_csv(rows: list[dict]) -> None:
    """Prints a table: files are separated by |, images of MS too."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        texts = {
            "size": "{} x {}".format(*row["size"]) if row["size"] else "",
            "pan": "|".join(row["pan"]),
            "ms": "|".join(file for image in row["ms"] for file in image["files"]),
            "doubts": "; ".join(row["doubts"]),
        }
        writer.writerow(["" if (value := (row | texts)[name]) is None else value for name in COLUMNS])


def line_of(row: dict) -> str:
    """Returns a line for people."""
    size = "{} x {} pixels".format(*row["size"]) if row["size"] else ""
    ratio = f"ratio {row['ratio']:.3g}" if row["ratio"] else ""
    cloud = f"{row['cloud_cover']:g} % cloud" if row["cloud_cover"] is not None else ""
    told = (row["sensor_name"] or row["layout"], size, ratio, cloud, row["acquired"])
    doubts = "".join(f"\n    {doubt}" for doubt in row["doubts"])
    return f"{'  ' if row['complete'] else '! '}{row['name']}: {', '.join(filter(None, told))}{doubts}"
