"""Algorithm that pansharpens with the diffusion network."""

from __future__ import annotations

from qgis.core import QgsProcessingParameterRasterDestination

from ...ssdiff_core.domain.methods import NETWORK
from ...ssdiff_core.domain.options import DEFAULT_PRESET, PRESET_OPTION, PRESETS
from ..services import http
from ..services.i18n import tr
from .base import Progress, showing_errors
from .fusion_base import Fusion


class Pansharpen(Fusion):
    """Pansharpening with the diffusion network."""

    ID, LABEL = "pansharpen", "Pansharpen (SSDiff)"
    ABOUT = (
        "Fuses a panchromatic and a multispectral layer into one sharp image with true colours, using the diffusion "
        "network SSDiff. Missing weights are downloaded on first use. Without a GPU, large layers take long: fuse an "
        "extent first, or use a classical method. The first run may ask you to install the runtime (PyTorch), which is "
        "kept separate from QGIS."
    )

    def initAlgorithm(self, configuration=None):
        super().initAlgorithm(configuration)
        self.add_parameter(
            QgsProcessingParameterRasterDestination(
                self.UNCERTAINTY, tr("Uncertainty"), optional=True, createByDefault=False
            ),
            tr(
                "Standard deviation of the network's samples, in counts, for each band. It hints at where the image is "
                "likely to be wrong and is no bound on its error. Unless a number of samples is given, 8 samples are "
                "drawn, which takes longer."
            ),
        )

    def add_own_parameters(self):
        self.add_option("preset", PRESET_OPTION, DEFAULT_PRESET)

    def preset(self, parameters, context):
        return self.chosen(parameters, "PRESET", context)

    def needs_runtime(self, parameters, context):
        return PRESETS.get(self.preset(parameters, context), {}).get("method", NETWORK) == NETWORK

    @showing_errors
    def prepareAlgorithm(self, parameters, context, feedback):
        self.fetch = http.fetcher(feedback, Progress(feedback))
        return super().prepareAlgorithm(parameters, context, feedback)

    def uncertainty(self, parameters, context):
        return self.output_layer(parameters, self.UNCERTAINTY, context)
