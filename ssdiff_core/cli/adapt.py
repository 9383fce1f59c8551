"""`ssdiff adapt` on the command line: its arguments, and what it prints."""

from __future__ import annotations

import json
from dataclasses import asdict, fields

from ..common import progress
from ..domain.adaptation_job import MODES
from .arguments import add_memory, add_scene, add_seed, at_least, numbers, one_ms


def add(commands) -> None:
    """Adds the command to a parser's."""
    it = commands.add_parser("adapt", help="make weights that suit your own scenes better than those there are")
    add_scene(it)
    it.add_argument("-o", "--out", required=True, metavar="WEIGHTS", help="a .safetensors file, or an id to find it by")
    it.add_argument(
        "--also",
        nargs=2,
        action="append",
        default=[],
        metavar=("PAN", "MS"),
        help="another scene of the sensor; may be repeated",
    )
    it.add_argument("--id", default="", help="of the weights (default: the name of their file)")
    it.add_argument("--base", default="auto", help="weights to begin with: auto (default), an id or a file")
    it.add_argument("--mode", default="lbaf", choices=MODES, help="lbaf (default): one branch after the other")
    it.add_argument("--minutes", type=at_least(0.1, float), default=0.0, help="to take (default: 20, on a GPU 3)")
    it.add_argument("--steps", type=at_least(1), default=0, help="of training to take, however long that is")
    it.add_argument("--sensor", default="auto", help="auto (default) or an id such as wv3, gf2, landsat89")
    it.add_argument("--bands", type=numbers, default=(), metavar="1,2,3", help="MS bands, as they shall come out")
    it.add_argument(
        "--align",
        default="auto",
        choices=("auto", "none"),
        help="auto (default) corrects the shift of MS and bands",
    )
    it.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    add_seed(it, 1)
    add_memory(it)
    it.add_argument("--progress", default="auto", choices=progress.KINDS)
    it.add_argument("--json", action="store_true", help="print what came of it")
    it.set_defaults(run=run, wrong=it.error)


def run(args) -> None:
    from ..inprocess.backend import LocalBackend
    from ..workflows import adapt
    from .main import hear_interrupts, tell

    hear_interrupts()
    files = one_ms(args)
    wishes = adapt.AdaptOptions(**{item.name: getattr(args, item.name) for item in fields(adapt.AdaptOptions)})
    pairs = [(args.pan, files), *map(tuple, args.also)]
    found = adapt.adapt(pairs, args.out, wishes, tell, lambda n: progress.reporter(args.progress, n), LocalBackend())
    if args.json:
        print(json.dumps({**asdict(found), "path": found.path and str(found.path)}, indent=2))
