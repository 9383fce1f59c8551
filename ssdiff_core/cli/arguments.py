"""Arguments shared by the commands, and readers of their values."""

from __future__ import annotations

import math
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from dataclasses import fields

from ..common import progress
from ..domain import options as kinds
from ..domain import sensors
from ..domain.options import DEFAULT_PRESET, Option, options_of, with_preset


def add_options(parser: ArgumentParser, options: type, without: Sequence[str] = ()) -> None:
    """Adds an argument for each option of an options class, except those that the command defines itself."""
    defaults = {item.name: item.default for item in fields(options)}
    for name, option in options_of(options).items():
        if name not in without:
            add_option(parser, name, option, defaults[name])


def add_option(parser: ArgumentParser, name: str, option: Option, default: object) -> None:
    """Adds the argument of an option. If a preset may set the option, the value is None unless it is given."""
    flag, reading = f"--{(option.flag or name).replace('_', '-')}", _reading(option, default)
    if option.by_preset:
        reading["default"] = None
    parser.add_argument(flag, dest=name, help=_help(option, default), **reading)


def options_from(args: Namespace, options: type, preset: str = DEFAULT_PRESET, **changed):
    """Returns the options that the command line gives; changed: values that replace those."""
    given = with_preset(preset, {name: getattr(args, name) for name in options_of(options)} | changed)
    return options(**{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()})


def _help(option: Option, default: object) -> str:
    """Returns the help of an option, with its default if the text does not contain it."""
    if option.kind == kinds.SENSOR:
        return f"{option.help} Sensors: {'; '.join(f'{id} ({sensors.get(id).label})' for id in sensors.ids())}."
    if isinstance(default, bool) or not default or "Default" in option.help:
        return option.help
    return (
        f"{option.help} (default: {default:g})" if isinstance(default, float) else f"{option.help} (default: {default})"
    )


def _reading(option: Option, default: object) -> dict:
    """Returns the arguments of add_argument that define how the option's value is read."""
    if option.kind == kinds.FLAG:
        return {"action": "store_true"}
    if option.kind == kinds.CREATION:
        return {"action": "append", "default": [], "type": key_value, "metavar": option.metavar}
    readers = {kinds.BANDS: numbers, kinds.EXTENT: extent, kinds.INTEGER: int, kinds.NUMBER: float}
    reader = readers.get(option.kind, str)
    if option.kind in (kinds.INTEGER, kinds.NUMBER) and option.finite:
        minimum = -math.inf if option.minimum is None else option.minimum
        reader = between(minimum, math.inf if option.maximum is None else option.maximum, reader)
    choices = {"choices": option.choices} if option.choices else {"metavar": option.metavar}
    return {"type": reader, "default": default, **choices}


def between(minimum: float, maximum: float = math.inf, kind: Callable = int) -> Callable:
    """Returns a reader of numbers of this kind that must be within the limits."""

    def number(text: str):
        value = kind(text)
        if not minimum <= value <= maximum or not math.isfinite(value):
            raise ArgumentTypeError(f"must be {_limits(minimum, maximum)}, not {text}")
        return value

    return number


def _limits(minimum: float, maximum: float) -> str:
    if maximum < math.inf:
        return f"from {minimum:g} to {maximum:g}"
    return f"at least {minimum:g}" if minimum > -math.inf else "a finite number"


def add_progress(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--progress",
        default="auto",
        choices=progress.KINDS,
        help="Progress on standard error: a bar, lines of JSON, or nothing. auto: a bar in a terminal. (default: auto)",
    )


def add_json(parser: ArgumentParser, text: str = "Print the result as JSON.") -> None:
    parser.add_argument("--json", action="store_true", help=text)


def add_pair(parser: ArgumentParser) -> None:
    """Adds PAN, and MS as one file or several (see ms_files)."""
    parser.add_argument("pan", type=file_name, help="Panchromatic raster.")
    parser.add_argument("ms", nargs="?", type=file_name, help="Multispectral raster, if it is one file.")
    parser.add_argument(
        "--ms",
        dest="ms_files",
        action="append",
        type=file_name,
        metavar="FILE",
        help="Multispectral raster of several files: repeat --ms for each file, in band order.",
    )


def ms_files(args: Namespace) -> str | list[str]:
    """Returns MS as it was given: one file after PAN, or the files of --ms."""
    if bool(args.ms) == bool(args.ms_files):
        args.usage_error("give MS once: as one file after PAN, or as files with --ms")
    return args.ms or args.ms_files


def file_name(text: str) -> str:
    """Reads the name of a file; an empty name usually comes from an unset variable of a script."""
    if not text:
        raise ArgumentTypeError("the file name is empty")
    return text


def extent(text: str) -> tuple[float, ...]:
    values = tuple(float(part) for part in text.split(","))
    if len(values) != 4:
        raise ArgumentTypeError(f"must be four numbers XMIN,YMIN,XMAX,YMAX, not {text}")
    return values


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def names(text: str) -> tuple[str, ...]:
    """Reads names separated by commas, each once."""
    found = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not found:
        raise ArgumentTypeError("must be a comma-separated list of methods")
    return found


def key_value(text: str) -> str:
    if "=" not in text:
        raise ArgumentTypeError(f"must be KEY=VALUE, not {text!r}")
    return text
