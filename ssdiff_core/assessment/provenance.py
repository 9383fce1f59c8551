"""The provenance table of a report: input files, how the images were produced, and how they were assessed."""

from __future__ import annotations

import math

from ..domain.options import AssessOptions
from ..domain.study import Study
from .measure import sample_of

METADATA_LABELS = {
    "method": "Method",
    "weights": "Weights",
    "weights_sha256": "SHA-256 of the weights",
    "adapted": "Adapted to the scene",
    "shift": "Shift of MS against PAN",
    "steps": "Sampling steps",
    "samples": "Samples averaged",
    "seed": "Seed",
    "sensor": "Sensor profile",
    "version": "SSDiff version",
    "pan": "PAN of the image",
    "ms": "MS of the image",
}
NETWORK_LABELS = {
    "weights": "weights",
    "weights_sha256": "SHA-256",
    "steps": "steps",
    "samples": "samples",
    "seed": "seed",
}
"metadata listed for each of several images that a network produced"


def facts_of(study: Study, options: AssessOptions, protocol: str) -> list[tuple[str, str]]:
    """Returns the rows of the table: label and value."""
    alone = study.files[0] if len(study.files) == 1 and protocol != "wald" else None
    rows = [*_inputs(study, protocol, alone), *_measuring(study, options)]
    listed = {value for _, value in rows}
    metadata = alone.provenance if alone else {}
    return rows + [
        (label, metadata[key])
        for key, label in METADATA_LABELS.items()
        if metadata.get(key) and metadata[key] not in listed
    ]


def _inputs(study: Study, protocol: str, alone) -> list[tuple[str, str]]:
    pan, *ms = study.inputs
    rows = [("PAN", pan), ("MS", ", ".join(ms))]
    rows += [("Image", alone.path)] if alone else _images(study, permanent=protocol != "wald")
    return rows + ([("Reference", study.reference.path)] if study.reference and protocol != "wald" else [])


def _images(study: Study, permanent: bool) -> list[tuple[str, str]]:
    """Returns a row for each image: its path if the file is permanent, and the weights that produced it."""
    rows = []
    for image in study.files:
        metadata = image.provenance if image.provenance.get("weights") else {}
        values = [f"{label} {metadata[key]}" for key, label in NETWORK_LABELS.items() if key in metadata]
        rows.append((image.name, ", ".join([*([image.path] if permanent else []), *values])))
    return [(name, values) for name, values in rows if values]


def _measuring(study: Study, options: AssessOptions) -> list[tuple[str, str]]:
    window, ratio = study.scene.window, study.scene.placement.ratio
    rows = [
        ("Sensor", f"{study.sensor.label}: {', '.join(study.sensor.bands)}"),
        ("MTF at the Nyquist frequency", ", ".join(f"{gain:g}" for gain in study.sensor.mtf)),
        ("Extent", f"{window.width} × {window.height} pixels{_pixel(study)}, ratio {ratio:g}"),
        ("Measured", str(sample_of(study, options))),
    ]
    if not study.reference:
        rows.append(("Convention", study.convention))
    elif options.crop:
        rows.append(("Border", "excluded, as in the MATLAB toolbox"))
    return [
        *rows,
        ("Q2ⁿ", "computed on values rounded to 16-bit integers" if study.rounded else "computed on unrounded values"),
    ]


def _pixel(study: Study) -> str:
    (name, unit), transform = study.crs, study.scene.grid.transform
    return f" of {math.hypot(transform[1], transform[4]):.4g}{unit} ({name})" if name else ""
