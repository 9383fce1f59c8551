from __future__ import annotations

import json

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingOutputBoolean,
    QgsProcessingOutputString,
)
from qgis.PyQt.QtCore import QCoreApplication

from . import runtime


class Diagnostics(QgsProcessingAlgorithm):
    """What the process that computes has to work with, in the log and as outputs for models."""

    READY, REPORT = "READY", "REPORT"

    def tr(self, text):
        return QCoreApplication.translate("Diagnostics", text)

    def name(self):
        return "diagnostics"

    def displayName(self):
        return self.tr("Diagnostics")

    def shortHelpString(self):
        return self.tr(
            "Shows which Python, packages and devices SSDiff computes with. A device is believed only after it has run "
            "a kernel. The interpreter is taken from the environment variable SSDIFF_PYTHON, else QGIS's own is used."
        )

    def createInstance(self):
        return Diagnostics()

    def initAlgorithm(self, configuration=None):
        self.addOutput(QgsProcessingOutputBoolean(self.READY, self.tr("PyTorch is there and a device computes")))
        self.addOutput(QgsProcessingOutputString(self.REPORT, self.tr("Report (JSON)")))

    def processAlgorithm(self, parameters, context, feedback):
        try:
            done = runtime.run("doctor", "--json")
        except OSError as error:
            raise QgsProcessingException(
                self.tr("The Python interpreter {} cannot be started: {}").format(runtime.interpreter(), error)
            ) from None
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [self.tr("no message")])[-1]
            feedback.pushWarning(self.tr("{} cannot run SSDiff: {}").format(runtime.interpreter(), last))
            return {self.READY: False, self.REPORT: done.stderr}
        report = json.loads(done.stdout)
        feedback.pushInfo(json.dumps(report, indent=2))
        return {self.READY: any(device["works"] for device in report["devices"].values()), self.REPORT: done.stdout}
