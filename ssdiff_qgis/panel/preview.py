"""Pansharpens the visible part of a scene in the background: with classical methods, for comparison, and with SSDiff.

SSDiff runs with the weights as they are, and then with weights adapted to the scene. What the second run learns is
kept, so later previews of the scene do not adapt again. If it is cancelled or fails, the result of the first counts.
Without a runtime, the preview shows the result of the best classical method.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from qgis.core import QgsRasterLayer, QgsReferencedRectangle
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ...ssdiff_core.common.notices import Notice
from ...ssdiff_core.domain.methods import LABELS, NETWORK
from ..services.dialogs import CLASSICAL, PANSHARPEN
from ..services.i18n import tr
from ..services.tasks import AlgorithmRun, StartWorker
from .compare import ComparedLayers
from .visible_extent import PIXELS_CPU, PIXELS_GPU, preview_extent

BEST_CLASSICAL = "mtf-glp-fs"
"classical method that stands in for the network, and that it is compared with"
BROVEY_PERCENT, UNADAPTED_PERCENT, CLASSICAL_PERCENT = 5, 20, 25
"progress at the end of Brovey, of SSDiff with the weights as they are, and of the best classical method, in percent"
KINDS_SHOWN = ("sensor", "shift", "adapt", "fill")
"beginnings of the kinds of notices that tell of the scene"


@dataclass(frozen=True)
class PreviewRequest:
    """Inputs of a preview."""

    pan: QgsRasterLayer
    ms: QgsRasterLayer
    weights: str
    view: QgsReferencedRectangle
    "map extent"
    network: bool
    "whether there is a runtime for the network"


@dataclass(frozen=True)
class PreviewResult:
    """Result of a preview."""

    layers: ComparedLayers
    output: QgsRasterLayer
    "fused layer for the project"
    used: str
    "ID of the weights, or the method"
    seconds: float
    "duration of the fusion, without adapting"
    notices: tuple[Notice, ...]
    "what the run has told of the scene: sensor, shift, and held-out error"


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
        self._request, self._unadapted, self._classical = request, None, {}
        # Copies, because the user may remove the layers during the run.
        self._pan, self._ms = request.pan.clone(), request.ms.clone()
        self.progressChanged.emit(-1)
        if not request.network:
            return self._choose_extent()
        self.statusChanged.emit(tr("Starting SSDiff"))
        step = StartWorker(self._worker_started)
        step.stateChanged.connect(self.statusChanged)
        self._run(step)

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
        self._choose_extent()

    def _choose_extent(self) -> None:
        self._extent = preview_extent(self._pan, self._ms, self._request.view, self.maximum)
        self.extentChosen.emit(self._extent)
        self._fuse_classical("brovey", (0, BROVEY_PERCENT), self._brovey_finished)

    def _fuse_classical(self, method: str, percent: tuple[int, int], then) -> None:
        self._start_time = time.monotonic()
        self.statusChanged.emit(tr("Pansharpening with {} for comparison…").format(LABELS[method]))
        self._fuse(CLASSICAL, {"METHOD": method}, percent, then)

    def _keep_classical(self, step: AlgorithmRun) -> QgsRasterLayer:
        """Keeps a copy of the result of a classical method for the comparison, and returns the result."""
        layer = step.take_layer()
        self._classical[LABELS[step.results["USED"]]] = layer.clone()
        return layer

    def _brovey_finished(self, step: AlgorithmRun) -> None:
        if self._failed_or_cancelled(step):
            return
        self._keep_classical(step)
        if not self._request.network:
            return self._fuse_classical(BEST_CLASSICAL, (BROVEY_PERCENT, 100), self._best_classical_finished)
        self._start_time = time.monotonic()
        self.statusChanged.emit(tr("Pansharpening with SSDiff…"))
        self._pansharpen("none", (BROVEY_PERCENT, UNADAPTED_PERCENT), self._unadapted_finished)

    def _best_classical_finished(self, step: AlgorithmRun) -> None:
        """Ends a preview without a runtime."""
        if self._failed_or_cancelled(step):
            return
        self._step, seconds = None, time.monotonic() - self._start_time
        output = self._keep_classical(step)
        self.succeeded.emit(self._result(output, step, seconds))

    def _pansharpen(self, adapt: str, percent: tuple[int, int], then) -> None:
        options = {"WEIGHTS": self._request.weights, "SAMPLES": 1, "ADAPT": adapt}
        self._fuse(PANSHARPEN, options, percent, then)

    def _unadapted_finished(self, step: AlgorithmRun) -> None:
        if self._failed_or_cancelled(step):
            return
        self._unadapted = self._result(step.take_layer(), step, time.monotonic() - self._start_time)
        percent = UNADAPTED_PERCENT, CLASSICAL_PERCENT
        self._fuse_classical(BEST_CLASSICAL, percent, self._reference_finished)

    def _reference_finished(self, step: AlgorithmRun) -> None:
        """Goes on after the classical method that the network is compared with."""
        if self._failed_or_cancelled(step):
            return
        self._keep_classical(step)
        self.statusChanged.emit(tr("Adapting SSDiff to the scene…"))
        self._pansharpen("auto", (CLASSICAL_PERCENT, 100), self._adapted_finished)

    def _adapted_finished(self, step: AlgorithmRun) -> None:
        if self._failed_or_cancelled(step):
            return
        self._step, before = None, self._unadapted
        result = self._result(step.take_layer(), step, before.seconds)
        if result.used != before.used:
            result = replace(result, layers=replace(result.layers, unadapted=before.layers.fused))
        self.succeeded.emit(result)

    def _result(self, output: QgsRasterLayer, step: AlgorithmRun, seconds: float) -> PreviewResult:
        used = step.results["USED"]
        name = LABELS.get(used, LABELS[NETWORK])
        layers = ComparedLayers(self._extent, self._pan, self._ms, self._classical, output.clone(), name)
        notices = tuple(each for each in step.feedback.notices if each.kind.startswith(KINDS_SHOWN))
        return PreviewResult(layers, output, used, seconds, notices)

    def _fuse(self, algorithm: str, options: dict, percent: tuple[int, int], then) -> None:
        start, end = percent
        inputs = {"PANCHROMATIC": self._pan, "SPECTRAL": self._ms, "EXTENT": self._extent.referenced}
        run = AlgorithmRun(algorithm, {**inputs, **options}, then)
        run.feedback.progressChanged.connect(lambda done: self.progressChanged.emit(start + (end - start) * done / 100))
        run.feedback.stateChanged.connect(self.statusChanged)
        self._run(run)
