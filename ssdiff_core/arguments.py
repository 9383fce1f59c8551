"""How words of the command line are read, for the commands that share them."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError

from .passes import LEAST, MEMORY


def add_memory(to: ArgumentParser) -> None:
    said = f"to hold at most (default {MEMORY}, at least {LEAST})"
    to.add_argument("--memory", type=megabytes, default=MEMORY, metavar="MB", help=said)


def megabytes(text: str) -> int:
    value = int(text) if text.lstrip("-").isdecimal() else 0
    if value < LEAST:
        raise ArgumentTypeError(f"{text} is no number of MB from {LEAST} on")
    return value


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
