"""The commands `ssdiff weights list|get|verify|clear|import`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ..common import paths, progress
from ..common.errors import SSDiffError, WeightsError
from ..common.files import check_targets
from .arguments import add_json, add_progress
from .console import print_message

ALL = "all"


def add(commands) -> None:
    """Adds the command to the parser."""
    text = "List, download, verify or import weights."
    actions = commands.add_parser("weights", help=text, description=text).add_subparsers(
        required=True, metavar="ACTION"
    )
    text = "List all known weights and where they are, and the weights that are kept for scenes."
    show = actions.add_parser("list", help=text, description=text)
    add_json(show)
    show.set_defaults(run=run_list)
    text = "Download weights if they are missing, and print their files."
    get = actions.add_parser("get", help=text, description=text)
    get.add_argument("ids", nargs="+", metavar="ID", help="Ids of published weights, or all.")
    add_progress(get)
    get.set_defaults(run=run_get)
    text = "Read weights completely and compare them with the published checksums."
    verify = actions.add_parser("verify", help=text, description=text)
    verify.add_argument(
        "what", nargs="?", metavar="ID|FILE", help="Weights whose card is printed. Default: verify all local weights."
    )
    add_json(verify)
    verify.set_defaults(run=run_verify)
    text = "Remove what was learnt about scenes: weights adapted to them by default, and their statistics."
    clear = actions.add_parser("clear", help=text, description=text)
    clear.set_defaults(run=run_clear)
    add_import(actions)


def add_import(actions) -> None:
    text = "Copy a .safetensors file into the weights folder, or convert a published .pt checkpoint."
    command = actions.add_parser("import", help=text, description=text)
    command.add_argument("file", help="Weights file or checkpoint.")
    checkpoint = command.add_argument_group("for a .pt checkpoint, which does not describe itself")
    checkpoint.add_argument("-o", "--out", help="Weights file to write.")
    checkpoint.add_argument("--id", help="Id of the weights.")
    checkpoint.add_argument("--sensor", default="general", help="Sensor they were trained for. (default: general)")
    checkpoint.add_argument("--bands", help="Names of the MS bands in order, separated by commas.")
    checkpoint.add_argument("--scale", type=float, default=2047.0, help="Counts that map to 1. (default: 2047)")
    checkpoint.add_argument(
        "--sigma", type=float, default=1.0, help="Factor on the output of the network. (default: 1, as published)"
    )
    checkpoint.add_argument("--licence", default="unknown", help="Licence of the weights. (default: unknown)")
    command.set_defaults(run=run_import, usage_error=command.error)


def run_list(args) -> None:
    from ..weights import catalogue
    from ..weights.http import without_secrets

    entries = catalogue.known(notify=print_message)
    if args.json:
        listed = [{**asdict(entry), "state": entry.state, "path": entry.path and str(entry.path)} for entry in entries]
        scenes = [{**entry.record, "size": entry.size, "path": str(entry.path)} for entry in learnt()]
        document = {"weights": listed, "folder": str(paths.weights()), "home": without_secrets(catalogue.home())}
        return print(json.dumps({**document, "scenes": scenes}, indent=2))
    print("\n".join(in_columns([cells(entry) for entry in entries])))
    scenes = [scene_cells(entry) for entry in learnt()]
    if scenes:
        print("\nAdapted to scenes (ssdiff weights clear removes them):")
        print("\n".join(in_columns(scenes)))


def learnt() -> list:
    """Returns the entries of the cache for adapted weights whose records are whole."""
    from ..weights import scene_cache

    return [entry for entry in scene_cache.entries() if entry.kind == scene_cache.WEIGHTS and _is_whole(entry)]


def _is_whole(entry) -> bool:
    try:
        return all(isinstance(cell, str) for cell in scene_cells(entry))
    except (LookupError, TypeError, ValueError, OSError):
        return False


def scene_cells(entry) -> tuple[str, ...]:
    record = entry.record
    gain = f"ERGAS {record['before']['ERGAS']:.2f} -> {record['after']['ERGAS']:.2f}"
    return record["base"], gain, f"{record['seconds']:.0f} s", progress.file_size(entry.size), record["scene"]


def run_clear(args) -> None:
    from ..weights import scene_cache

    count, size = scene_cache.clear()
    print(f"{count} entries removed, {progress.file_size(size)}")


def cells(entry) -> tuple[str, ...]:
    made_for = entry.sensor, f"{len(entry.bands)} bands", f"ratio {entry.ratio}"
    return entry.id, *made_for, progress.file_size(entry.size), entry.state, entry.licence


def in_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def run_get(args) -> None:
    from ..weights import catalogue

    entries = catalogue.known(notify=print_message)
    for name in [entry.id for entry in catalogue.published()] if args.ids == [ALL] else args.ids:
        entry = catalogue.named(name, entries)
        fetch = catalogue.fetcher(progress=progress.reporter(args.progress, 0), notify=print_message)
        print(entry.path or fetch(entry))


def run_verify(args) -> None:
    if args.what is None:
        return verify_all(args.json)
    from ..model import checkpoint
    from ..weights import catalogue

    path = local_file(args.what)
    loaded = checkpoint.load(path)
    published = bool(catalogue.recognised(path).sha256)
    card = {**asdict(loaded.card), "sha256": loaded.sha256, "published": published}
    print(json.dumps(card, indent=2) if args.json else "\n".join(f"{key}: {value}" for key, value in card.items()))


def local_file(what: str) -> Path:
    """Returns the file of local weights: by their id, or as named."""
    from ..weights import catalogue

    found = catalogue.file_or_entry(what, catalogue.known())
    if isinstance(found, Path):
        return found
    if not found.path:
        raise WeightsError(f"weights {what} are not on this computer: download them with ssdiff weights get {what}")
    return found.path


def verify_all(as_json: bool) -> None:
    """Prints a line for each weights file; raises WeightsError if any is damaged."""
    folders = (paths.RESOURCES / "weights", paths.weights())
    found = [verdict(path) for folder in folders for path in sorted(folder.glob("*.safetensors"))]
    print(json.dumps({"weights": found}, indent=2) if as_json else "\n".join(map(line_of, found)))
    damaged = sum(bool(one["fault"]) for one in found)
    if damaged:
        raise WeightsError(f"{damaged} of {len(found)} weights files cannot be used")


def verdict(path: Path) -> dict:
    from ..model import checkpoint
    from ..weights import catalogue

    try:
        checkpoint.load(path)
        entry = catalogue.recognised(path)
    except SSDiffError as error:
        return {"file": str(path), "id": None, "published": False, "fault": str(error)}
    return {"file": str(path), "id": entry.id, "published": bool(entry.sha256), "fault": None}


def line_of(found: dict) -> str:
    state = f"{found['id']}, {'as published' if found['published'] else 'intact'}"
    return f"{found['file']}: {found['fault'] or state}"


def run_import(args) -> None:
    if args.file.lower().endswith(".safetensors"):
        from ..model import checkpoint
        from ..weights import catalogue

        if args.out or args.id or args.bands:
            args.usage_error("--out, --id and --bands are for a .pt checkpoint; a weights file describes itself")
        checkpoint.load(args.file)
        entry = catalogue.adopt(args.file)
        return print_message(f"weights {entry.id} were copied to {entry.path}")
    if not (args.out and args.id and args.bands):
        args.usage_error("a .pt checkpoint needs --out, --id and --bands")
    check_targets(args.out)
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
