"""The methods there are, by the names that users write, and what they are called in tables."""

from __future__ import annotations

NETWORK = "ssdiff"
CLASSICAL = ("exp", "brovey", "gsa", "bt-h", "bdsd-pc", "mtf-glp-fs", "mtf-glp-hpm")
ALL = (NETWORK, *CLASSICAL)
UNFITTED = ("exp", "brovey")
"those that need to know nothing of the scene at large"
LABELS = {method: method.upper() for method in CLASSICAL} | {NETWORK: "SSDiff", "brovey": "Brovey"}
BASES = ("lms", "mtf-glp-fs")
"what the residual of a network may be taken against"
