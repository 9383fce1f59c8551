"""Pansharpens the visible part of a scene in the background: with Brovey, for comparison, and with SSDiff.

SSDiff runs with the weights as they are, and then with weights adapted to the scene. What the second run learns is
kept, so later previews of the scene do not adapt again. If it is cancelled or fails, the result of the first counts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from qgis.core import QgsRasterLayer, QgsReferencedRectangle
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..services.dialogs import CLASSICAL, PANSHARPEN
from ..services.i18n import tr
from ..services.tasks import AlgorithmRun, StartWorker
from .compare import ComparedLayers
from .visible_extent import PIXELS_CPU, PIXELS_GPU, preview_extent

BROVEY_PERCENT, UNADAPTED_PERCENT = 5, 20
"progress at the end of the Brovey fusion and of SSDiff with the weights as they are, in percent"


@dataclass(frozen=True)
class PreviewRequest:
    """Inputs of a preview."""

    pan: QgsRasterLayer
    ms: QgsRasterLayer
    weights: str
    view: QgsReferencedRectangle
    "map extent"


@dataclass(frozen=True)
class PreviewResult:
    """Result of a preview."""

    layers: ComparedLayers
    output: QgsRasterLayer
    "fused layer for the project"
    weights: str
    "ID of the weights that were used"
    seconds: float
    "duration of the fusion, without adapting"


class Preview(QObject):
    """Runs one preview at a time. Each `start` is followed by one signal, `succeeded` or `failed`."""

    statusChanged = pyqtSignal(str)
    "text on the current step"
    progressChanged = pyqtSignal(float)
    "percent; negative: unknown"
    extentChosen = pyqtSignal(object)
    "the PreviewExtent that is processed"
    succeeded = pyqtSignal(object)
    "the PreviewResult"
    failed = pyqtSignal(str)
    "error message; empty if the preview was cancelled"

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self.maximum = PIXELS_CPU
        "number of PAN pixels that this computer processes within seconds, as far as is known"
        self._step: StartWorker | AlgorithmRun | None = None
        self._unadapted: PreviewResult | None = None

    @property
    def running(self) -> bool:
        return self._step is not None

    def start(self, request: PreviewRequest) -> None:
        self._request, self._unadapted = request, None
        # Copies, because the user may remove the layers during the run.
        self._pan, self._ms = request.pan.clone(), request.ms.clone()
        self.statusChanged.emit(tr("Starting SSDiff"))
        self.progressChanged.emit(-1)
        self._run(StartWorker(self._worker_started))

    def cancel(self) -> None:
        """Cancels the current step; while the weights are adapted, the result without adapting is kept."""
        step, self._step = self._step, None
        if step:
            step.cancel()
            self._fail("")

    def stop(self) -> None:
        """Cancels the current step and gives no result, because the panel is being removed."""
        self._unadapted = None
        self.cancel()

    def _fail(self, error: str) -> None:
        """Emits the result without adapting, if there is one, else the failure."""
        if self._unadapted:
            self.succeeded.emit(self._unadapted)
        else:
            self.failed.emit(error)

    def _run(self, step: StartWorker | AlgorithmRun) -> None:
        self._step = step
        step.start()

    def _failed_or_cancelled(self, step: StartWorker | AlgorithmRun) -> bool:
        """Returns whether the preview ends with this step, and emits `failed` if the step has failed."""
        if step is self._step and not step.succeeded:
            self._step = None
            self._fail(step.error)
        return step is not self._step

    def _worker_started(self, step: StartWorker) -> None:
        if self._failed_or_cancelled(step):
            return
        self.maximum = PIXELS_GPU if step.has_gpu else PIXELS_CPU
        self._extent = preview_extent(self._pan, self._ms, self._request.view, self.maximum)
        self.extentChosen.emit(self._extent)
        self.statusChanged.emit(tr("Pansharpening with Brovey for comparison…"))
        self._fuse(CLASSICAL, {"METHOD": "brovey"}, (0, BROVEY_PERCENT), self._brovey_finished)

    def _brovey_finished(self, step: AlgorithmRun) -> None:
        if self._failed_or_cancelled(step):
            return
        self._brovey, self._start_time = step.take_layer(), time.monotonic()
        self.statusChanged.emit(tr("Pansharpening with SSDiff…"))
        self._pansharpen("none", (BROVEY_PERCENT, UNADAPTED_PERCENT), self._unadapted_finished)

    def _pansharpen(self, adapt: str, percent: tuple[int, int], then) -> None:
        options = {"WEIGHTS": self._request.weights, "SAMPLES": 1, "ADAPT": adapt}
        self._fuse(PANSHARPEN, options, percent, then)

    def _unadapted_finished(self, step: AlgorithmRun) -> None:
        if self._failed_or_cancelled(step):
            return
        self._unadapted = self._result(step, time.monotonic() - self._start_time)
        self.statusChanged.emit(tr("Adapting SSDiff to the scene…"))
        self._pansharpen("auto", (UNADAPTED_PERCENT, 100), self._adapted_finished)

    def _adapted_finished(self, step: AlgorithmRun) -> None:
        if self._failed_or_cancelled(step):
            return
        self._step, before = None, self._unadapted
        result = self._result(step, before.seconds)
        if result.weights != before.weights:
            result = replace(result, layers=replace(result.layers, unadapted=before.layers.fused))
        self.succeeded.emit(result)

    def _result(self, step: AlgorithmRun, seconds: float) -> PreviewResult:
        output = step.take_layer()
        layers = ComparedLayers(self._extent, self._pan, self._ms, self._brovey, output.clone())
        return PreviewResult(layers, output, step.results["USED"], seconds)

    def _fuse(self, algorithm: str, options: dict, percent: tuple[int, int], then) -> None:
        start, end = percent
        inputs = {"PANCHROMATIC": self._pan, "SPECTRAL": self._ms, "EXTENT": self._extent.referenced}
        run = AlgorithmRun(algorithm, {**inputs, **options}, then)
        run.feedback.progressChanged.connect(lambda done: self.progressChanged.emit(start + (end - start) * done / 100))
        run.feedback.progressTextChanged.connect(self.statusChanged)
        self._run(run)
