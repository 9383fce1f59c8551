"""What a weights file says of itself: plain strings in the header of a safetensors file, read without what computes.

The file begins with the length of its header, eight bytes, and the header, JSON, whose `__metadata__` is the card.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from ..common.errors import WeightsError
from ..domain.kernels import KERNELS
from ..domain.methods import BASES
from .model_config import Config, T

SCENE = "scene"
"bands and PAN over one number that the scene's bright pixels give: their ratios stay what they are"
MOMENTS = "moments"
"each band, and PAN, about its own mean over its own spread: all sensors and skies look alike"
FORMAT = "ssdiff-1"
ADDED = {"samples": "1"}
"what files of earlier versions do not say"
MOST = 64
"samples that weights may ask for"
RATIO_SLACK = 0.05
"how far a scene's ratio may be from that of the weights; MS is resampled by what lies between"
LONGEST = 1 << 26
"bytes that a header may have"


@dataclass(frozen=True)
class Card:
    """What a weights file says of itself."""

    id: str
    sensor: str
    bands: tuple[str, ...]
    "names, in the order of the MS bands"
    residual_sigma: tuple[float, ...]
    "what the network's answer is multiplied by, for each band, in units of scale"
    arch: Config
    ratio: int = 4
    scale: float | str = SCENE
    "counts that map to 1, or how the scene says (see units.py)"
    base: str = "lms"
    "what the residual is taken against, and what the network sees as lms"
    interpolation: str = "23tap"
    "kernel that takes MS to PAN"
    ms_phase: float | None = None
    "where the network expects its first MS sample, in PAN pixels from a tile's first; None: corner-aligned"
    steps: int = 1
    samples: int = 1
    "that an image is the mean of, each from tiles that lie another way"
    wavelengths_nm: tuple[float, ...] = ()
    training: dict = field(default_factory=dict)
    scores: dict = field(default_factory=dict)
    licence: str = ""

    def __post_init__(self):
        if self.ms_phase is None:
            object.__setattr__(self, "ms_phase", (self.arch.ratio - 1) / 2)

    @property
    def tile(self) -> int:
        return self.arch.tile

    def suits(self, ratio: float) -> bool:
        return suits(ratio, self.ratio)


def suits(ratio: float, trained: float) -> bool:
    """Whether a scene's ratio is near enough to that of the weights."""
    return abs(ratio / trained - 1) <= RATIO_SLACK


def check(card: Card) -> Card:
    """The card, if it agrees with itself."""
    n, config = len(card.bands), card.arch
    faults = {
        f"name {n} bands, their network has {config.bands}": config.bands != n,
        "have band names that are not text": not all(isinstance(name, str) for name in card.bands),
        f"say ratio {card.ratio}, their network has {config.ratio}": config.ratio != card.ratio,
        f"need {n} positive numbers as residual_sigma": len(card.residual_sigma) != n
        or not all(_number(s) and s > 0 for s in card.residual_sigma),
        f"name {n} bands and {len(card.wavelengths_nm)} wavelengths": len(card.wavelengths_nm) not in (0, n),
        "have wavelengths that are not numbers": not all(_number(w) for w in card.wavelengths_nm),
        f"have scale {card.scale}; a positive number, scene or moments is needed": card.scale not in (SCENE, MOMENTS)
        and not (_number(card.scale) and card.scale > 0),
        f"stand on {card.base!r}; this version knows {', '.join(BASES)}": card.base not in BASES,
        f"want {card.interpolation!r} interpolation, unknown to this version": card.interpolation not in KERNELS,
        f"expect MS at phase {card.ms_phase}; that is no place in a pixel of {card.ratio}": not _number(card.ms_phase)
        or not 0 <= card.ms_phase <= config.ratio,
        f"ask for {card.steps} steps; 1 to {T} make sense": type(card.steps) is not int or not 1 <= card.steps <= T,
        f"ask for {card.samples} samples; 1 to {MOST} make sense": type(card.samples) is not int
        or not 1 <= card.samples <= MOST,
        "have training or scores that are no JSON objects": not isinstance(card.training, dict)
        or not isinstance(card.scores, dict),
    }
    for fault, present in faults.items():
        if present:
            raise WeightsError(f"weights {card.id!r} {fault}")
    return card


def _number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def read_card(path: str | os.PathLike) -> Card:
    """The card of a weights file; of the tensors nothing is read."""
    path = Path(path)
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(LONGEST, path.stat().st_size):
                raise ValueError("it is shorter than its header")
            header = json.loads(file.read(length))["__metadata__"]
            return card_of(path, {str(key): str(value) for key, value in header.items()})
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path} is not a whole safetensors file with a card: {error}") from None


def header_of(card: Card) -> dict[str, str]:
    header = {"format": FORMAT, "tile": str(card.tile)}
    for name, value in asdict(card).items():
        header[name] = value if isinstance(value, str) else json.dumps(value)
    return header


def card_of(path: Path, header: dict[str, str]) -> Card:
    if header.get("format") != FORMAT:
        raise WeightsError(f"{path} is no SSDiff weights file: its header says format {header.get('format')!r}")
    names = [item.name for item in fields(Card)]
    header = {**ADDED, **header}
    for name in (*names, "tile"):
        if name not in header:
            raise WeightsError(f"{path}: the header has no {name!r}")
    values = {name: header[name] for name in names}
    try:
        values["scale"] = header["scale"] if header["scale"] in (SCENE, MOMENTS) else float(header["scale"])
        values["arch"] = Config(**json.loads(values["arch"]))
        for name in ("bands", "residual_sigma", "wavelengths_nm"):
            values[name] = tuple(_listed(name, json.loads(values[name])))
        for name in ("ratio", "steps", "samples", "ms_phase", "training", "scores"):
            values[name] = json.loads(values[name])
        tile = int(header["tile"])
    except (ValueError, TypeError, RecursionError) as error:
        raise WeightsError(f"{path}: the header cannot be understood: {error}") from None
    if tile != values["arch"].tile:
        raise WeightsError(f"{path}: the header says tile {tile}, its network {values['arch'].tile}")
    return check(Card(**values))


def _listed(name: str, value) -> list:
    if not isinstance(value, list):
        raise ValueError(f"{name} is no list")
    return value
