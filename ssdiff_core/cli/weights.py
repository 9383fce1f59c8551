"""`ssdiff weights` on the command line: its arguments, and what it prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ..common import paths, progress
from ..common.errors import SSDiffError, WeightsError
from .arguments import check_files

ALL = "all"


def add(commands) -> None:
    """Adds the commands to a parser's."""
    actions = commands.add_parser("weights", help="weights: which there are, fetch, check, import").add_subparsers(
        required=True, metavar="ACTION"
    )
    show = actions.add_parser("list", help="which weights there are, and where")
    show.add_argument("--json", action="store_true")
    show.set_defaults(run=run_list)
    get = actions.add_parser("get", help="fetch weights, if they are not here, and print where they lie")
    get.add_argument("ids", nargs="+", metavar="ID", help="of weights that were published, or all")
    get.add_argument("--progress", default="auto", choices=progress.KINDS)
    get.set_defaults(run=run_get)
    verify = actions.add_parser("verify", help="read weights whole and compare them with what was published")
    verify.add_argument("what", nargs="?", metavar="ID|FILE", help="shows its card (default: all that are here)")
    verify.add_argument("--json", action="store_true")
    verify.set_defaults(run=run_verify)
    add_import(actions)


def add_import(actions) -> None:
    bring = actions.add_parser(
        "import", help="take a .safetensors file into your folder, or make one of a published .pt checkpoint"
    )
    bring.add_argument("file")
    of_pt = bring.add_argument_group("for a .pt checkpoint, which says nothing of itself")
    of_pt.add_argument("-o", "--out", help="the weights file to write")
    of_pt.add_argument("--id", help="the name it shall have")
    of_pt.add_argument("--sensor", default="general")
    of_pt.add_argument("--bands", help="names of the MS bands in order, with commas between")
    of_pt.add_argument("--scale", type=float, default=2047.0, help="counts that map to 1 (default 2047)")
    of_pt.add_argument(
        "--sigma", type=float, default=1.0, help="factor on the network's answer (default 1, as published)"
    )
    of_pt.add_argument("--licence", default="unknown")
    bring.set_defaults(run=run_import, wrong=bring.error)


def run_list(args) -> None:
    from ..weights import catalogue
    from ..weights.http import shown

    entries = catalogue.known()
    if args.json:
        listed = [{**asdict(entry), "state": entry.state, "path": entry.path and str(entry.path)} for entry in entries]
        told = {"weights": listed, "folder": str(paths.weights()), "home": shown(catalogue.home())}
        return print(json.dumps(told, indent=2))
    print("\n".join(in_columns([cells(entry) for entry in entries])))


def cells(entry) -> tuple[str, ...]:
    made_for = entry.sensor, f"{len(entry.bands)} bands", f"ratio {entry.ratio}"
    return entry.id, *made_for, progress.amount(entry.size), entry.state, entry.licence


def in_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def run_get(args) -> None:
    from ..weights import catalogue
    from .main import tell

    entries = catalogue.known()
    for name in [entry.id for entry in catalogue.published()] if args.ids == [ALL] else args.ids:
        entry = catalogue.named(name, entries)
        fetch = catalogue.fetcher(progress=progress.reporter(args.progress, 0), notify=tell)
        print(entry.path or fetch(entry))


def run_verify(args) -> None:
    if args.what is None:
        return verify_all(args.json)
    from ..model import checkpoint
    from ..weights import catalogue

    path = place_of(args.what)
    loaded = checkpoint.load(path)
    published = bool(catalogue.recognised(path).sha256)
    card = {**asdict(loaded.card), "sha256": loaded.sha256, "published": published}
    print(json.dumps(card, indent=2) if args.json else "\n".join(f"{key}: {value}" for key, value in card.items()))


def place_of(what: str) -> Path:
    """Of weights that are here, by their id; or of a file."""
    from ..weights import catalogue

    found = catalogue.file_or_entry(what, catalogue.known())
    if isinstance(found, Path):
        return found
    if not found.path:
        raise WeightsError(f"weights {what} are not here whole: ssdiff weights get {what} fetches them")
    return found.path


def verify_all(as_json: bool) -> None:
    """A line for each file, and an error at the end if any is not what it should be."""
    folders = (paths.RESOURCES / "weights", paths.weights())
    found = [verdict(path) for folder in folders for path in sorted(folder.glob("*.safetensors"))]
    print(json.dumps({"weights": found}, indent=2) if as_json else "\n".join(map(line_of, found)))
    bad = sum(bool(told["fault"]) for told in found)
    if bad:
        raise WeightsError(f"{bad} of {len(found)} weights files cannot be used")


def verdict(path: Path) -> dict:
    from ..model import checkpoint
    from ..weights import catalogue

    try:
        checkpoint.load(path)
        entry = catalogue.recognised(path)
    except SSDiffError as error:
        return {"file": str(path), "id": None, "published": False, "fault": str(error)}
    return {"file": str(path), "id": entry.id, "published": bool(entry.sha256), "fault": None}


def line_of(told: dict) -> str:
    fine = f"{told['id']}, {'as published' if told['published'] else 'whole'}"
    return f"{told['file']}: {told['fault'] or fine}"


def run_import(args) -> None:
    if args.file.lower().endswith(".safetensors"):
        from ..model import checkpoint
        from ..weights import catalogue
        from .main import tell

        if args.out or args.id or args.bands:
            args.wrong("--out, --id and --bands are for a checkpoint: a weights file says all that of itself")
        checkpoint.load(args.file)
        entry = catalogue.adopt(args.file)
        return tell(f"weights {entry.id} are in {entry.path}")
    if not (args.out and args.id and args.bands):
        args.wrong("a checkpoint needs --out, --id and --bands")
    check_files(args.out)
    import_checkpoint(args)


def import_checkpoint(args) -> None:
    from ..model import checkpoint
    from ..model.ssnet import state_of
    from ..weights.model_config import Config

    bands = tuple(name.strip() for name in args.bands.split(","))
    card = checkpoint.Card(
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
    imported = checkpoint.import_published(args.file, card)
    checkpoint.save(args.out, state_of(imported.net), imported.card)
    print(f"{args.out}: {imported.card.id}, {len(bands)} bands", file=sys.stderr)
