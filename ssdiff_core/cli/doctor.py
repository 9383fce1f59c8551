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

    report = installation.report()
    print(json.dumps(report, indent=2) if args.json else doctor.as_text(report))
