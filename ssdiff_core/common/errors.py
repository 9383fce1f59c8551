"""Errors about the input or the environment. Each message is one sentence: what is wrong and what to do.

The message is a text, or a notice (common.notices), which the plugin translates.
"""

from __future__ import annotations

import sys

from .notices import Notice
from .texts import printable


class SSDiffError(Exception):
    "Base class of all expected errors: the command line prints the message and exits with code 1."

    @property
    def notice(self) -> Notice | None:
        "The message as a notice; None if it is a text."
        return self.args[0] if self.args and isinstance(self.args[0], Notice) else None


class WeightsError(SSDiffError):
    "Raised when a weights file is damaged or incomplete, or does not fit the bands."


class DeviceError(SSDiffError):
    "Raised when the selected device does not work."


class BlockError(SSDiffError):
    "Raised when the arrays of a block do not fit together."


class ConfigError(SSDiffError, ValueError):
    "Raised when an option has an invalid value."


class GeometryError(SSDiffError):
    "Raised when PAN, MS and the extent are positioned so that they cannot be fused."


class RasterError(SSDiffError):
    "Raised when a raster cannot be opened, read or written."


class OutputInUseError(RasterError):
    "Raised when another run is writing the output."


class WorkerError(SSDiffError):
    "Raised when the computing process cannot be started, has ended or does not answer; `log` holds its last output."

    def __init__(self, sentence: str | Notice, log: str = ""):
        super().__init__(sentence)
        self.log = log


class DownloadError(SSDiffError):
    "Raised when a file cannot be downloaded, or differs from the published one."


class NoPythonError(SSDiffError):
    "Raised when there is no Python with the required packages."


class InstallError(SSDiffError):
    "Raised when the Python environment for the computing process cannot be installed."


class Cancelled(SSDiffError):
    "Raised when the operation was cancelled."


def message_of(error: BaseException) -> Notice | str:
    "Returns the message of an error: a notice, which can be translated, or a text."
    first = error.args[0] if error.args else None
    return first if isinstance(first, Notice) else str(error)


def one_line(error: BaseException) -> str:
    "Returns the first line of the message of an error, of GDAL's last message, or the class name of the error."
    for text in (str(error), _last_message_of_gdal() if isinstance(error, RuntimeError) else ""):
        if text.strip():
            return printable(text.strip().splitlines()[0])
    return type(error).__name__


def _last_message_of_gdal() -> str:
    """Returns the last error message of GDAL, whose exceptions lack texts that are not UTF-8; "" without GDAL."""
    gdal = sys.modules.get("osgeo.gdal")
    return gdal.GetLastErrorMsg() if gdal else ""
