"""Names of the choices that options offer: methods and their labels, alignment, conventions, data types."""

from __future__ import annotations

NETWORK = "ssdiff"
CLASSICAL = ("exp", "brovey", "gsa", "bt-h", "bdsd-pc", "mtf-glp-fs", "mtf-glp-hpm")
ALL = (NETWORK, *CLASSICAL)
UNFITTED = ("exp", "brovey")
"methods that need no statistics of the scene"
LABELS = {method: method.upper() for method in CLASSICAL} | {NETWORK: "SSDiff", "brovey": "Brovey"}
BASES = ("lms", "mtf-glp-fs")
"images that the residual of a network can be added to"
ALIGN = ("warn", "auto", "none")
"what is done about a shift between PAN and MS: report it, correct it, or nothing"
CONVENTIONS = ("geometric", "toolbox")
"conventions of the position of MS in the measures (metrics.conventions)"
DTYPES = ("uint8", "uint16", "int16", "uint32", "int32", "float32", "float64")
"data types of outputs"
