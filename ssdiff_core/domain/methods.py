"""What users may choose among, by the names that they write: methods, and what these are called in tables; and more."""

from __future__ import annotations

NETWORK = "ssdiff"
CLASSICAL = ("exp", "brovey", "gsa", "bt-h", "bdsd-pc", "mtf-glp-fs", "mtf-glp-hpm")
ALL = (NETWORK, *CLASSICAL)
UNFITTED = ("exp", "brovey")
"those that need to know nothing of the scene at large"
LABELS = {method: method.upper() for method in CLASSICAL} | {NETWORK: "SSDiff", "brovey": "Brovey"}
BASES = ("lms", "mtf-glp-fs")
"what the residual of a network may be taken against"
ALIGN = ("warn", "auto", "none")
"what becomes of a shift between PAN and MS"
CONVENTIONS = ("geometric", "toolbox")
"where measures take MS to lie (conventions.py)"
DTYPES = ("uint8", "uint16", "int16", "uint32", "int32", "float32", "float64")
"of what is written"
