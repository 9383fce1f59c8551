"""Algorithm that pansharpens with classical methods."""

from __future__ import annotations

from ...ssdiff_core.domain.methods import CLASSICAL
from ...ssdiff_core.domain.options import PansharpenOptions, options_of
from ..services.i18n import tr
from .fusion_base import Fusion


class PansharpenClassical(Fusion):
    """Pansharpening with methods that need no GPU and no runtime: NumPy computes them in QGIS's process."""

    ID, LABEL = "pansharpenclassical", "Pansharpen (classical methods)"
    ABOUT = (
        "Fuses a panchromatic and a multispectral layer into one sharp image with a classical method: fast on any "
        "computer, and a baseline for SSDiff."
    )
    METHOD = "METHOD"
    SKIPPED_OPTIONS = tuple(name for name, option in options_of(PansharpenOptions).items() if option.network)

    def add_own_parameters(self):
        self.add_choice(
            self.METHOD,
            tr("Method"),
            CLASSICAL,
            "mtf-glp-fs",
            tr(
                "exp only interpolates, brovey is the method of GDAL, the others are fitted to the scene. mtf-glp-fs "
                "is usually the best."
            ),
        )

    def own_options(self, parameters, context):
        return {"method": self.chosen(parameters, self.METHOD, context)}
