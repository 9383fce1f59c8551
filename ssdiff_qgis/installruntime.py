from __future__ import annotations

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingOutputBoolean,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..ssdiff_core import doctor, managed, wheels
from ..ssdiff_core.errors import Cancelled, SSDiffError
from . import network, runtime, settings


class InstallRuntime(QgsProcessingAlgorithm):
    """Makes the Python that computes. It is run by a person, and by nothing else."""

    DEVICE, WHEELS, REINSTALL = "DEVICE", "WHEELS", "REINSTALL"
    PYTHON, READY = "PYTHON", "READY"

    def tr(self, text):
        return QCoreApplication.translate("InstallRuntime", text)

    def name(self):
        return "installruntime"

    def displayName(self):
        return self.tr("Install runtime")

    def shortDescription(self):
        return self.tr("Installs PyTorch for SSDiff, beside QGIS and not into it")

    def tags(self):
        return ["pytorch", "torch", "python", "cuda", "gpu", "install"]

    def shortHelpString(self):
        return self.tr(
            "Makes a Python environment of its own with PyTorch, numpy and safetensors, in a folder of the user beside "
            "QGIS; QGIS's own Python stays as it is. For an NVIDIA GPU the build is chosen that its driver takes, and "
            "believed after it has run a kernel; if it has not, the CPU computes. 0.2 GB are fetched for the CPU and "
            "about 3 GB for CUDA.\n\n"
            "Folder of wheels: for computers without a network; the packages are taken from there alone.\n\n"
            "It is not needed if QGIS's own Python has PyTorch or an interpreter is named in the options of Processing."
        )

    def flags(self):
        return super().flags() & ~QgsProcessingAlgorithm.FlagSupportsBatch

    def createInstance(self):
        return InstallRuntime()

    def initAlgorithm(self, configuration=None):
        device = QgsProcessingParameterEnum(
            self.DEVICE, self.tr("Device"), list(wheels.DEVICES), defaultValue="auto", usesStaticStrings=True
        )
        folder = QgsProcessingParameterFile.Behavior.Folder
        self.addParameter(device)
        self.addParameter(
            QgsProcessingParameterFile(self.WHEELS, self.tr("Folder of wheels"), behavior=folder, optional=True)
        )
        self.addParameter(
            QgsProcessingParameterBoolean(self.REINSTALL, self.tr("Install again even if it is complete"), False)
        )
        self.addOutput(QgsProcessingOutputString(self.PYTHON, self.tr("Python that computes")))
        self.addOutput(QgsProcessingOutputString(self.DEVICE, self.tr("Device it computes on")))
        self.addOutput(QgsProcessingOutputBoolean(self.READY, self.tr("It computes")))

    def checkParameterValues(self, parameters, context):
        if settings.offline() and not self.parameterAsString(parameters, self.WHEELS, context):
            return False, self.tr("The network is not to be used (options of SSDiff): name a folder of wheels.")
        return super().checkParameterValues(parameters, context)

    def prepareAlgorithm(self, parameters, context, feedback):
        settings.cache()
        self.variables = network.variables()
        return True

    def processAlgorithm(self, parameters, context, feedback):
        wish = managed.Wish(
            self.parameterAsEnumString(parameters, self.DEVICE, context),
            self.parameterAsString(parameters, self.WHEELS, context),
            self.parameterAsBoolean(parameters, self.REINSTALL, context),
            self.variables,
        )
        if wish.again:
            runtime.close()
        try:
            made = managed.install(wish, listener_of(feedback))
        except Cancelled:
            return {self.READY: False}
        except SSDiffError as error:
            raise QgsProcessingException(str(error)) from None
        self._say_if_another_is_taken(made, feedback)
        return {self.PYTHON: made.python, self.DEVICE: doctor.working(made.note["devices"])[0], self.READY: True}

    def _say_if_another_is_taken(self, made, feedback):
        taken = runtime.interpreter()
        if taken.python != made.python:
            feedback.pushWarning(self.tr("SSDiff computes with {} all the same: {}.").format(taken.python, taken.why))


def listener_of(feedback) -> managed.Listener:
    """Feedback of Processing, as one who waits for an installation."""

    def hear(line: str) -> None:
        if line.startswith("> "):
            feedback.pushCommandInfo(line[2:])
        else:
            feedback.pushConsoleInfo(line)

    return managed.Listener(
        feedback.pushInfo, hear, lambda share: feedback.setProgress(100 * share), feedback.isCanceled
    )
