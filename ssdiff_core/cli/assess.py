"""`ssdiff assess` on the command line: its arguments, and what it prints."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
from collections.abc import Iterator
from pathlib import Path

from ..common import progress
from ..common.errors import ConfigError
from ..common.paths import made_folder
from ..common.progress import part
from ..domain.methods import ALIGN, CONVENTIONS
from .arguments import add_memory, add_seed, check_files, extent, named, numbers

PROTOCOLS = ("full", "wald")
METHODS = ("ssdiff", "gsa", "mtf-glp-fs")
"what wald compares where nothing else is wished"
FOR_WALD = ("methods", "weights", "steps", "device")
"arguments that say nothing elsewhere"
ASKED = ("sensor", "bands", "extent", "convention", "align", "memory", "sample", "seed", "crop")
"arguments that are what study.Asked holds"


def add(commands) -> None:
    """Adds the command to a parser's."""
    it = commands.add_parser("assess", help="how good fused rasters are, or what methods do on a scene")
    it.add_argument("fused", nargs="*", type=named, help="rasters, or folders of them")
    it.add_argument("--pan", metavar="FILE", help="default: what a fused file says it is made of")
    it.add_argument("--ms", action="append", metavar="FILE", help="may be repeated, one file for each band")
    it.add_argument("--reference", metavar="FILE", help="what the fused image should be; else PAN and MS are asked")
    it.add_argument(
        "--protocol", default="full", choices=PROTOCOLS, help="wald: make PAN and MS coarser, fuse, compare"
    )
    it.add_argument("--methods", type=names, metavar="A,B,...", help=f"for wald (default: {','.join(METHODS)})")
    it.add_argument("--convention", default="geometric", choices=CONVENTIONS, help="toolbox: as published figures are")
    it.add_argument("--crop", action="store_true", help="with a reference: leave out the rim that the toolboxes may")
    it.add_argument("--sensor", default="auto", help="auto (default) or an id such as wv3, gf2, landsat89")
    it.add_argument("--bands", type=numbers, default=(), metavar="1,2,3", help="MS bands, as the fused image has them")
    it.add_argument("--extent", type=extent, metavar="XMIN,YMIN,XMAX,YMAX", help="in the CRS of PAN")
    it.add_argument("--align", default="warn", choices=ALIGN, help="auto corrects the shift of MS")
    it.add_argument("--baseline", metavar="NAME", help="the image that others are compared with (default: the first)")
    it.add_argument(
        "--sample", type=float, default=40, metavar="MPX", help="megapixels to measure (default 40; 0: all)"
    )
    add_seed(it, said="of the sampled blocks, and of ssdiff in wald")
    it.add_argument("--weights", help="for ssdiff in wald: auto (default), an id or a file")
    it.add_argument("--steps", type=int, help="for ssdiff in wald")
    it.add_argument("--device", help="for ssdiff in wald: auto (default), cpu, cuda, cuda:N or mps")
    it.add_argument("--json", action="store_true")
    it.add_argument("--csv", metavar="FILE")
    it.add_argument("--report", metavar="FILE.html", help="one file with tables, maps, spectra and crops")
    it.add_argument("--png", metavar="FOLDER", help="the report's maps and crops as files")
    add_memory(it)
    it.add_argument("--progress", default="auto", choices=progress.KINDS)
    it.set_defaults(run=run, wrong=it.error)


def names(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not found:
        raise argparse.ArgumentTypeError("methods are needed, with commas between")
    return found


def run(args) -> None:
    from ..assessment import html_report, measure, tables
    from ..domain.options import AssessOptions
    from .main import tell

    check(args)
    check_files(args.report, args.csv, inputs=[args.pan, *(args.ms or ()), args.reference, *args.fused])
    if args.png:
        made_folder(args.png)
    asked = AssessOptions(**{name: getattr(args, name) for name in ASKED})
    drawn, heard = bool(args.report or args.png), progress.reporter(args.progress, 0)
    ends = (0.5 if args.protocol == "wald" else 0.0), (0.8 if drawn else 1.0)
    methods = (args.methods or METHODS) if args.protocol == "wald" else ()
    with opened(args, methods, asked, tell, part(heard, 0, ends[0])) as at_hand, contextlib.ExitStack() as at_end:
        for study in at_hand:
            check_files(args.report, args.csv, inputs=[*study.inputs, *(image.path for image in study.files)])
        if drawn and len(at_hand) > 1:
            raise ConfigError("a report is of one scene and extent; these files are of several")
        found = [measure.with_beside(study, asked, methods) for study in at_hand]
        for study in found:
            at_end.callback(study.close)
        results = measure.measure_all(found, asked, part(heard, *ends))
        every = [result for of_study in results for result in of_study]
        baseline = tables.baseline_of(every, args.baseline)
        if args.csv:
            tables.write_csv(args.csv, every, args.protocol == "full")
        if drawn:
            html_report.write(
                found[0], results[0], asked, args.report, args.png, args.protocol, part(heard, ends[1], 1)
            )
        heard(1.0)
        said = tables.document(found, every, asked, args.protocol, baseline)
    means = args.protocol == "full"
    print(json.dumps(said, indent=2) if args.json else tables.text(every, baseline, said["notes"], means))


@contextlib.contextmanager
def opened(args, methods, asked, notify, heard) -> Iterator[list]:
    """What is to be measured; of wald, as long as its files are there."""
    from ..inprocess import wald
    from ..workflows import assess as studies
    from ..workflows.pansharpen import PansharpenOptions

    if args.protocol == "full":
        yield studies.open_studies(studies.files_in(args.fused), args.pan, args.ms, args.reference, asked, notify)
        return
    how = {"weights": args.weights or "auto", "device": args.device or "auto"}
    wishes = PansharpenOptions(steps=args.steps, seed=args.seed, **how)
    with wald.on_coarser(args.pan, args.ms, methods, asked, wishes, notify, heard) as study:
        yield [study]


def report_on(args, ms) -> None:
    """The report on what `ssdiff pansharpen` with these arguments has just made."""
    from ..assessment import html_report
    from ..domain.options import AssessOptions
    from ..workflows import assess as studies

    asked = AssessOptions(args.sensor, args.bands, args.extent, align=args.align, memory=args.memory)
    (study,) = studies.open_studies([Path(args.out)], args.pan, ms, None, asked, lambda sentence: None)
    html_report.assessed(study, asked, args.report, lambda share: None)


def check(args) -> None:
    """What the parser cannot see."""
    if args.protocol == "wald" and (args.fused or args.reference):
        args.wrong("--protocol wald fuses by itself: name --pan, --ms and --methods, and no fused files")
    if args.protocol == "wald" and not (args.pan and args.ms):
        args.wrong("--protocol wald needs --pan and --ms")
    if args.protocol == "full" and not args.fused:
        args.wrong("name the fused rasters, or take --protocol wald")
    unheard = [f"--{name}" for name in FOR_WALD if getattr(args, name) is not None]
    if args.protocol == "full" and unheard:
        args.wrong(f"{unheard[0]} is for --protocol wald")
    if args.crop and not (args.reference or args.protocol == "wald"):
        args.wrong("--crop is of the measures against a reference: name one with --reference, or take --protocol wald")
    if not (args.sample >= 0 and math.isfinite(args.sample)):
        args.wrong("--sample takes megapixels, or 0 for all")
