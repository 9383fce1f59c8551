"""The files of a run that makes weights: one run at a time writes them, and files of other programs are left alone."""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..common.errors import ConfigError, WeightsError
from ..common.files import check_targets, kind_notice, kind_of, open_to_read
from ..common.locks import held
from ..common.notices import notice
from .card import read_card

LOG_COLUMNS = ("stage", "step", "samples", "error")
"first columns of the log; further scores follow"
ZIP = b"PK\3\4"
"beginning of a checkpoint, which is a ZIP file"


@dataclass(frozen=True)
class WeightsOutput:
    """A weights file that is being made, and the files next to it."""

    path: Path

    @property
    def best(self) -> Path:
        """The best weights so far."""
        return self.path.with_name(f"{self.path.name}.best")

    @property
    def checkpoint(self) -> Path:
        return self.path.with_suffix(".ckpt")

    @property
    def log(self) -> Path:
        return self.path.with_suffix(".csv")

    @property
    def events(self) -> Path:
        """The folder of TensorBoard's logs."""
        return self.path.with_suffix(".events")

    @property
    def partial_checkpoint(self) -> Path:
        return partial_of(self.checkpoint)

    @contextlib.contextmanager
    def claimed(self, inputs: Iterable[str | Path] = (), logs: bool = False) -> Iterator[None]:
        """Holds the files. inputs: files that are read. logs: whether logs are written too.

        Raises ConfigError if another run holds them, or if one of them is an input or belongs to another program.
        """
        own = {self.log: _is_log} if logs else {self.best: _is_weights}
        own |= {self.checkpoint: _is_checkpoint, self.partial_checkpoint: _is_checkpoint}
        check_targets(self.path, inputs=inputs, beside=own)
        with held(self.path):
            for path, is_own in own.items():
                if kind_of(path, follow=False) or (path.exists() and not is_own(path)):
                    raise _foreign(path)
            if logs and kind_of(self.events, follow=False) not in ("", "a folder"):
                raise _foreign(self.events)
            yield


def partial_of(checkpoint: Path) -> Path:
    """Returns the name of a checkpoint while it is written."""
    return checkpoint.with_name(f"{checkpoint.name}.part")


def _foreign(path: Path) -> ConfigError:
    kind = kind_notice(kind_of(path, follow=False))
    return ConfigError(notice("not_made_by_ssdiff", path=str(path), kind=kind))


def _is_weights(path: Path) -> bool:
    try:
        return bool(read_card(path).training)
    except WeightsError:
        return False


def _is_checkpoint(path: Path) -> bool:
    """Returns whether a file is a checkpoint, or the beginning of one."""
    try:
        with zipfile.ZipFile(path) as file:
            return any(name.endswith("/data.pkl") for name in file.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return _beginning(path, len(ZIP)) in (b"", ZIP)


def _is_log(path: Path) -> bool:
    return _beginning(path, 100).startswith(",".join(LOG_COLUMNS).encode()) or not os.path.getsize(path)


def _beginning(path: Path, size: int) -> bytes:
    with open_to_read(path) as file:
        return file.read(size)
