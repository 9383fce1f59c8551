from __future__ import annotations

from ...ssdiff_core.domain.methods import CLASSICAL
from ..services.i18n import tr
from .fusion_base import Fusion


class PansharpenClassical(Fusion):
    """The methods to compare with, which need no GPU."""

    ID, LABEL = "pansharpenclassical", "Pansharpen (classical methods)"
    ABOUT = (
        "Makes one sharp image of a panchromatic and a multispectral layer by a method without a network: fast on any "
        "computer, and what SSDiff is to be compared with."
    )
    METHOD = "METHOD"

    def own_parameters(self):
        self.choice(
            self.METHOD,
            tr("Method"),
            CLASSICAL,
            "mtf-glp-fs",
            tr(
                "exp only interpolates. brovey is what GDAL does. gsa, bt-h and bdsd-pc replace what PAN knows better; "
                "mtf-glp-fs and mtf-glp-hpm add the detail that the MS sensor cannot see, and are mostly the best."
            ),
        )

    def own_wishes(self, parameters, context):
        return {"method": self.chosen(parameters, self.METHOD, context)}
