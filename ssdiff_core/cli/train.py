"""The commands `ssdiff simulate` and `ssdiff train`."""

from __future__ import annotations

import json
import math

from .arguments import add_seed, at_least, check_files

IMAGERY = "packs (.npz), rasters with named bands, or folders of them"


def add(commands) -> None:
    simulate = commands.add_parser("simulate", help="scenes of a satellite whose truth is known, made from imagery")
    simulate.add_argument("imagery", nargs="+", help=IMAGERY)
    simulate.add_argument("-o", "--out", required=True, help="folder for NAME_pan.tif, NAME_ms.tif and NAME_truth.tif")
    simulate.add_argument("--sensor", required=True, help="a profile such as wv3, gf2, landsat89")
    simulate.add_argument("--scenes", type=int, default=4, help="how many (default 4)")
    add_seed(simulate, 1)
    simulate.add_argument("--json", action="store_true", help="print what was drawn for each scene")
    simulate.set_defaults(run=run_simulate)

    train = commands.add_parser("train", help="make weights from a recipe and imagery")
    train.add_argument("recipe", help="a TOML file; docs/training.md says what may stand in it")
    train.add_argument("imagery", nargs="+", help=IMAGERY)
    train.add_argument("-o", "--out", required=True, help="the weights file to write; a checkpoint lies beside it")
    train.add_argument(
        "--minutes", type=at_least(0, float), default=math.inf, help="to train at most; called again, it goes on"
    )
    train.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    train.add_argument(
        "--processes", type=at_least(0), metavar="N", help="that make samples (default: on CUDA one a core, else 0)"
    )
    train.add_argument("--start", metavar="WEIGHTS", help="weights to begin with (default: nothing is learnt yet)")
    train.add_argument("--licence", default="", help="of the weights")
    train.set_defaults(run=run_train, wrong=train.error)


def run_simulate(args) -> None:
    from ..inprocess import simulate as simulation
    from .main import tell

    made = simulation.scenes(args.imagery, args.out, args.sensor, args.scenes, args.seed, tell)
    if args.json:
        print(json.dumps({"scenes": made}, indent=2))


def run_train(args) -> None:
    from ..inprocess import train
    from ..weights.catalogue import SUFFIX
    from .main import tell

    check_files(args.out)
    if not args.out.endswith(SUFFIX):
        args.wrong(f"weights are files whose names end with {SUFFIX}")
    how = args.device, args.minutes, args.licence, args.start, args.processes
    ended = train.train(args.recipe, args.imagery, args.out, tell, *how)
    tell(f"{args.out}: {'done' if ended else 'not yet done; the same command goes on'}")
