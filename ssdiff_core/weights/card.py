"""The card of a weights file: its description in the header of the safetensors file, read without torch.

The file begins with the length of its header, eight bytes, and the header, JSON, whose `__metadata__` is the card.
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import BinaryIO

from ..common.errors import WeightsError, message_of, one_line
from ..common.files import kind_notice, kind_of, open_to_read
from ..common.notices import notice
from ..domain.kernels import KERNELS
from ..domain.methods import BASES
from .model_config import Config, T

SCENE = "scene"
"scaling by one number for bands and PAN, from the scene's bright pixels; ratios of bands are kept"
MOMENTS = "moments"
"scaling of each band and PAN by its own mean and standard deviation; removes differences of sensors and haze"
FORMAT = "ssdiff-1"
DEFAULTS = {"samples": "1"}
"values of keys that files of earlier versions lack"
MAXIMUM_SAMPLES = 64
"largest number of samples that weights can set as default"
RATIO_SLACK = 0.05
"largest relative difference of a scene's ratio from that of the weights; MS is resampled to make up for it"
MAXIMUM_HEADER_BYTES = 1 << 22
"largest size of a header, bytes"
ID = re.compile(r"\w[\w.+-]{0,79}", re.ASCII)
"pattern of ids, which are also file names"
RESERVED_IDS = re.compile(r"auto|all|.*\.(part|lock)?|(con|prn|aux|nul|(com|lpt)[0-9])(\..*)?", re.IGNORECASE)
"ids that mean something else: to SSDiff, or as file names to Windows"
NAMING = "an id may contain only letters, digits and . _ + -, at most 80, and not be auto, all or a device of Windows"


@dataclass(frozen=True)
class Card:
    """Description of a weights file, and the parameters needed to use it."""

    id: str
    sensor: str
    bands: tuple[str, ...]
    "names of the MS bands, in their order"
    residual_sigma: tuple[float, ...]
    "factor of the network's output for each band, in units of scale"
    arch: Config
    ratio: int = 4
    scale: float | str = SCENE
    "counts that map to 1, or the scaling that the scene determines (SCENE, MOMENTS)"
    base: str = "lms"
    "image that the residual is added to, also an input of the network: lms or a classical fusion"
    interpolation: str = "23tap"
    "kernel that interpolates MS to PAN"
    ms_phase: float | None = None
    "position of the first MS sample in a tile that the network expects, in PAN pixels; None: corner-aligned"
    steps: int = 1
    samples: int = 1
    "default number of samples to average, each from tiles rotated or mirrored differently"
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
    """Returns whether the weights can be used for a scene of this ratio."""
    return abs(ratio / trained - 1) <= RATIO_SLACK


def check(card: Card) -> Card:
    """Returns the card; raises WeightsError if it is inconsistent."""
    n, config = len(card.bands), card.arch
    faults = {
        f"have an id that cannot be used: {NAMING}": not is_id(card.id),
        f"list {n} bands, but their network has {config.bands}": config.bands != n,
        "have band names that are not text": not all(isinstance(name, str) for name in card.bands),
        f"have ratio {card.ratio}, but their network has {config.ratio}": config.ratio != card.ratio,
        f"need {n} positive numbers as residual_sigma": len(card.residual_sigma) != n
        or not all(_number(s) and s > 0 for s in card.residual_sigma),
        f"list {n} bands but {len(card.wavelengths_nm)} wavelengths": len(card.wavelengths_nm) not in (0, n),
        "have wavelengths that are not numbers": not all(_number(w) for w in card.wavelengths_nm),
        f"have scale {card.scale}; it must be a positive number, scene or moments": card.scale not in (SCENE, MOMENTS)
        and not (_number(card.scale) and card.scale > 0),
        f"have base {card.base!r}; it must be one of {', '.join(BASES)}": card.base not in BASES,
        f"have {card.interpolation!r} interpolation; it must be one of {', '.join(KERNELS)}": card.interpolation
        not in KERNELS,
        f"have MS phase {card.ms_phase}; it must be between 0 and {config.ratio}": not _number(card.ms_phase)
        or not 0 <= card.ms_phase <= config.ratio,
        f"set {card.steps} steps; it must be 1 to {T}": type(card.steps) is not int or not 1 <= card.steps <= T,
        f"set {card.samples} samples; it must be 1 to {MAXIMUM_SAMPLES}": type(card.samples) is not int
        or not 1 <= card.samples <= MAXIMUM_SAMPLES,
        "have training or scores that are not JSON objects": not isinstance(card.training, dict)
        or not isinstance(card.scores, dict),
    }
    for fault, present in faults.items():
        if present:
            raise WeightsError(notice("weights_invalid", name=card.id[:80], reason=fault[:300]))
    return card


def is_id(text: str) -> bool:
    """Returns whether a text can be the id of weights (see NAMING)."""
    return bool(ID.fullmatch(text)) and not RESERVED_IDS.fullmatch(text)


def _number(value) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max  # not NaN, and fits in a float


def read_card(path: str | os.PathLike) -> Card:
    """Reads the card of a weights file, without its tensors."""
    path = Path(path)
    kind = kind_of(path)
    if kind:
        raise WeightsError(notice("not_a_weights_file", path=str(path), kind=kind_notice(kind)))
    try:
        with open_to_read(path) as file:
            header = read_header(file).get("__metadata__") or {}
            return card_of(path, {str(key): str(value) for key, value in header.items()})
    except OSError as error:
        raise WeightsError(notice("cannot_read", path=str(path), reason=error.strerror or str(error))) from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(notice("not_safetensors", path=str(path), reason=one_line(error)[:200])) from None


def read_header(file: BinaryIO) -> dict:
    """Returns the header of a safetensors file, which has been opened; the tensors are what follows.

    Raises ValueError if the file is shorter than its header, or the header is no JSON or too large.
    """
    length = int.from_bytes(file.read(8), "little")
    if length > min(MAXIMUM_HEADER_BYTES, os.fstat(file.fileno()).st_size):
        raise ValueError(f"it is shorter than its header, or that has more than {MAXIMUM_HEADER_BYTES} bytes")
    return json.loads(file.read(length))


def written(header: dict) -> bytes:
    """Returns the beginning of a safetensors file with this header, up to the tensors, which are aligned."""
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def header_of(card: Card) -> dict[str, str]:
    """Returns the card as metadata of a safetensors header."""
    header = {"format": FORMAT, "tile": str(card.tile)}
    for name, value in asdict(card).items():
        header[name] = value if isinstance(value, str) else json.dumps(value)
    return header


def card_of(path: Path, header: dict[str, str]) -> Card:
    """Returns the card from the metadata of a safetensors header; path: for errors."""
    if header.get("format") != FORMAT:
        found = repr(header.get("format"))[:80]
        raise WeightsError(notice("not_weights", path=str(path), format=found))
    names = [item.name for item in fields(Card)]
    header = {**DEFAULTS, **header}
    for name in (*names, "tile"):
        if name not in header:
            raise WeightsError(notice("header_lacks", path=str(path), name=name))
    values = {name: header[name] for name in names}
    try:
        values["scale"] = header["scale"] if header["scale"] in (SCENE, MOMENTS) else float(header["scale"])
        values["arch"] = Config(**json.loads(values["arch"]))
        for name in ("bands", "residual_sigma", "wavelengths_nm"):
            values[name] = tuple(_listed(name, json.loads(values[name])))
        for name in ("ratio", "steps", "samples", "ms_phase", "training", "scores"):
            values[name] = json.loads(values[name])
        tile = int(header["tile"])
    except (ValueError, TypeError, ArithmeticError, AttributeError, RecursionError) as error:
        raise WeightsError(notice("header_invalid", path=str(path), reason=one_line(error)[:200])) from None
    if tile != values["arch"].tile:
        differing = {"tile": tile, "expected": values["arch"].tile}
        raise WeightsError(notice("header_tile", path=str(path), **differing))
    try:
        return check(Card(**values))
    except WeightsError as error:
        raise WeightsError(notice("weights_file_invalid", path=str(path), reason=message_of(error))) from None


def _listed(name: str, value) -> list:
    if not isinstance(value, list):
        raise ValueError(f"{name} is not a list")
    return value
