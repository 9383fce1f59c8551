"""The command `ssdiff simulate`."""

from __future__ import annotations

import json

from .arguments import add_json, between
from .console import print_message

IMAGERY = "Imagery: packs (.npz), rasters with named bands, or folders of them."


def add(commands) -> None:
    """Adds the command to the parser."""
    text = "Simulate satellite scenes whose true image is known, from finer imagery."
    command = commands.add_parser("simulate", help=text, description=text)
    command.add_argument("imagery", nargs="+", help=IMAGERY)
    command.add_argument(
        "-o", "--out", required=True, help="Folder for NAME_pan.tif, NAME_ms.tif and NAME_truth.tif of each scene."
    )
    command.add_argument("--sensor", required=True, help="Sensor to simulate, such as wv3, gf2 or landsat89.")
    command.add_argument("--scenes", type=int, default=4, help="Number of scenes. (default: 4)")
    command.add_argument("--seed", type=between(0), default=1, help="Random seed. (default: 1)")
    add_json(command, "Print the random draws of each scene as JSON.")
    command.set_defaults(run=run)


def run(args) -> None:
    from ..inprocess import simulate

    files = simulate.scenes(args.imagery, args.out, args.sensor, args.scenes, args.seed, print_message)
    if args.json:
        print(json.dumps({"scenes": files}, indent=2))
