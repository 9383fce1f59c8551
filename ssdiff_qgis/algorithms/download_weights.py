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
from .base import Algorithm, Progress, telling


class DownloadWeights(Algorithm):
    """Brings weights into the user's folder: over the network as QGIS reaches it, or from a file."""

    ID, LABEL = "downloadweights", "Download weights"
    TAGS = ("weights", "download", "offline", "ssdiff")
    PAGE = "weights.md"
    ABOUT = (
        "Fetches trained weights, so that pansharpening need not do so when it first uses them. What is here is not "
        "fetched again, what was interrupted is gone on with, and a file is kept only if it is, to the last bit, "
        "what was published. Proxy, certificates and authentication are those of QGIS's own settings. Where SSDiff is "
        "to stay offline, as its settings or SSDIFF_OFFLINE=1 may say, files can be imported."
    )
    WEIGHTS, FILE, FOLDER, COUNT = "WEIGHTS", "FILE", "FOLDER", "COUNT"
    ALL = "all"

    def initAlgorithm(self, configuration=None):
        ids = [entry.id for entry in catalogue.published()]
        self.with_help(
            QgsProcessingParameterEnum(
                self.WEIGHTS, tr("Weights to fetch"), [*ids, self.ALL], optional=True, usesStaticStrings=True
            ),
            tr("The id of published weights, or all of them."),
        )
        self.with_help(
            QgsProcessingParameterFile(self.FILE, tr("File to import"), extension=catalogue.SUFFIX[1:], optional=True),
            tr(
                "A weights file that came here in another way, or that you have made. It is found by its id afterwards."
            ),
        )
        self.addOutput(QgsProcessingOutputString(self.FOLDER, tr("Folder that weights lie in")))
        self.addOutput(QgsProcessingOutputNumber(self.COUNT, tr("Number of files that were fetched or imported")))

    def checkParameterValues(self, parameters, context):
        if not parameters.get(self.WEIGHTS) and not parameters.get(self.FILE):
            return False, tr("Choose weights to fetch, or a file to import.")
        return super().checkParameterValues(parameters, context)

    @telling
    def prepareAlgorithm(self, parameters, context, feedback):
        progress = Progress(feedback)
        self.done = self.part = 0.0
        self.fetch = http.fetcher(feedback, lambda share: progress(self.done + self.part * share))
        return True

    def work(self, parameters, context, feedback):
        file = self.parameterAsFile(parameters, self.FILE, context)
        wanted = self.parameterAsEnumString(parameters, self.WEIGHTS, context)
        if file:
            entry = catalogue.adopt(file)
            feedback.pushInfo(tr("Weights {} are in {}").format(entry.id, entry.path))
        missing = [entry for entry in catalogue.known() if not entry.path and wanted in (entry.id, self.ALL)]
        for entry in missing:
            self.part = entry.size / sum(each.size for each in missing)
            self.fetch(entry)
            self.done += self.part
        return {self.FOLDER: str(paths.weights()), self.COUNT: len(missing) + bool(file)}
