"""What can go wrong for a user, one line each. The message is a sentence that says what to do or what was found."""


class SSDiffError(Exception):
    "Base of all errors about the input or the environment: the command line prints it and exits 1."


class WeightsError(SSDiffError):
    "A weights file is damaged, incomplete or not for these bands."


class DeviceError(SSDiffError):
    "A device that was asked for does not compute."


class BlockError(SSDiffError):
    "Arrays handed to an engine do not fit together."


class ConfigError(SSDiffError, ValueError):
    "An option has a value that makes no sense."


class GeometryError(SSDiffError):
    "PAN and MS, or the extent, do not lie so that they can be fused."


class RasterError(SSDiffError):
    "A raster cannot be opened, read or written."


class WorkerError(SSDiffError):
    "The process that computes cannot be started, has ended or does not answer; `log` holds its last words."

    def __init__(self, sentence: str, log: str = ""):
        super().__init__(sentence)
        self.log = log


class DownloadError(SSDiffError):
    "A file cannot be fetched, or is not what was published."


class NoPythonError(SSDiffError):
    "There is no Python to compute with."


class InstallError(SSDiffError):
    "What computes cannot be installed."


class Cancelled(SSDiffError):
    "Somebody has had enough, and what was being computed was ended."


def one_line(error: BaseException) -> str:
    "What an error says first, whatever it is."
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
