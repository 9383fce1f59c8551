from __future__ import annotations

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..ssdiff_core import catalogue, places
from ..ssdiff_core.errors import Cancelled, SSDiffError
from ..ssdiff_core.progress import part
from . import network


class DownloadWeights(QgsProcessingAlgorithm):
    """Brings weights into the user's folder: over the network as QGIS reaches it, or from a file."""

    WEIGHTS, FILE, FOLDER, COUNT = "WEIGHTS", "FILE", "FOLDER", "COUNT"
    ALL = "all"

    def tr(self, text):
        return QCoreApplication.translate("DownloadWeights", text)

    def name(self):
        return "downloadweights"

    def displayName(self):
        return self.tr("Download weights")

    def shortHelpString(self):
        return self.tr(
            "Fetches trained weights, so that pansharpening need not do so when it first uses them. What is here "
            "already is not fetched again, what was interrupted is gone on with, and a file is kept only if it is, to "
            "the last bit, what was published.\n\n"
            "Weights to fetch: the id of published weights, or all of them. Proxy, certificates and authentication are "
            "those of QGIS's own settings. With the environment variable SSDIFF_OFFLINE=1 nothing is ever fetched.\n\n"
            "File to import: a .safetensors file that came here in another way, such as by a USB stick, or that you "
            "have trained or adapted yourself. It is found by its id afterwards. Optional.\n\n"
            "Folder: where the weights lie. Number of files: how many were fetched or imported."
        )

    def createInstance(self):
        return DownloadWeights()

    def initAlgorithm(self, configuration=None):
        ids = [entry.id for entry in catalogue.published()]
        self.addParameter(
            QgsProcessingParameterEnum(
                self.WEIGHTS,
                self.tr("Weights to fetch"),
                [*ids, self.ALL],
                optional=True,
                usesStaticStrings=True,
            )
        )
        self.addParameter(
            QgsProcessingParameterFile(
                self.FILE, self.tr("File to import"), extension=catalogue.SUFFIX[1:], optional=True
            )
        )
        self.addOutput(QgsProcessingOutputString(self.FOLDER, self.tr("Folder")))
        self.addOutput(QgsProcessingOutputNumber(self.COUNT, self.tr("Number of files")))

    def checkParameterValues(self, parameters, context):
        if not parameters.get(self.WEIGHTS) and not parameters.get(self.FILE):
            return False, self.tr("Choose weights to fetch, or a file to import.")
        return super().checkParameterValues(parameters, context)

    def prepareAlgorithm(self, parameters, context, feedback):
        self.connection, self.home = self.told(network.connection), network.home()
        return True

    def processAlgorithm(self, parameters, context, feedback):
        file = self.parameterAsFile(parameters, self.FILE, context)
        wanted = self.parameterAsEnumString(parameters, self.WEIGHTS, context)
        if file:
            entry = self.told(lambda: catalogue.adopt(file))
            feedback.pushInfo(self.tr("Weights {} are in {}").format(entry.id, entry.path))
        missing = [entry for entry in catalogue.known() if not entry.path and wanted in (entry.id, self.ALL)]
        fetched = self.told(lambda: self.fetch(missing, feedback))
        return {self.FOLDER: str(places.weights()), self.COUNT: fetched + bool(file)}

    def fetch(self, missing, feedback):
        """All that is missing, or as much of it as is waited for; answers how many."""
        size, done = sum(entry.size for entry in missing), 0
        for count, entry in enumerate(missing):
            heard = part(lambda share: feedback.setProgress(100 * share), done / size, (done + entry.size) / size)
            try:
                catalogue.fetcher(self.connection, heard, feedback.isCanceled, feedback.pushInfo, self.home)(entry)
            except Cancelled:
                return count
            done += entry.size
        return len(missing)

    def told(self, do):
        """What it answers; what goes wrong, as QGIS shows it."""
        try:
            return do()
        except (SSDiffError, OSError) as error:
            raise QgsProcessingException(str(error)) from None
