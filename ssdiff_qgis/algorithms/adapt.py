"""Algorithm that adapts the weights of the network to the user's own scenes."""

from __future__ import annotations

import re
from dataclasses import replace

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMultipleLayers,
)

from ...ssdiff_core.common.errors import Cancelled
from ...ssdiff_core.domain.options import AdaptOptions
from ...ssdiff_core.weights import catalogue
from ...ssdiff_core.workflows import adapt
from ..services import compat, http, settings
from ..services.i18n import log_notices, tr
from .base import Algorithm, Progress, missing_runtime, path_of, showing_errors

SCORES = ("ERGAS", "SAM")


class Adapt(Algorithm):
    """Training of weights on the user's own scenes."""

    ID, LABEL = "adapt", "Adapt weights to scene"
    ABOUT = (
        "Trains the network further on your own scene, so that it fits this sensor and area best. No reference is "
        "needed: the network learns from the layers at reduced resolution. A part of the scene is held out to measure "
        "the gain; if there is none, no file is written. Pansharpen finds the new weights by their name. "
        "Adapting takes about a minute with weights on patches; with others, up to 20 minutes on a CPU and 3 minutes "
        "on a GPU. If you cancel, the best weights so far are kept, and the next run continues from there."
    )
    TAGS = ("train", "fine-tune", "weights", "pansharpen", "ssdiff")
    PAGE = "adapt.md"
    SPECTRAL, PANCHROMATIC = "SPECTRAL", "PANCHROMATIC"
    MORE_SPECTRAL, MORE_PANCHROMATIC = "MORE_SPECTRAL", "MORE_PANCHROMATIC"
    OUTPUT, WEIGHTS = "OUTPUT", "WEIGHTS"

    def initAlgorithm(self, configuration=None):
        self.add_pair(
            self.SPECTRAL,
            self.PANCHROMATIC,
            tr("Any number of bands. At least 64 pixels along each side, preferably several hundred."),
            tr("Layer of the same area with 2 or 4 times the resolution."),
        )
        self.add_options(AdaptOptions, advanced=False)
        for name, label in (
            (self.MORE_SPECTRAL, tr("Additional multispectral layers")),
            (self.MORE_PANCHROMATIC, tr("Additional panchromatic layers")),
        ):
            self.add_parameter(
                QgsProcessingParameterMultipleLayers(name, label, compat.RASTER, optional=True),
                tr("Other scenes of the same sensor, in the same order in both lists."),
                advanced=True,
            )
        self.add_options(AdaptOptions, advanced=True)
        file_filter = tr("Weights (*{})").format(catalogue.SUFFIX)
        self.add_parameter(
            QgsProcessingParameterFileDestination(self.OUTPUT, tr("Weights file"), file_filter, None, True, False),
            tr("Default: a file in the weights folder, where Pansharpen finds the weights by their name."),
        )
        self.addOutput(QgsProcessingOutputString(self.WEIGHTS, tr("Best weights: the new or the initial ones")))
        for score in SCORES:
            self.addOutput(
                QgsProcessingOutputNumber(
                    f"{score}_BEFORE", tr("{} of the held-out part before adapting").format(score)
                )
            )
            self.addOutput(
                QgsProcessingOutputNumber(f"{score}_AFTER", tr("{} of the held-out part after adapting").format(score))
            )

    # --- preparation -------------------------------------------------------------------------------------------------

    def checkParameterValues(self, parameters, context):
        problem = self.pair_problem(parameters, self.SPECTRAL, self.PANCHROMATIC, context) or missing_runtime()
        panchromatic, spectral = self._additional(parameters, context)
        if len(spectral) != len(panchromatic):
            message = tr("Select as many additional multispectral as panchromatic layers, not {} and {}.")
            problem = message.format(len(spectral), len(panchromatic))
        return (False, problem) if problem else super().checkParameterValues(parameters, context)

    def _additional(self, parameters, context) -> list[list]:
        """Returns the PAN layers and the MS layers of the other scenes."""
        names = self.MORE_PANCHROMATIC, self.MORE_SPECTRAL
        return [self.parameterAsLayerList(parameters, name, context) for name in names]

    @showing_errors
    def prepareAlgorithm(self, parameters, context, feedback):
        spectral, panchromatic = self.pair_layers(parameters, context, self.SPECTRAL, self.PANCHROMATIC)
        layers = [(panchromatic, spectral), *zip(*self._additional(parameters, context))]
        self.pairs = [tuple(map(path_of, pair)) for pair in layers]
        options = self.read_options(parameters, context, AdaptOptions, memory=settings.memory())
        self.options = replace(options, id=options.id or id_from_name(spectral.name()))
        self.fetch = http.fetcher(feedback, Progress(feedback))
        return True

    # --- the work ----------------------------------------------------------------------------------------------------

    def work(self, parameters, context, feedback):
        out = self.parameterAsFileOutput(parameters, self.OUTPUT, context) or self.options.id
        progress, backend, notify = Progress(feedback), self.worker_backend(feedback), log_notices(feedback)
        try:
            result = adapt.adapt(self.pairs, out, self.options, notify, lambda pixels: progress, backend, self.fetch)
        except Cancelled as cancelled:
            feedback.pushInfo(str(cancelled))
            return {}
        results = {self.WEIGHTS: result.use, **({self.OUTPUT: str(result.path)} if result.path else {})}
        for score in SCORES:
            results[f"{score}_BEFORE"], results[f"{score}_AFTER"] = result.before[score], result.after[score]
        return results


def id_from_name(layer: str) -> str:
    """Returns a valid ID of weights made from a layer's name."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", layer).strip("-.+") or "adapted"
