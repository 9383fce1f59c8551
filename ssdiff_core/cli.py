"""The command line: `ssdiff`, or `python -m ssdiff_core`.

Exit 0 done, 1 a clear error about the input or the environment, 2 wrong usage, 130 interrupted. With --json one JSON
object goes to standard output and everything else to standard error.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from . import __version__
from .errors import SSDiffError


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    try:
        args.run(args)
    except (SSDiffError, OSError) as error:
        print(f"ssdiff: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("ssdiff: interrupted", file=sys.stderr)
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="ssdiff", description="Pansharpening with the diffusion network SSDiff.")
    top.add_argument("--version", action="version", version=f"ssdiff {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    bench = commands.add_parser("bench", help="speed of the engine on this machine")
    bench.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    kind = bench.add_mutually_exclusive_group()
    kind.add_argument("--json", action="store_true")
    kind.add_argument("--profile", action="store_true", help="only show where a forward pass spends its time")
    bench.set_defaults(run=run_bench)

    doctor = commands.add_parser("doctor", help="what is installed, and which devices compute")
    doctor.add_argument("--json", action="store_true")
    doctor.set_defaults(run=run_doctor)

    weights = commands.add_parser("weights", help="weights files").add_subparsers(required=True, metavar="ACTION")
    verify = weights.add_parser("verify", help="read a weights file whole and show its card")
    verify.add_argument("file")
    verify.add_argument("--json", action="store_true")
    verify.set_defaults(run=run_verify)
    bring = weights.add_parser("import", help="turn a published .pt checkpoint into a weights file")
    bring.add_argument("file")
    bring.add_argument("-o", "--out", required=True, help="the weights file to write")
    bring.add_argument("--id", required=True, help="the name it shall have")
    bring.add_argument("--sensor", default="general")
    bring.add_argument("--bands", required=True, help="names of the MS bands in order, with commas between")
    bring.add_argument("--scale", type=float, default=2047.0, help="counts that map to 1 (default 2047)")
    bring.add_argument(
        "--sigma", type=float, default=1.0, help="factor on the network's answer (default 1, as published)"
    )
    bring.add_argument("--licence", default="unknown")
    bring.set_defaults(run=run_import)
    return top


def run_bench(args) -> None:
    from . import bench

    if args.profile:
        print(bench.profile(args.device))
        return
    result = bench.run(args.device)
    if args.json:
        print(json.dumps(result, indent=2))


def run_doctor(args) -> None:
    from . import doctor

    report = doctor.report()
    print(json.dumps(report, indent=2) if args.json else doctor.as_text(report))


def run_verify(args) -> None:
    from . import weights

    loaded = weights.load(args.file)
    card = {**asdict(loaded.card), "sha256": loaded.sha256}
    print(json.dumps(card, indent=2) if args.json else "\n".join(f"{key}: {value}" for key, value in card.items()))


def run_import(args) -> None:
    from . import weights
    from .network import Config, state_of

    bands = tuple(name.strip() for name in args.bands.split(","))
    card = weights.Card(
        id=args.id,
        sensor=args.sensor,
        bands=bands,
        residual_sigma=(args.sigma,) * len(bands),
        arch=Config(bands=len(bands)),
        scale=args.scale,
        ms_phase=2.0,  # as the published training data has it
        steps=10,
        licence=args.licence,
        training={"imported from": args.file},
    )
    imported = weights.import_published(args.file, card)
    weights.save(args.out, state_of(imported.net), imported.card)
    print(f"{args.out}: {imported.card.id}, {len(bands)} bands", file=sys.stderr)
