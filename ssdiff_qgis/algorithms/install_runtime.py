from __future__ import annotations

from qgis.core import (
    QgsProcessingOutputBoolean,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
)

from ...ssdiff_core.common.errors import Cancelled
from ...ssdiff_core.runtime import doctor, environment, wheels
from ..services import compat, http, runtime, settings
from ..services.i18n import tr
from .base import Algorithm, telling


class InstallRuntime(Algorithm):
    """Makes the Python that computes. It is run by a person, and by nothing else."""

    ID, LABEL = "installruntime", "Install runtime"
    ABOUT = (
        "Makes a Python environment of its own with PyTorch, numpy and safetensors, in a folder of the user beside "
        "QGIS; QGIS's own Python stays as it is. For an NVIDIA GPU the build is chosen that its driver takes, and "
        "believed after it has run a kernel; if it has not, the CPU computes. 0.2 GB are fetched for the CPU and "
        "about 3 GB for CUDA. It is not needed if QGIS's own Python has PyTorch or an interpreter is named in the "
        "options of Processing."
    )
    TAGS = ("pytorch", "torch", "python", "cuda", "gpu", "install")
    PAGE = "install.md"
    DEVICE, WHEELS, REINSTALL = "DEVICE", "WHEELS", "REINSTALL"
    PYTHON, READY = "PYTHON", "READY"

    def flags(self):
        return super().flags() & ~compat.SUPPORTS_BATCH

    def initAlgorithm(self, configuration=None):
        self.choice(self.DEVICE, tr("Device"), wheels.DEVICES, "auto", tr("auto: a GPU if there is one that computes."))
        folder = QgsProcessingParameterFile.Behavior.Folder
        self.with_help(
            QgsProcessingParameterFile(self.WHEELS, tr("Folder of wheels"), behavior=folder, optional=True),
            tr("For computers without a network: the packages are taken from there alone."),
        )
        self.with_help(
            QgsProcessingParameterBoolean(self.REINSTALL, tr("Install again even if it is complete"), False),
            tr("If it is damaged, or if CUDA did not compute and the driver has been updated since."),
        )
        self.addOutput(QgsProcessingOutputString(self.PYTHON, tr("Python that computes")))
        self.addOutput(QgsProcessingOutputString(self.DEVICE, tr("Device it computes on")))
        self.addOutput(QgsProcessingOutputBoolean(self.READY, tr("It computes")))

    def checkParameterValues(self, parameters, context):
        if settings.offline() and not self.parameterAsString(parameters, self.WHEELS, context):
            return False, tr("The network is not to be used (options of SSDiff): name a folder of wheels.")
        return super().checkParameterValues(parameters, context)

    @telling
    def prepareAlgorithm(self, parameters, context, feedback):
        settings.cache()
        self.variables = http.variables()
        return True

    def work(self, parameters, context, feedback):
        wish = environment.Wish(
            self.parameterAsEnumString(parameters, self.DEVICE, context),
            self.parameterAsString(parameters, self.WHEELS, context),
            self.parameterAsBoolean(parameters, self.REINSTALL, context),
            self.variables,
        )
        if wish.again:
            runtime.close()
        try:
            made = environment.install(wish, listener_of(feedback))
        except Cancelled:
            return {self.READY: False}
        self._say_if_another_is_taken(made, feedback)
        return {self.PYTHON: made.python, self.DEVICE: doctor.working(made.note["devices"])[0], self.READY: True}

    def _say_if_another_is_taken(self, made, feedback):
        taken = runtime.interpreter()
        if taken.python != made.python:
            feedback.pushWarning(tr("SSDiff computes with {} all the same: {}.").format(taken.python, taken.why))


def listener_of(feedback) -> environment.Listener:
    """Feedback of Processing, as one who waits for an installation."""

    def hear(line: str) -> None:
        if line.startswith("> "):
            feedback.pushCommandInfo(line[2:])
        else:
            feedback.pushConsoleInfo(line)

    return environment.Listener(
        feedback.pushInfo, hear, lambda share: feedback.setProgress(100 * share), feedback.isCanceled
    )
