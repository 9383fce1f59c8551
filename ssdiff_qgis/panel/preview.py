"""A part of a scene fused while QGIS goes on: by Brovey, to compare with, and by SSDiff."""

from __future__ import annotations

import time
from dataclasses import dataclass

from qgis.core import QgsRasterLayer, QgsReferencedRectangle
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..services.i18n import tr
from ..services.tasks import Run, Start
from .compare import Compared
from .visible_extent import FAST, SLOW, in_view

FUSE, CLASSICAL = "ssdiff:pansharpen", "ssdiff:pansharpenclassical"
BROVEY_TAKES = 5
"percent of the work"


@dataclass(frozen=True)
class Wanted:
    pan: QgsRasterLayer
    ms: QgsRasterLayer
    weights: str
    view: QgsReferencedRectangle
    "what the map shows"


@dataclass(frozen=True)
class Made:
    compared: Compared
    layer: QgsRasterLayer
    "for the project"
    used: str
    "the weights"
    seconds: float


class Preview(QObject):
    """One at a time: after `start` comes `made` or `failed`."""

    told = pyqtSignal(str)
    "what is being done"
    progressed = pyqtSignal(float)
    "percent; below 0: nobody knows"
    begun = pyqtSignal(object)
    "the Part that is fused"
    made = pyqtSignal(object)
    failed = pyqtSignal(str)
    "why; empty: it was cancelled"

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self.limit = SLOW
        "PAN pixels that this computer fuses in seconds, as far as is known"
        self._step: Start | Run | None = None

    @property
    def runs(self) -> bool:
        return self._step is not None

    def start(self, wanted: Wanted) -> None:
        self._wanted = wanted
        # The user may remove the layers meanwhile.
        self._pan, self._ms = wanted.pan.clone(), wanted.ms.clone()
        self.told.emit(tr("Starting SSDiff"))
        self.progressed.emit(-1)
        self._go(Start(self._started))

    def cancel(self) -> None:
        """Ends it, whatever it is at; nothing more is heard of it then."""
        step, self._step = self._step, None
        if step:
            step.cancel()
            self.failed.emit("")

    def _go(self, step: Start | Run) -> None:
        self._step = step
        step.start()

    def _ended(self, step: Start | Run) -> bool:
        """Whether there is nothing to go on with."""
        if step is self._step and not step.fine:
            self._step = None
            self.failed.emit(step.error)
        return step is not self._step

    def _started(self, step: Start) -> None:
        if self._ended(step):
            return
        self.limit = FAST if step.fast else SLOW
        self._part = in_view(self._pan, self._ms, self._wanted.view, self.limit)
        self.begun.emit(self._part)
        self.told.emit(tr("Fusing by Brovey, to compare with…"))
        self._fuse(CLASSICAL, {"METHOD": "brovey"}, (0, BROVEY_TAKES), self._brovey_is_there)

    def _brovey_is_there(self, step: Run) -> None:
        if self._ended(step):
            return
        self._brovey, self._since = step.take_layer(), time.monotonic()
        self.told.emit(tr("Fusing by SSDiff…"))
        self._fuse(FUSE, {"WEIGHTS": self._wanted.weights, "SAMPLES": 1}, (BROVEY_TAKES, 100), self._fused_is_there)

    def _fused_is_there(self, step: Run) -> None:
        if self._ended(step):
            return
        self._step = None
        layer = step.take_layer()
        compared = Compared(self._part, self._pan, self._ms, self._brovey, layer.clone())
        self.made.emit(Made(compared, layer, step.results["USED"], time.monotonic() - self._since))

    def _fuse(self, algorithm: str, how: dict, percent: tuple[int, int], then) -> None:
        start, end = percent
        inputs = {"PANCHROMATIC": self._pan, "SPECTRAL": self._ms, "EXTENT": self._part.extent}
        run = Run(algorithm, {**inputs, "ALIGN": "none", **how}, then)  # measuring a shift takes as long as all else
        run.feedback.progressChanged.connect(lambda done: self.progressed.emit(start + (end - start) * done / 100))
        run.feedback.said.connect(self.told)
        self._go(run)
