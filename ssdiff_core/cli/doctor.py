"""The command `ssdiff doctor`."""

from __future__ import annotations

import json

from .arguments import add_json


def add(commands) -> None:
    """Adds the command to the parser."""
    text = "Show what is installed, and which devices can compute."
    command = commands.add_parser("doctor", help=text, description=text)
    add_json(command)
    command.set_defaults(run=run)


def run(args) -> None:
    from ..inprocess import installation
    from ..runtime import doctor

    if args.json:
        return print(json.dumps(installation.report(), indent=2))
    for line in doctor.lines_of(installation.program(), installation.packages(), installation.devices):
        print(line, flush=True)
