"""What a report tells of where its numbers come from: the files, how they were made, and how they were measured."""

from __future__ import annotations

import math

from ..domain.options import AssessOptions
from ..domain.study import Study
from .measure import sample_of

SAID = {
    "method": "Method",
    "weights": "Weights",
    "weights_sha256": "SHA-256 of the weights",
    "steps": "Sampling steps",
    "samples": "Samples averaged",
    "seed": "Seed",
    "sensor": "Sensor profile",
    "version": "SSDiff version",
    "pan": "Made of PAN",
    "ms": "Made of MS",
}
WEIGHTS = {"weights": "weights", "weights_sha256": "SHA-256", "steps": "steps", "samples": "samples", "seed": "seed"}
"what is told of each image of several that a network made"


def facts_of(study: Study, asked: AssessOptions, protocol: str) -> list[tuple[str, str]]:
    """Each with what it is called."""
    alone = study.files[0] if len(study.files) == 1 and protocol != "wald" else None
    rows = [*_inputs(study, protocol, alone), *_measuring(study, asked)]
    told = {value for _, value in rows}
    said = alone.said if alone else {}
    return rows + [(label, said[key]) for key, label in SAID.items() if said.get(key) and said[key] not in told]


def _inputs(study: Study, protocol: str, alone) -> list[tuple[str, str]]:
    pan, *ms = study.inputs
    rows = [("PAN", pan), ("MS", ", ".join(ms))]
    rows += [("Image", alone.path)] if alone else _images(study, lasting=protocol != "wald")
    return rows + ([("Reference", study.reference.path)] if study.reference and protocol != "wald" else [])


def _images(study: Study, lasting: bool) -> list[tuple[str, str]]:
    """Of several: where each lies, if it is there to stay, and what weights made it."""
    rows = []
    for image in study.files:
        said = image.said if image.said.get("weights") else {}
        told = [f"{what} {said[key]}" for key, what in WEIGHTS.items() if key in said]
        rows.append((image.name, ", ".join([*([image.path] if lasting else []), *told])))
    return [(name, told) for name, told in rows if told]


def _measuring(study: Study, asked: AssessOptions) -> list[tuple[str, str]]:
    window, ratio = study.scene.window, study.scene.placement.ratio
    rows = [
        ("Sensor", f"{study.sensor.label}: {', '.join(study.sensor.bands)}"),
        ("MTF at Nyquist", ", ".join(f"{gain:g}" for gain in study.sensor.mtf)),
        ("Ground", f"{window.width} × {window.height} pixels{_pixel(study)}, ratio {ratio:g}"),
        ("Measured", str(sample_of(study, asked))),
    ]
    if not study.reference:
        rows.append(("Convention", study.convention))
    elif asked.crop:
        rows.append(("Rim", "left out, as the toolboxes may"))
    return [*rows, ("Q2ⁿ", "of counts rounded to 16 bits" if study.rounded else "of the values as they are")]


def _pixel(study: Study) -> str:
    (name, unit), transform = study.crs, study.scene.grid.transform
    return f" of {math.hypot(transform[1], transform[4]):.4g}{unit} ({name})" if name else ""
