"""Messages to the terminal, and signals from it."""

from __future__ import annotations

import signal
import sys

from ..common.texts import printable


def print_message(message: object) -> None:
    """Prints a notice, an error or a text to standard error."""
    text = printable(str(message)).replace("\r", "\\r")
    print(f"ssdiff: {text}", file=sys.stderr)


def handle_termination() -> None:
    """Treats a request to terminate (SIGTERM, Ctrl-Break) like an interrupt, so that finished work is kept."""
    for name in ("SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
