"""The command `ssdiff bench`, which measures speed; `ssdiff benchmark` measures quality."""

from __future__ import annotations

import json

from ..domain.options import DEVICE_OPTION
from .arguments import add_json


def add(commands) -> None:
    """Adds the command to the parser."""
    text = "Measure the speed of the network on this machine (quality: benchmark)."
    command = commands.add_parser("bench", help=text, description=text)
    command.add_argument("--device", default="auto", help=f"{DEVICE_OPTION.help} (default: auto)")
    output = command.add_mutually_exclusive_group()
    add_json(output)
    output.add_argument("--profile", action="store_true", help="Only show which layers a forward pass spends time in.")
    command.set_defaults(run=run)


def run(args) -> None:
    from ..inprocess import speed

    if args.profile:
        print(speed.profile(args.device))
        return
    result = speed.run(args.device)
    if args.json:
        print(json.dumps(result, indent=2))
