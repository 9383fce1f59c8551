"""Programs that are taken for a Python interpreter."""

from __future__ import annotations

import stat
import sys
from pathlib import Path


def script(path: Path, text: str) -> Path:
    """Writes a program that can be executed."""
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def python_that(path: Path, first: str) -> Path:
    """Writes a program that runs this Python, but some statements before the code it is given with -I -c."""
    return script(path, f"#!{sys.executable}\nimport sys\n{first}\nsys.argv = sys.argv[2:]\nexec(sys.argv.pop(1))\n")
