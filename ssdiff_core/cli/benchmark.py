"""The command `ssdiff benchmark`, which measures quality; `ssdiff bench` measures speed."""

from __future__ import annotations

import json

from ..common import progress
from ..common.files import check_targets
from ..domain.methods import ALL, NETWORK
from ..domain.options import SamplingOptions
from .arguments import add_json, add_options, add_progress, between, names, options_from
from .console import print_message


def add(commands) -> None:
    """Adds the command to the parser."""
    text = "Compare methods on sets of images such as PanCollection's, and print the table of a paper (speed: bench)."
    command = commands.add_parser("benchmark", help=text, description=text)
    command.add_argument(
        "sets",
        nargs="+",
        metavar="SET",
        help="HDF5 files with ms, lms and pan, and gt at reduced resolution (.h5, .mat of MATLAB 7.3), or folders of "
        "them. Files of one sensor share a table.",
    )
    command.add_argument(
        "--methods", type=names, default=ALL, metavar="A,B,...", help=f"Methods to compare. (default: {','.join(ALL)})"
    )
    command.add_argument(
        "--weights",
        action="append",
        metavar="W",
        help=f"Weights of {NETWORK}: auto, an id or a file; repeat it to compare several. (default: auto)",
    )
    command.add_argument(
        "--sensor", default="auto", help="Sensor of the images. auto: named in the file name. (default: auto)"
    )
    add_options(command, SamplingOptions)
    command.add_argument(
        "--crop", action="store_true", help="Exclude the border that the MATLAB toolbox excludes on request."
    )
    command.add_argument("--images", type=between(1), metavar="N", help="Use only the first N images of each set.")
    command.add_argument(
        "--quoted",
        default="auto",
        choices=("auto", "always", "never"),
        help="Whether rows of publications follow, marked as quoted. auto: for files with the names of PanCollection's "
        "test sets. (default: auto)",
    )
    add_json(command)
    command.add_argument("--csv", metavar="FILE", help="Also write the table as CSV.")
    command.add_argument("--latex", metavar="FILE", help="Also write the table as LaTeX.")
    command.add_argument("--report", metavar="FILE.html", help="Also write the table as an HTML page.")
    add_progress(command)
    command.set_defaults(run=run)


def run(args) -> None:
    from ..assessment import benchmark_tables as tables
    from ..common.files import write_whole
    from ..inprocess import benchmark

    check_targets(args.csv, args.latex, args.report, inputs=benchmark.files_of(args.sets))
    sampling = options_from(args, SamplingOptions)
    options = benchmark.BenchmarkOptions(
        args.methods, tuple(args.weights or ("auto",)), args.sensor, sampling, args.crop, args.images, args.quoted
    )
    found = benchmark.run(args.sets, options, print_message, progress.reporter(args.progress, 0))
    if args.csv:
        write_whole(args.csv, tables.as_csv(found))
    if args.latex:
        write_whole(args.latex, tables.latex(found))
    if args.report:
        tables.write_report(args.report, found)
    if args.json:
        print(json.dumps(tables.document(found), indent=2))
    else:
        print("\n\n".join(map(tables.text, found)))
