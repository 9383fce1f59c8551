from __future__ import annotations

import re

from qgis.core import (
    QgsProcessingException,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from ...ssdiff_core.common.errors import Cancelled
from ...ssdiff_core.domain.adaptation_job import MODES
from ...ssdiff_core.weights import catalogue
from ...ssdiff_core.workflows import adapt
from ..services import compat, http, settings
from ..services.i18n import tr
from .base import Algorithm, Progress, computer, device, nothing_computes, path_of, telling

SCORES = ("ERGAS", "SAM")


class Adapt(Algorithm):
    """Makes weights that suit the user's own scenes."""

    ID, LABEL = "adapt", "Adapt weights to a scene"
    ABOUT = (
        "Trains the network a little more on your own scene, so that it suits this sensor and this ground best. No "
        "reference is needed: the layers, made coarser, are what it learns from. A part of the scene is held out and "
        "decides: where adapting does not help, nothing is written and the weights stay as they were. The new weights "
        "are then found by their name in Pansharpen. It takes up to 20 minutes on a processor, 3 on a GPU; cancelled, "
        "it keeps the best so far, and started once more it goes on."
    )
    TAGS = ("train", "fine-tune", "weights", "pansharpen", "ssdiff")
    PAGE = "adapt.md"
    SPECTRAL, PANCHROMATIC = "SPECTRAL", "PANCHROMATIC"
    MORE_SPECTRAL, MORE_PANCHROMATIC = "MORE_SPECTRAL", "MORE_PANCHROMATIC"
    ID_OF, BASE, MODE, MINUTES, STEPS = "ID", "BASE", "MODE", "MINUTES", "STEPS"
    SENSOR, DEVICE, SEED, OUTPUT, WEIGHTS = "SENSOR", "DEVICE", "SEED", "OUTPUT", "WEIGHTS"

    def initAlgorithm(self, configuration=None):
        self.pair(
            self.SPECTRAL,
            self.PANCHROMATIC,
            tr("Any number of bands. At least 64 pixels along each side, better some hundreds."),
            tr("Of the same ground, 2 or 4 times as fine."),
        )
        self.with_help(
            QgsProcessingParameterString(self.ID_OF, tr("Name of the new weights"), "", optional=True),
            tr("By which Pansharpen finds them: letters, digits and . _ + -. Default: the multispectral layer's name."),
        )
        self.weights(self.BASE, tr("Weights to begin with"))
        self.with_help(
            QgsProcessingParameterNumber(self.MINUTES, tr("Minutes"), compat.DOUBLE, optional=True, minValue=0.1),
            tr("To take at most. Default: 20, on a GPU 3."),
        )
        self.sensor(self.SENSOR)
        self._advanced()
        kind = tr("Weights (*{})").format(catalogue.SUFFIX)
        self.with_help(
            QgsProcessingParameterFileDestination(self.OUTPUT, tr("Weights file"), kind, None, True, False),
            tr("Default: in the folder of weights, where Pansharpen finds them by name."),
        )
        self.addOutput(
            QgsProcessingOutputString(self.WEIGHTS, tr("Weights that are best now: the new ones, or those before"))
        )
        for score in SCORES:
            self.addOutput(QgsProcessingOutputNumber(f"{score}_BEFORE", tr("{} held out, before").format(score)))
            self.addOutput(QgsProcessingOutputNumber(f"{score}_AFTER", tr("{} held out, after").format(score)))

    def _advanced(self) -> None:
        for name, label in (
            (self.MORE_SPECTRAL, tr("More multispectral layers")),
            (self.MORE_PANCHROMATIC, tr("More panchromatic layers")),
        ):
            self.with_help(
                QgsProcessingParameterMultipleLayers(name, label, compat.RASTER, optional=True),
                tr("Other scenes of the same sensor, both lists in the same order."),
                advanced=True,
            )
        self.choice(
            self.MODE,
            tr("What learns"),
            MODES,
            "lbaf",
            tr("lbaf: one branch of the network after the other; full: all at once; scratch: a new network."),
            advanced=True,
        )
        self.device(self.DEVICE)
        self.with_help(
            QgsProcessingParameterNumber(self.STEPS, tr("Training steps"), compat.INTEGER, None, True, 1),
            tr("To take instead of the minutes, however long that is."),
            advanced=True,
        )
        self.with_help(
            QgsProcessingParameterNumber(self.SEED, tr("Seed"), compat.INTEGER, 1, False, 0),
            tr("Of all that is random."),
            advanced=True,
        )

    # --- what is asked for -------------------------------------------------------------------------------------------

    def checkParameterValues(self, parameters, context):
        wrong = self.unfit(parameters, (self.SPECTRAL, self.PANCHROMATIC), context) or nothing_computes()
        sharp, spectral = self._more(parameters, context)
        if len(spectral) != len(sharp):
            wrong = tr("There are {} more multispectral layers and {} more panchromatic ones.")
            wrong = wrong.format(len(spectral), len(sharp))
        return (False, wrong) if wrong else super().checkParameterValues(parameters, context)

    def _more(self, parameters, context) -> list[list]:
        """PAN and MS layers of other scenes."""
        names = self.MORE_PANCHROMATIC, self.MORE_SPECTRAL
        return [self.parameterAsLayerList(parameters, name, context) for name in names]

    @telling
    def prepareAlgorithm(self, parameters, context, feedback):
        spectral = self.parameterAsRasterLayer(parameters, self.SPECTRAL, context)
        sharp = self.parameterAsRasterLayer(parameters, self.PANCHROMATIC, context)
        for layer, name in ((spectral, self.SPECTRAL), (sharp, self.PANCHROMATIC)):
            if layer is None:
                raise QgsProcessingException(self.invalidRasterError(parameters, name))
        layers = [(sharp, spectral), *zip(*self._more(parameters, context))]
        self.pairs = [tuple(map(path_of, pair)) for pair in layers]
        self.wishes = self._wishes(parameters, context, spectral.name())
        self.fetch = http.fetcher(feedback, Progress(feedback))
        return True

    def _wishes(self, parameters, context, layer: str) -> adapt.AdaptOptions:
        return adapt.AdaptOptions(
            id=self.parameterAsString(parameters, self.ID_OF, context) or name_like(layer),
            base=self.parameterAsString(parameters, self.BASE, context) or "auto",
            mode=self.chosen(parameters, self.MODE, context),
            minutes=self._given(parameters, self.MINUTES, context),
            steps=int(self._given(parameters, self.STEPS, context)),
            sensor=self.chosen(parameters, self.SENSOR, context),
            device=device(self.chosen(parameters, self.DEVICE, context)),
            seed=self.parameterAsInt(parameters, self.SEED, context),
            memory=settings.memory(),
        )

    def _given(self, parameters, name: str, context) -> float:
        return self.parameterAsDouble(parameters, name, context) if parameters.get(name) is not None else 0.0

    # --- the work ----------------------------------------------------------------------------------------------------

    def work(self, parameters, context, feedback):
        out = self.parameterAsFileOutput(parameters, self.OUTPUT, context) or self.wishes.id
        heard, who = Progress(feedback), computer(feedback)
        try:
            found = adapt.adapt(self.pairs, out, self.wishes, feedback.pushInfo, lambda n: heard, who, self.fetch)
        except Cancelled as cancelled:
            feedback.pushInfo(str(cancelled))
            return {}
        results = {self.WEIGHTS: found.use, **({self.OUTPUT: str(found.path)} if found.path else {})}
        for score in SCORES:
            results[f"{score}_BEFORE"], results[f"{score}_AFTER"] = found.before[score], found.after[score]
        return results


def name_like(layer: str) -> str:
    """An id of weights that reminds of a layer's name."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", layer).strip("-.+") or "adapted"
