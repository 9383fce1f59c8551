"""The command `ssdiff train`."""

from __future__ import annotations

import math

from ..common.files import check_targets
from ..domain.options import DEVICE_OPTION
from .arguments import between
from .console import print_message
from .simulate import IMAGERY


def add(commands) -> None:
    """Adds the command to the parser."""
    text = "Train weights from a recipe and imagery, or a set of images with known truth (PanCollection)."
    command = commands.add_parser("train", help=text, description=text)
    command.add_argument("recipe", help="Training recipe, a TOML file (see docs/training.md).")
    command.add_argument(
        "imagery", nargs="+", help=f"{IMAGERY} Or a set of images with gt, ms, lms and pan, such as train_wv3.h5."
    )
    command.add_argument(
        "--validate", metavar="SET", help="Held-out set of images, such as valid_wv3.h5, which is measured every epoch."
    )
    command.add_argument(
        "-o", "--out", required=True, help="Weights file to write. Log and checkpoint are written next to it."
    )
    command.add_argument(
        "--minutes",
        type=between(0, kind=float),
        default=math.inf,
        help="Maximum training time in minutes. The same command continues the training.",
    )
    command.add_argument("--device", default="auto", help=f"{DEVICE_OPTION.help} (default: auto)")
    command.add_argument(
        "--processes",
        type=between(0),
        metavar="N",
        help="Number of processes that simulate training samples. Default: one for each core on CUDA, otherwise none.",
    )
    command.add_argument("--start", metavar="WEIGHTS", help="Weights to start from. Default: a new network.")
    command.add_argument(
        "--teacher",
        metavar="WEIGHTS",
        help="Weights whose answers are part of the target, as large as `distilled` of the recipe.",
    )
    command.add_argument("--licence", default="", help="Licence of the weights, written into the file.")
    command.set_defaults(run=run, usage_error=command.error)


def run(args) -> None:
    from ..inprocess import train
    from ..weights.catalogue import SUFFIX

    check_targets(args.out)
    if not args.out.endswith(SUFFIX):
        args.usage_error(f"the name of a weights file ends with {SUFFIX}, not {args.out}")
    given = ("device", "minutes", "licence", "start", "teacher", "processes", "validate")
    options = train.TrainOptions(**{name: getattr(args, name) for name in given})
    finished = train.train(args.recipe, args.imagery, args.out, print_message, options)
    state = "training finished" if finished else "not finished; the same command continues the training"
    print_message(f"{args.out}: {state}")
