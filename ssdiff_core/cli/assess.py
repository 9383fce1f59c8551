"""The command `ssdiff assess`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

from ..common import progress
from ..common.errors import ConfigError
from ..common.files import check_targets
from ..common.paths import ensure_folder
from ..common.progress import subrange
from ..domain.options import DEVICE_OPTION, AssessOptions
from .arguments import add_json, add_options, add_progress, between, file_name, names, options_from
from .console import print_message

PROTOCOLS = ("full", "wald")
WALD_METHODS = ("ssdiff", "gsa", "mtf-glp-fs")
"methods that wald compares by default"
WALD_ONLY = ("methods", "weights", "steps", "device")
"arguments that only wald uses"


def add(commands) -> None:
    """Adds the command to the parser."""
    text = "Measure the quality of fused rasters, or compare methods on a scene (--protocol wald)."
    command = commands.add_parser("assess", help=text, description=text)
    command.add_argument("fused", nargs="*", type=file_name, help="Fused rasters, or folders of them.")
    command.add_argument("--pan", metavar="FILE", help="Panchromatic raster. Default: named in the fused file.")
    command.add_argument(
        "--ms",
        action="append",
        metavar="FILE",
        help="Multispectral raster; repeat it for several files. Default: named in the fused file.",
    )
    command.add_argument(
        "--reference", metavar="FILE", help="True image to compare with. Default: measure against PAN and MS."
    )
    command.add_argument(
        "--protocol",
        default="full",
        choices=PROTOCOLS,
        help="full: measure at full resolution; wald: degrade PAN and MS by the ratio, fuse them with --methods, and "
        "compare with MS. (default: full)",
    )
    command.add_argument(
        "--methods",
        type=names,
        metavar="A,B,...",
        help=f"Methods that wald compares. (default: {','.join(WALD_METHODS)})",
    )
    add_options(command, AssessOptions)
    command.add_argument("--baseline", metavar="NAME", help="Image to compare the others with. Default: the first.")
    command.add_argument("--weights", help="Weights of ssdiff with wald: auto, an id or a file. (default: auto)")
    command.add_argument("--steps", type=between(1), help="Sampling steps of ssdiff with wald.")
    command.add_argument("--device", help=f"{DEVICE_OPTION.help} With wald. (default: auto)")
    add_json(command)
    command.add_argument("--csv", metavar="FILE", help="Also write the results as a CSV table.")
    command.add_argument(
        "--report", metavar="FILE.html", help="Also write a report with tables, maps, spectra and crops: one HTML file."
    )
    command.add_argument("--png", metavar="FOLDER", help="Also write the maps and crops of the report as PNG files.")
    add_progress(command)
    command.set_defaults(run=run, usage_error=command.error)


def run(args) -> None:
    from ..assessment import html_report, measure, tables
    from ..raster.input_files import files_read

    check(args)
    check_targets(args.report, args.csv, inputs=[args.pan, *(args.ms or ()), args.reference, *args.fused])
    if args.png:
        ensure_folder(args.png)
    options = options_from(args, AssessOptions)
    with_report, report = bool(args.report or args.png), progress.reporter(args.progress, 0)
    start, end = (0.5 if args.protocol == "wald" else 0.0), (0.8 if with_report else 1.0)
    methods = (args.methods or WALD_METHODS) if args.protocol == "wald" else ()
    with open_studies(args, methods, options, subrange(report, 0, start)) as opened, contextlib.ExitStack() as at_end:
        for study in opened:
            files = [*study.inputs, *(image.path for image in study.files), *filter(None, [args.reference])]
            check_targets(args.report, args.csv, inputs=files_read(files))
        if with_report and len(opened) > 1:
            raise ConfigError("a report covers one scene and extent; these files are of several")
        studies = [measure.with_baselines(study, options, methods) for study in opened]
        for study in studies:
            at_end.callback(study.close)
        results = measure.measure_all(studies, options, subrange(report, start, end))
        all_results = [result for of_study in results for result in of_study]
        baseline = tables.baseline_of(all_results, args.baseline)
        if args.csv:
            tables.write_csv(args.csv, all_results, args.protocol == "full")
        if with_report:
            html_report.write(
                studies[0], results[0], options, args.report, args.png, args.protocol, subrange(report, end, 1)
            )
        report(1.0)
        document = tables.document(studies, all_results, options, args.protocol, baseline)
    if args.json:
        print(json.dumps(document, indent=2))
    else:
        print(tables.text(all_results, baseline, document["notes"], args.protocol == "full"))


@contextlib.contextmanager
def open_studies(args, methods, options: AssessOptions, report) -> Iterator[list]:
    """Opens the studies to measure; the files of wald exist only within the context."""
    from ..domain.options import PansharpenOptions
    from ..inprocess import wald
    from ..workflows import assess

    if args.protocol == "full":
        yield assess.open_studies(
            assess.files_in(args.fused), args.pan, args.ms, args.reference, options, print_message
        )
        return
    fusing = PansharpenOptions(
        steps=args.steps, seed=args.seed, weights=args.weights or "auto", device=args.device or "auto"
    )
    with wald.wald_study(args.pan, args.ms, methods, options, fusing, print_message, report) as study:
        yield [study]


def check(args) -> None:
    """Ends the command if the arguments contradict each other."""
    if args.protocol == "wald" and (args.fused or args.reference):
        args.usage_error("--protocol wald fuses PAN and MS itself: give --pan, --ms and --methods, but no fused files")
    if args.protocol == "wald" and not (args.pan and args.ms):
        args.usage_error("--protocol wald needs --pan and --ms")
    if args.protocol == "full" and not args.fused:
        args.usage_error("give fused rasters, or --protocol wald")
    unused = [f"--{name}" for name in WALD_ONLY if getattr(args, name) is not None]
    if args.protocol == "full" and unused:
        args.usage_error(f"{unused[0]} needs --protocol wald")
    if args.crop and not (args.reference or args.protocol == "wald"):
        args.usage_error("--crop needs --reference or --protocol wald")
