"""The command line: `ssdiff`, or `python -m ssdiff_core`.

Exit 0 done, 1 a clear error about the input or the environment, 2 wrong usage, 130 interrupted. With --json one JSON
object goes to standard output and everything else to standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields

from .. import __version__
from ..common import progress
from ..common.errors import SSDiffError
from ..domain.methods import ALIGN, CLASSICAL, DTYPES, NETWORK
from . import adapt, assess, train, weights
from .arguments import add_memory, add_scene, add_seed, check_files, extent, named, numbers, one_ms, option


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(joined(sys.argv[1:] if argv is None else argv))
    if hasattr(sys.stdout, "reconfigure"):  # what is written to a file on Windows may know no arrow, and shall not end
        sys.stdout.reconfigure(errors="replace")
    try:
        args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # who reads has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (SSDiffError, OSError) as error:
        of_a_file = getattr(error, "filename", None) and error.strerror
        tell(f"{error.filename}: {error.strerror}" if of_a_file else str(error))
        return 1
    except KeyboardInterrupt as interrupt:
        print(f"ssdiff: {interrupt if interrupt.args else 'interrupted'}", file=sys.stderr)
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="ssdiff", description="Pansharpening with the diffusion network SSDiff.")
    top.add_argument("--version", action="version", version=f"ssdiff {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    pansharpen = commands.add_parser("pansharpen", help="fuse a PAN and an MS raster into one")
    add_scene(pansharpen)
    pansharpen.add_argument("out", type=named)
    pansharpen.add_argument(
        "--method", default="ssdiff", help="ssdiff (default) or a classical one: " + ", ".join(CLASSICAL)
    )
    pansharpen.add_argument("--sensor", default="auto", help="auto (default) or an id such as wv3, gf2, landsat89")
    pansharpen.add_argument("--weights", default="auto", help="auto (default), an id or a file")
    pansharpen.add_argument("--steps", type=int, help="sampling steps (default: what the weights were made for)")
    pansharpen.add_argument(
        "--samples", type=int, help="to average, each from tiles turned another way (default: as weights ask)"
    )
    add_seed(pansharpen)
    pansharpen.add_argument("--extent", type=extent, metavar="XMIN,YMIN,XMAX,YMAX", help="in the CRS of PAN")
    pansharpen.add_argument("--mask", default="", metavar="FILE", help="polygons outside of which nothing is fused")
    pansharpen.add_argument(
        "--bands", type=numbers, default=(), metavar="1,2,3", help="MS bands, as they shall come out"
    )
    pansharpen.add_argument(
        "--uncertainty",
        default="",
        metavar="FILE",
        help="also write how far samples of ssdiff lie apart, in counts (by default of 8 samples)",
    )
    pansharpen.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    pansharpen.add_argument("--align", default="warn", choices=ALIGN, help="auto corrects the shift, of each band")
    pansharpen.add_argument("--nodata", type=float, help="value of masked pixels (default: as in the inputs)")
    pansharpen.add_argument("--dtype", choices=DTYPES, help="type of the output (default: that of MS)")
    pansharpen.add_argument("--co", dest="options", action="append", default=[], type=option, metavar="KEY=VALUE")
    pansharpen.add_argument("--format", default="cog", choices=("cog", "gtiff"))
    add_memory(pansharpen)
    pansharpen.add_argument("--progress", default="auto", choices=progress.KINDS)
    pansharpen.add_argument("--report", metavar="FILE.html", help="how good the result is, as ssdiff assess shows it")
    pansharpen.add_argument("--resume", action="store_true", help="go on from what an interrupted run has left")
    pansharpen.set_defaults(run=run_pansharpen, wrong=pansharpen.error)

    align = commands.add_parser("align", help="the shift between PAN and MS, in PAN pixels")
    align.add_argument("pan", type=named)
    align.add_argument("ms", nargs="+", type=named, help="one file, or one for each band")
    align.add_argument("--json", action="store_true")
    align.set_defaults(run=run_align)

    assess.add(commands)

    benchmark = commands.add_parser("bench", help="speed of the engine on this machine")
    benchmark.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    kind = benchmark.add_mutually_exclusive_group()
    kind.add_argument("--json", action="store_true")
    kind.add_argument("--profile", action="store_true", help="only show where a forward pass spends its time")
    benchmark.set_defaults(run=run_bench)

    doctor = commands.add_parser("doctor", help="what is installed, and which devices compute")
    doctor.add_argument("--json", action="store_true")
    doctor.set_defaults(run=run_doctor)

    train.add(commands)
    adapt.add(commands)
    weights.add(commands)
    return top


def joined(words: Sequence[str]) -> list[str]:
    """The words, an extent that begins with a minus in one with its option: argparse would take it for another."""
    found: list[str] = []
    for word in words:
        if found and found[-1] == "--extent" and word.startswith("-"):
            found[-1] += f"={word}"
        else:
            found.append(word)
    return found


def tell(sentence: str) -> None:
    print(f"ssdiff: {sentence}", file=sys.stderr)


def hear_interrupts() -> None:
    """Whoever asks this process to end is taken for a person who interrupts."""
    for name in ("SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)


def run_pansharpen(args) -> None:
    from ..inprocess.backend import LocalBackend
    from ..raster import polygon_mask, reader
    from ..workflows import pansharpen

    hear_interrupts()
    files = one_ms(args)
    for path in (args.out, args.uncertainty):
        check_files(path, args.report, inputs=[args.pan, args.ms, *(args.ms_files or ()), args.mask])
    if args.method != NETWORK and (args.steps or args.samples or args.weights != "auto"):
        args.wrong(f"--weights, --steps and --samples are for --method {NETWORK}")
    wished = {
        item.name: getattr(args, item.name) for item in fields(pansharpen.PansharpenOptions) if item.name != "options"
    }
    if args.mask:
        wished["mask"] = polygon_mask.read(args.mask, reader.look(args.pan)[1].crs)
    wishes = pansharpen.PansharpenOptions(**wished, options=tuple(args.options))
    pansharpen.pansharpen(
        args.pan, files, args.out, wishes, tell, lambda pixels: progress.reporter(args.progress, pixels), LocalBackend()
    )
    if args.report:
        assess.report_on(args, files)


def run_align(args) -> None:
    from ..raster import reader

    shift = reader.alignment(reader.open_scene(args.pan, args.ms))
    if args.json:
        print(json.dumps(asdict(shift), indent=2))
        return
    print(f"overall: {shift}, confidence {shift.confidence:.2f}")
    for number, band in enumerate(shift.bands, 1):
        print(f"band {number}: {band}, confidence {band.confidence:.2f}")


def run_bench(args) -> None:
    from ..inprocess import benchmark

    if args.profile:
        print(benchmark.profile(args.device))
        return
    result = benchmark.run(args.device)
    if args.json:
        print(json.dumps(result, indent=2))


def run_doctor(args) -> None:
    from ..inprocess import installation
    from ..runtime import doctor

    report = installation.report()
    print(json.dumps(report, indent=2) if args.json else doctor.as_text(report))
