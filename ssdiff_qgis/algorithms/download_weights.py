"""Algorithm that downloads or imports trained weights."""

from __future__ import annotations

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
)

from ...ssdiff_core.common import paths
from ...ssdiff_core.weights import catalogue
from ..services import http
from ..services.i18n import tr
from .base import Algorithm, Progress, showing_errors


class DownloadWeights(Algorithm):
    """Downloads weights into the user's folder with the network settings of QGIS, or imports them from a file."""

    ID, LABEL = "downloadweights", "Download weights"
    TAGS = ("weights", "download", "offline", "ssdiff")
    PAGE = "weights.md"
    ABOUT = (
        "Downloads trained weights, so that pansharpening does not have to download them on first use. Complete files "
        "are skipped, interrupted downloads are continued, and each file is verified by its checksum. Proxy, "
        "certificates and authentication are taken from the settings of QGIS. In offline mode (set in the Processing "
        "options or by SSDIFF_OFFLINE=1), weights can be imported from a file."
    )
    WEIGHTS, FILE, FOLDER, COUNT = "WEIGHTS", "FILE", "FOLDER", "COUNT"
    ALL = "all"

    def initAlgorithm(self, configuration=None):
        ids = [entry.id for entry in catalogue.published()]
        self.add_parameter(
            QgsProcessingParameterEnum(
                self.WEIGHTS, tr("Weights to download"), [*ids, self.ALL], optional=True, usesStaticStrings=True
            ),
            tr("ID of published weights; all: all published weights."),
        )
        self.add_parameter(
            QgsProcessingParameterFile(self.FILE, tr("File to import"), extension=catalogue.SUFFIX[1:], optional=True),
            tr("Weights file from another computer or your own training. Afterwards it is available by its ID."),
        )
        self.addOutput(QgsProcessingOutputString(self.FOLDER, tr("Weights folder")))
        self.addOutput(QgsProcessingOutputNumber(self.COUNT, tr("Number of downloaded or imported files")))

    def checkParameterValues(self, parameters, context):
        if not parameters.get(self.WEIGHTS) and not parameters.get(self.FILE):
            return False, tr("Select weights to download or a file to import.")
        return super().checkParameterValues(parameters, context)

    @showing_errors
    def prepareAlgorithm(self, parameters, context, feedback):
        progress = Progress(feedback)
        self.finished = self.current = 0.0  # shares of the total size
        self.fetch = http.fetcher(feedback, lambda share: progress(self.finished + self.current * share))
        return True

    def work(self, parameters, context, feedback):
        file = self.parameterAsFile(parameters, self.FILE, context)
        selected = self.chosen(parameters, self.WEIGHTS, context)
        if file:
            entry = catalogue.adopt(file)
            feedback.pushInfo(tr("Weights {} are stored in {}").format(entry.id, entry.path))
        missing = [entry for entry in catalogue.known() if not entry.path and selected in (entry.id, self.ALL)]
        for entry in missing:
            self.current = entry.size / sum(each.size for each in missing)
            self.fetch(entry)
            self.finished += self.current
        return {self.FOLDER: str(paths.weights()), self.COUNT: len(missing) + bool(file)}
