"""The boundary for errors: turns any exception into one sentence and an exit code.

The command line, the computing process and the algorithms in QGIS end here. Errors of `common.errors` and of the system
are told as they are. Everything else is a bug of SSDiff, and is told as one, with the place and where to report it.
SSDIFF_DEBUG=1 shows the traceback of any error.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import SSDiffError, message_of, one_line
from .memory import has_limited_address_space
from .notices import Notice, notice
from .texts import on_one_line

FAILED, BUG = 1, 70
"exit codes of the command line: an error of the input or the environment, and a bug (EX_SOFTWARE of sysexits.h)"
TRACKER = "https://github.com/ssdiff-qgis/ssdiff-qgis/issues"
CODE = Path(__file__).resolve().parents[1]
"folder of the package"
NO_THREAD = "can't start new thread"
"message of the RuntimeError that Python raises if there is no memory for a thread"
DEBUG = "SSDIFF_DEBUG"
"variable that shows tracebacks"


@dataclass(frozen=True)
class Failure:
    """What a user is told about an exception."""

    message: Notice | str
    code: int

    @property
    def sentence(self) -> str:
        """The message in English."""
        return self.worded(lambda text: text)

    def worded(self, translated: Callable[[str], str]) -> str:
        """Returns the message on one line, and translated if it is a notice."""
        told = self.message
        return on_one_line(told.worded(translated) if isinstance(told, Notice) else told)


def failure_of(error: BaseException, files: Iterable[object] = ()) -> Failure:
    """Returns the sentence and the exit code for an exception.

    files: the files of the run, which are named if the message of the exception names none.
    """
    named = ", ".join(dict.fromkeys(str(file) for file in files if file))
    if isinstance(error, SSDiffError):
        return Failure(message_of(error), FAILED)
    if isinstance(error, OSError):
        return Failure(_of_system(error), FAILED)
    if isinstance(error, MemoryError) or str(error) == NO_THREAD:
        return Failure(_of_memory(named), FAILED)
    if isinstance(error, ImportError) and not (error.name or "").startswith("ssdiff"):
        first = error.__context__ if isinstance(error.__context__, ImportError) else error
        return Failure(notice("package_missing", reason=one_line(first)), FAILED)
    if _is_of_gdal(error):
        told = one_line(error)
        return Failure(f"{named}: {told}" if named else notice("gdal_reports", reason=told), FAILED)
    reason = f"{type(error).__name__}: {one_line(error)}" if str(error).strip() else type(error).__name__
    values = {"reason": reason[:500], "place": _place(error), "tracker": TRACKER, "variable": DEBUG}
    told = notice("bug_with_files", files=named, **values) if named else notice("bug", **values)
    return Failure(told, BUG)


def debugging() -> bool:
    """Returns whether tracebacks are shown."""
    return os.environ.get(DEBUG, "") not in ("", "0")


def traceback_of(error: BaseException) -> str:
    """Returns the traceback of an exception as text."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def _of_system(error: OSError) -> str:
    if error.filename is not None and error.strerror:
        return (
            f"{os.fsdecode(error.filename) if isinstance(error.filename, bytes) else error.filename}: {error.strerror}"
        )
    return one_line(error)


def _of_memory(files: str) -> Notice:
    kind = "out_of_memory_limited" if has_limited_address_space() else "out_of_memory"
    return notice(f"files_{kind}", files=files) if files else notice(kind)


def _is_of_gdal(error: BaseException) -> bool:
    """Returns whether GDAL raised an exception; what GDAL refuses is in a file or the environment."""
    last = error.__traceback__
    while last and last.tb_next:
        last = last.tb_next
    return (
        isinstance(error, RuntimeError) and bool(last) and last.tb_frame.f_globals.get("__name__", "")[:6] == "osgeo."
    )


def _place(error: BaseException) -> str:
    """Returns file and line of the innermost code of SSDiff that an exception passed."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if str(CODE) in frame.filename]
    if not frames:
        return "unknown code"
    return f"{os.path.relpath(frames[-1].filename, CODE.parent)}:{frames[-1].lineno}"
