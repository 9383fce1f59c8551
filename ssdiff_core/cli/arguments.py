"""How words of the command line are read, for the commands that share them."""

from __future__ import annotations

import math
import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable
from pathlib import Path

from ..common.errors import ConfigError
from ..domain.block_passes import LEAST, MEMORY


def add_memory(to: ArgumentParser) -> None:
    said = f"to hold at most (default {MEMORY}, at least {LEAST})"
    to.add_argument("--memory", type=at_least(LEAST), default=MEMORY, metavar="MB", help=said)


def add_seed(to: ArgumentParser, default: int = 0, said: str | None = None) -> None:
    to.add_argument("--seed", type=at_least(0), default=default, help=said)


def at_least(least: int, kind: Callable = int) -> Callable:
    """What reads a number of that kind from there on."""

    def number(text: str):
        value = kind(text)
        if not least <= value < math.inf:
            raise ArgumentTypeError(f"{text} is no number from {least} on")
        return value

    return number


def named(text: str) -> str:
    """The name of a file; an empty one is mostly a variable of a script that is not set."""
    if not text:
        raise ArgumentTypeError("an empty name names no file")
    return text


def add_scene(to: ArgumentParser) -> None:
    """PAN, and MS as one file or several: see one_ms."""
    to.add_argument("pan", type=named)
    to.add_argument("ms", nargs="?", type=named, help="one file; or give each band's file with --ms")
    to.add_argument(
        "--ms", dest="ms_files", action="append", type=named, metavar="FILE", help="an MS file; may be repeated"
    )


def one_ms(args: Namespace) -> str | list[str]:
    """MS of a command that takes it as a file after PAN, or its files with --ms."""
    if bool(args.ms) == bool(args.ms_files):
        args.wrong("name MS once: as one file after PAN, or its files with --ms")
    return args.ms or args.ms_files


def extent(text: str) -> tuple[float, ...]:
    values = tuple(float(part) for part in text.split(","))
    if len(values) != 4:
        raise ArgumentTypeError("four numbers are needed: XMIN,YMIN,XMAX,YMAX")
    return values


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def option(text: str) -> str:
    if "=" not in text:
        raise ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return text


def check_files(*paths: str | None, inputs: Iterable[str | Path | None] = ()) -> None:
    """That these can be written, as far as their names tell: better said now than after hours of computing.

    None may be one of the inputs, and no two the same.
    """
    taken = {Path(path).resolve(): "one of the inputs" for path in filter(None, inputs)}
    for path in map(Path, filter(None, paths)):
        if path.resolve() in taken:
            raise ConfigError(f"{path} is {taken[path.resolve()]}: name another file")
        taken[path.resolve()] = "to be written twice"
        if path.is_dir():
            raise ConfigError(f"{path} is a folder: name a file in it")
        if not path.parent.is_dir():
            raise ConfigError(f"{path} cannot be written: there is no folder {path.parent}")
        if not os.access(path.parent, os.W_OK):
            raise ConfigError(f"{path} cannot be written: {path.parent} takes no files from you; name another folder")
