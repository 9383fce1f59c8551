"""The command line, run in this process: a new one takes seconds to import PyTorch."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace

from ssdiff_core.cli.main import main


def ssdiff(*arguments, expect: int = 0) -> SimpleNamespace:
    """Runs the command and returns what it wrote to stdout and stderr.

    expect: the exit status that it must have.
    """
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as end:  # raised by argparse
            status = end.code
    assert status == expect, err.getvalue()
    return SimpleNamespace(stdout=out.getvalue(), stderr=err.getvalue())
