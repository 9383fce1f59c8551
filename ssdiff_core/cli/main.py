"""The command line: `ssdiff`, or `python -m ssdiff_core`.

Exit status: 0 success, 1 an error of the input or the environment, 2 wrong usage, 70 a bug of SSDiff, 130 interrupted.
With --json one JSON object goes to standard output and everything else to standard error.
"""

from __future__ import annotations

import argparse
import gc
import os
import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress

from .. import __version__
from ..common.failures import debugging, failure_of, traceback_of
from ..common.memory import has_limited_address_space
from ..common.texts import PrintableStream
from . import adapt, align, archive, assess, bench, benchmark, doctor, pansharpen, scenes, simulate, train, weights
from .console import ignore_interrupts, print_message

INTERRUPTED = 130
"exit status after an interrupt"
COMMANDS = (pansharpen, scenes, archive, align, assess, benchmark, bench, doctor, simulate, train, adapt, weights)


FILE_ARGUMENTS = (
    "pan",
    "ms",
    "ms_files",
    "fused",
    "file",
    "what",
    "recipe",
    "imagery",
    "reference",
    "validate",
    "sets",
    "places",
)
"arguments of commands that name their input files"


def main(argv: list[str] | None = None) -> int:
    """Runs a command; returns the exit status."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # code pages of Windows lack some characters of the tables
    with redirect_stdout(_printable(sys.stdout)), redirect_stderr(_printable(sys.stderr)):
        code = _run(sys.argv[1:] if argv is None else argv)
    if argv is None and code == INTERRUPTED:
        ignore_interrupts()
    if argv is None and has_limited_address_space():
        _exit(code)
    if argv is None:
        gc.freeze()  # at its end Python would search the hundred thousands of objects of torch for cycles: 0.4 s
    return code


def _exit(code: int) -> None:
    """Ends the process at once: OpenBLAS waits at the exit for threads that try without end to get memory."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _run(argv: Sequence[str]) -> int:
    args = argparse.Namespace()
    try:
        args = parser().parse_args(join_negative(argv))
        args.run(args)
        if sys.stdout:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debugging():
            print(traceback_of(error), file=sys.stderr)
        failure = failure_of(error, _files(args))
        print_message(failure.sentence)
        return failure.code
    except KeyboardInterrupt as interrupt:
        print_message(interrupt if interrupt.args else "interrupted")
        return INTERRUPTED
    return 0


def _printable(stream):
    return stream and PrintableStream(stream)


def _files(args: argparse.Namespace) -> list[str]:
    """Returns the input files that a command was given."""
    named = [getattr(args, name, None) for name in FILE_ARGUMENTS]
    return [file for one in named if one for file in (one if isinstance(one, list) else [one])]


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
