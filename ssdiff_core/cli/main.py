"""The command line: `ssdiff`, or `python -m ssdiff_core`.

Exit status: 0 success, 1 an error of the input or the environment, 2 wrong usage, 130 interrupted. With --json one JSON
object goes to standard output and everything else to standard error.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence

from .. import __version__
from ..common.errors import SSDiffError
from . import adapt, align, assess, bench, doctor, pansharpen, simulate, train, weights
from .console import print_message

COMMANDS = (pansharpen, align, assess, bench, doctor, simulate, train, adapt, weights)


def main(argv: list[str] | None = None) -> int:
    """Runs a command; returns the exit status."""
    args = parser().parse_args(join_negative(sys.argv[1:] if argv is None else argv))
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # code pages of Windows lack some characters of the tables
    try:
        args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (SSDiffError, OSError) as error:
        has_file = getattr(error, "filename", None) and error.strerror
        print_message(f"{error.filename}: {error.strerror}" if has_file else error)
        return 1
    except KeyboardInterrupt as interrupt:
        print_message(interrupt if interrupt.args else "interrupted")
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="ssdiff", description="Pansharpening with the diffusion network SSDiff.")
    top.add_argument(
        "--version", action="version", version=f"ssdiff {__version__}", help="Show the version of SSDiff and exit."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return top


def join_negative(words: Sequence[str]) -> list[str]:
    """Returns the arguments with `--extent -1,...` or `--nodata -1e9` as one word.

    argparse takes a leading minus for another option unless a plain number follows.
    """
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] in ("--extent", "--nodata", "--nodata-in") and re.match(r"-[.\d]", word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined
