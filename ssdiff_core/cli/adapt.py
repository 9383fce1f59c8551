"""The command `ssdiff adapt`."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial

from ..common import progress
from ..domain.options import AdaptOptions
from .arguments import add_json, add_options, add_pair, add_progress, ms_files, options_from
from .console import handle_termination, print_message


def add(commands) -> None:
    """Adds the command to the parser."""
    text = "Adapt weights to scenes: train them further on the scenes themselves, and keep them if they are better."
    command = commands.add_parser("adapt", help=text, description=text)
    add_pair(command)
    command.add_argument(
        "-o", "--out", required=True, metavar="WEIGHTS", help="Weights to write: a .safetensors file, or an id."
    )
    command.add_argument(
        "--also",
        nargs=2,
        action="append",
        default=[],
        metavar=("PAN", "MS"),
        help="Another scene of the same sensor; may be repeated.",
    )
    add_options(command, AdaptOptions)
    add_progress(command)
    add_json(command)
    command.set_defaults(run=run, usage_error=command.error)


def run(args) -> None:
    from ..inprocess.backend import LocalBackend
    from ..workflows import adapt

    handle_termination()
    pairs = [(args.pan, ms_files(args)), *map(tuple, args.also)]
    options, reporter = options_from(args, AdaptOptions), partial(progress.reporter, args.progress)
    result = adapt.adapt(pairs, args.out, options, print_message, reporter, LocalBackend())
    if args.json:
        print(json.dumps({**asdict(result), "path": result.path and str(result.path)}, indent=2))
