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
        "-o",
        "--out",
        required=True,
        help="Folder for NAME_pan.tif, NAME_ms.tif and NAME_truth.tif of each scene, or a file .h5 for a set of images "
        "of one size, as ssdiff train and ssdiff benchmark read them.",
    )
    command.add_argument("--sensor", required=True, help="Sensor to simulate, such as wv3, gf2 or landsat89.")
    command.add_argument("--scenes", type=int, default=4, help="Number of scenes. (default: 4)")
    command.add_argument("--seed", type=between(0), default=1, help="Random seed. (default: 1)")
    add_json(command, "Print the random draws of each scene as JSON.")
    images = command.add_argument_group("for a set of images (.h5)")
    images.add_argument("--side", type=between(64), help="PAN pixels along each side of an image. (default: 256)")
    images.add_argument(
        "--without-truth", action="store_true", help="Leave out the true images, as in sets at full resolution."
    )
    command.set_defaults(run=run, usage_error=command.error)


def run(args) -> None:
    from ..domain.image_set import is_image_set
    from ..inprocess import simulate

    if is_image_set(args.out):
        side = {} if args.side is None else {"side": args.side}
        options = simulate.ImageSetOptions(args.sensor, args.scenes, args.seed, truth=not args.without_truth, **side)
        drawn = simulate.image_set(args.imagery, args.out, options, print_message)
        if args.json:
            print(json.dumps({"file": args.out, "images": drawn}, indent=2))
        return
    if args.side is not None or args.without_truth:
        args.usage_error("--side and --without-truth are for a set of images: give a file .h5 as --out")
    files = simulate.scenes(args.imagery, args.out, args.sensor, args.scenes, args.seed, print_message)
    if args.json:
        print(json.dumps({"scenes": files}, indent=2))
