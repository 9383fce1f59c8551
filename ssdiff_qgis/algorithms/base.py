"""What all algorithms of SSDiff have in common: how they look, what they say, and what computes for them."""

from __future__ import annotations

import functools
import re
import time
from pathlib import Path

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsRasterLayer,
)
from qgis.PyQt.QtGui import QIcon

from ...ssdiff_core.common.errors import Cancelled, NoPythonError, SSDiffError
from ...ssdiff_core.common.progress import duration
from ...ssdiff_core.domain import sensors
from ...ssdiff_core.weights import catalogue
from ...ssdiff_core.worker.client.backend import WorkerBackend
from ..services import compat, runtime, settings
from ..services.i18n import tr

ICON = Path(__file__).parents[2] / "resources" / "icon.svg"
SOON = 5.0
"seconds after which there is something to say on how long it will take"
OFTEN = 2.0
"seconds between two words on that"
DEVICES = ("auto", "cpu", "cuda", "mps")


def telling(method):
    """What goes wrong in it as QGIS shows it: one sentence, and in the log what is known besides."""

    @functools.wraps(method)
    def told(self, parameters, context, feedback):
        try:
            return method(self, parameters, context, feedback)
        except SSDiffError as error:
            feedback.pushDebugInfo(getattr(error, "log", ""))
            raise QgsProcessingException(str(error)) from None

    return told


class Algorithm(QgsProcessingAlgorithm):
    """Subclasses say ID, LABEL, TAGS, ABOUT, PAGE, add parameters whose help tells what each is for, and do the `work`.

    It is not called run: that is what scripts call, and QGIS's own.
    """

    ID = LABEL = ABOUT = ""
    TAGS = ("pansharpen", "fusion", "ssdiff")
    PAGE = "qgis.md"
    "of the documentation, which the button Help opens"

    def name(self):
        return self.ID

    def displayName(self):
        return tr(self.LABEL)

    def tags(self):
        return list(self.TAGS)

    def icon(self):
        return QIcon(str(ICON))

    def shortDescription(self):
        return re.split(r"\. |。", tr(self.ABOUT))[0]

    def shortHelpString(self):
        parameters = [one for one in self.parameterDefinitions() if one.help()]
        listed = "".join(f"<p><b>{one.description()}</b><br>{one.help()}</p>" for one in parameters)
        return f"<p>{tr(self.ABOUT)}</p>{listed}"

    def helpUrl(self):
        return f"{catalogue.repository()}/blob/HEAD/docs/{self.PAGE}"

    def createInstance(self):
        return type(self)()

    def with_help(self, parameter: QgsProcessingParameterDefinition, text: str, advanced: bool = False) -> None:
        parameter.setHelp(text)
        if advanced:
            parameter.setFlags(parameter.flags() | compat.ADVANCED)
        self.addParameter(parameter)

    def choice(self, name: str, label: str, of, default: str, text: str, advanced: bool = False) -> None:
        """A choice that scripts and models name by its word, so that lists may grow."""
        parameter = QgsProcessingParameterEnum(name, label, list(of), defaultValue=default, usesStaticStrings=True)
        self.with_help(parameter, text, advanced)

    def pair(self, spectral: str, panchromatic: str, of_spectral: str, of_panchromatic: str) -> None:
        """The two layers that are fused, and what is to be said of each."""
        for name, label, text in (
            (spectral, tr("Multispectral layer (coarse, coloured)"), of_spectral),
            (panchromatic, tr("Panchromatic layer (sharp, grey)"), of_panchromatic),
        ):
            self.with_help(QgsProcessingParameterRasterLayer(name, label), text)

    def sensor(self, name: str, text: str = "") -> None:
        text = text or tr("auto recognises it from the files' metadata, names and bands.")
        self.choice(name, tr("Sensor"), ("auto", *sensors.ids()), "auto", text)

    def device(self, name: str) -> None:
        text = tr("What computes. auto: that of the settings, else the fastest that works.")
        self.choice(name, tr("Device"), DEVICES, "auto", text, advanced=True)

    def weights(self, name: str, label: str) -> None:
        """Weights by their id, or a file."""
        parameter = QgsProcessingParameterString(name, label, "auto")
        parameter.setMetadata({"widget_wrapper": {"class": f"{__package__}.parameter_widgets.Weights"}})
        ids = ", ".join(entry.id for entry in catalogue.known())
        text = tr("auto takes what suits sensor and bands best. Else one of these, or a file of your own: {}")
        self.with_help(parameter, text.format(ids))

    def chosen(self, parameters, name: str, context) -> str:
        return self.parameterAsEnumString(parameters, name, context)

    def file_of(self, parameters, name: str, context) -> str | None:
        """The path of a raster layer that GDAL reads; None where none is named."""
        layer = self.parameterAsRasterLayer(parameters, name, context)
        return None if layer is None else path_of(layer)

    def unfit(self, parameters, names, context) -> str | None:
        """Why one of these layers cannot be read as pixels, in a sentence."""
        for name in names:
            layer = self.parameterAsRasterLayer(parameters, name, context)
            if layer is not None and layer.providerType() != "gdal":
                return tr("{} is a layer of type {}: its pixels cannot be read. Export it as a GeoTIFF first.").format(
                    layer.name(), layer.providerType()
                )
        return None

    @telling
    def processAlgorithm(self, parameters, context, feedback):
        try:
            return self.work(parameters, context, feedback)
        except Cancelled:
            feedback.pushInfo(tr("Cancelled."))
            return {}


def path_of(layer: QgsRasterLayer) -> str:
    """What GDAL opens; a layer's open options stay behind."""
    return layer.source().split("|")[0]


def computer(feedback) -> WorkerBackend:
    """Who computes, and tells this algorithm's user of it."""
    worker = runtime.worker()
    feedback.pushInfo(tr("Computing with {}").format(worker.python))
    return WorkerBackend(worker, feedback.pushInfo, feedback.isCanceled)


def nothing_computes() -> str | None:
    """Why there is nobody who could compute, in a sentence."""
    try:
        runtime.interpreter()
    except NoPythonError as error:
        return str(error)
    return None


def device(wish: str) -> str:
    """The device asked for, else that of the settings."""
    return settings.device() if wish == "auto" else wish


class Progress:
    """Hears the share done of a part of the work and tells how long the rest will take; ends it when cancelled."""

    def __init__(self, feedback, start: float = 0.0, end: float = 1.0):
        self._feedback, self._from, self._to = feedback, start, end
        self._began: tuple[float, float] | None = None
        self._told = 0.0

    def __call__(self, share: float) -> None:
        if self._feedback.isCanceled():
            raise Cancelled("cancelled")
        self._feedback.setProgress(100 * (self._from + (self._to - self._from) * share))
        now = time.monotonic()
        self._began = self._began or (now, share)
        elapsed, gained = now - self._began[0], share - self._began[1]
        if gained > 0 and share < 1 and elapsed > SOON and now - self._told > OFTEN:
            self._told = now
            left = duration((1 - share) * elapsed / gained)
            self._feedback.setProgressText(tr("{:.0%} done, about {} left").format(share, left))
