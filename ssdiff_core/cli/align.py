"""The command `ssdiff align`."""

from __future__ import annotations

import json
from dataclasses import asdict

from .arguments import add_json, file_name


def add(commands) -> None:
    """Adds the command to the parser."""
    text = "Measure the shift of MS against PAN, in PAN pixels, for all bands and for each."
    command = commands.add_parser("align", help=text, description=text)
    command.add_argument("pan", type=file_name, help="Panchromatic raster.")
    command.add_argument("ms", nargs="+", type=file_name, help="Multispectral raster, or one file for each band.")
    add_json(command)
    command.set_defaults(run=run)


def run(args) -> None:
    from ..raster import reader

    shift = reader.alignment(reader.open_scene(args.pan, args.ms))
    if args.json:
        print(json.dumps(asdict(shift), indent=2))
        return
    print(f"overall: {shift}, confidence {shift.confidence:.2f}")
    for number, band in enumerate(shift.bands, 1):
        print(f"band {number}: {band}, confidence {band.confidence:.2f}")
