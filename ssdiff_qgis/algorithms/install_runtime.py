"""Algorithm that installs the Python environment for the worker process."""

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
from ..services.i18n import log_notices, tr
from .base import Algorithm, showing_errors


class InstallRuntime(Algorithm):
    """Installs a Python environment with PyTorch. Only the user starts it; nothing runs it automatically."""

    ID, LABEL = "installruntime", "Install runtime"
    ABOUT = (
        "Installs a separate Python environment with PyTorch, numpy and safetensors in a user folder. The Python of "
        "QGIS is not changed. For an NVIDIA GPU, the CUDA build that suits its driver is installed and tested; if it "
        "does not work, the CPU build is installed. The download takes 0.2 GB for the CPU and about 3 GB for CUDA. The "
        "runtime is not needed if the Python of QGIS has PyTorch, or if an interpreter is selected in the Processing "
        "options."
    )
    TAGS = ("pytorch", "torch", "python", "cuda", "gpu", "install")
    PAGE = "install.md"
    DEVICE, WHEELS, REINSTALL = "DEVICE", "WHEELS", "REINSTALL"
    PYTHON, READY = "PYTHON", "READY"

    def flags(self):
        return super().flags() & ~compat.SUPPORTS_BATCH

    def initAlgorithm(self, configuration=None):
        self.add_choice(
            self.DEVICE, tr("Device"), wheels.DEVICES, "auto", tr("auto: a GPU if one works, otherwise the CPU.")
        )
        folder = QgsProcessingParameterFile.Behavior.Folder
        self.add_parameter(
            QgsProcessingParameterFile(self.WHEELS, tr("Wheels folder"), behavior=folder, optional=True),
            tr("For computers without network access: packages are only installed from this folder."),
        )
        self.add_parameter(
            QgsProcessingParameterBoolean(self.REINSTALL, tr("Reinstall existing runtime"), False),
            tr("Use this if the runtime is damaged, or if CUDA failed and the driver has been updated since."),
        )
        self.addOutput(QgsProcessingOutputString(self.PYTHON, tr("Python interpreter")))
        self.addOutput(QgsProcessingOutputString(self.DEVICE, tr("Working device")))
        self.addOutput(QgsProcessingOutputBoolean(self.READY, tr("Runtime works")))

    def checkParameterValues(self, parameters, context):
        if settings.offline() and not self.parameterAsString(parameters, self.WHEELS, context):
            return False, tr("SSDiff is in offline mode: select a wheels folder.")
        return super().checkParameterValues(parameters, context)

    @showing_errors
    def prepareAlgorithm(self, parameters, context, feedback):
        settings.cache()
        self.environment = http.proxy_environment()
        return True

    def work(self, parameters, context, feedback):
        options = environment.InstallOptions(
            self.chosen(parameters, self.DEVICE, context),
            self.parameterAsString(parameters, self.WHEELS, context),
            self.parameterAsBoolean(parameters, self.REINSTALL, context),
            self.environment,
        )
        if options.reinstall:
            runtime.close()
        try:
            installed = environment.install(options, listener_for(feedback))
        except Cancelled:
            return {self.READY: False}
        self._warn_if_unused(installed, feedback)
        return {
            self.PYTHON: installed.python,
            self.DEVICE: doctor.working(installed.note["devices"])[0],
            self.READY: True,
        }

    def _warn_if_unused(self, installed, feedback):
        used = runtime.interpreter()
        if used.python != installed.python:
            feedback.pushWarning(tr("SSDiff still uses {}: {}.").format(used.python, used.reason))


def listener_for(feedback) -> environment.Listener:
    """Returns a listener that shows the course of an installation in the log of Processing."""

    def hear(line: str) -> None:
        if line.startswith("> "):
            feedback.pushCommandInfo(line[2:])
        else:
            feedback.pushConsoleInfo(line)

    return environment.Listener(
        log_notices(feedback), hear, lambda share: feedback.setProgress(100 * share), feedback.isCanceled
    )
