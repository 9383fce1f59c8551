from __future__ import annotations

from qgis.core import QgsProcessingParameterNumber, QgsProcessingParameterRasterDestination

from ..services import compat, http
from ..services.i18n import tr
from .base import Progress, device, telling
from .fusion_base import Fusion


class Pansharpen(Fusion):
    """The main job: the diffusion network."""

    ID, LABEL = "pansharpen", "Pansharpen (SSDiff)"
    ABOUT = (
        "Makes one sharp image with true colours of a panchromatic and a multispectral layer, by the diffusion network "
        "SSDiff. Weights that are not on this computer are fetched when first needed. On a processor alone a large "
        "layer takes long: fuse an extent first, or use a classical method. The first run may ask you to install the "
        "runtime (PyTorch), which is kept apart from QGIS."
    )
    WEIGHTS, STEPS, SAMPLES, SEED, DEVICE = "WEIGHTS", "STEPS", "SAMPLES", "SEED", "DEVICE"

    def initAlgorithm(self, configuration=None):
        super().initAlgorithm(configuration)
        self.with_help(
            QgsProcessingParameterRasterDestination(
                self.UNCERTAINTY, tr("Uncertainty"), optional=True, createByDefault=False
            ),
            tr(
                "How far samples of the network lie apart, in counts, band by band: a hint where the image is likely "
                "to be wrong, and no bound on its error. It takes longer: unless you say otherwise, the image is then "
                "the mean of 8 samples."
            ),
        )

    def own_parameters(self):
        self.weights(self.WEIGHTS, tr("Weights"))
        self.device(self.DEVICE)
        self.with_help(
            QgsProcessingParameterNumber(self.STEPS, tr("Sampling steps"), compat.INTEGER, None, True, 1, 1000),
            tr("Default: what the weights were made for. More are seldom better."),
            advanced=True,
        )
        self.with_help(
            QgsProcessingParameterNumber(self.SAMPLES, tr("Samples"), compat.INTEGER, None, True, 1, 1000),
            tr(
                "Answers that are averaged, each from noise of its own and from tiles that lie another way. Default: "
                "what the weights ask for, or 8 for an uncertainty. 1 is fastest and a little worse."
            ),
            advanced=True,
        )
        self.with_help(
            QgsProcessingParameterNumber(self.SEED, tr("Seed"), compat.INTEGER, 0, False, 0),
            tr("Of the noise. The same seed gives the same pixels."),
            advanced=True,
        )

    @telling
    def prepareAlgorithm(self, parameters, context, feedback):
        self.fetch = http.fetcher(feedback, Progress(feedback))
        return super().prepareAlgorithm(parameters, context, feedback)

    def own_wishes(self, parameters, context):
        steps, samples = (self._number(parameters, name, context) for name in (self.STEPS, self.SAMPLES))
        return {
            "weights": self.parameterAsString(parameters, self.WEIGHTS, context) or "auto",
            "steps": None if steps is None else int(steps),
            "samples": None if samples is None else int(samples),
            "seed": self.parameterAsInt(parameters, self.SEED, context),
            "device": device(self.chosen(parameters, self.DEVICE, context)),
        }

    def uncertainty(self, parameters, context):
        return self.parameterAsOutputLayer(parameters, self.UNCERTAINTY, context)
