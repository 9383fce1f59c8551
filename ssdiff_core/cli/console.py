"""Messages to the terminal, and signals from it."""

from __future__ import annotations

import signal
import sys
import time

from ..common.texts import printable

GRACE_SECONDS = 10.0
"time in which a run ends in order after it was interrupted"


def print_message(message: object) -> None:
    """Prints a notice, an error or a text to standard error."""
    text = printable(str(message)).replace("\r", "\\r")
    print(f"ssdiff: {text}", file=sys.stderr)


def handle_termination() -> None:
    """Treats a request to terminate (SIGTERM, Ctrl-Break) like an interrupt, so that finished work is kept.

    The first one raises KeyboardInterrupt. Those that follow it are ignored for GRACE_SECONDS, in which the run ends in
    order; a later one ends the process at once.
    """
    first: list[float] = []

    def interrupt(number: int, frame) -> None:
        if not first:
            first.append(time.monotonic())
            raise KeyboardInterrupt
        if time.monotonic() - first[0] > GRACE_SECONDS:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    for number in _interrupts():
        if number != signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:  # a shell ignores it for its jobs
            signal.signal(number, interrupt)


def ignore_interrupts() -> None:
    """Ignores interrupts from now on: the process is at its end, and Python has restored its handlers there."""
    for number in _interrupts():
        signal.signal(number, signal.SIG_IGN)


def _interrupts() -> list[int]:
    return [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]
