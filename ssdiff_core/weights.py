"""Weights files: safetensors with a card of plain strings in the header. Nothing is ever unpickled.

A file is read whole or not at all: `load` answers a network that fits its card, or raises WeightsError with one
sentence.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from .classical import BASES
from .diffusion import T
from .errors import SSDiffError, WeightsError
from .kernels import KERNELS
from .network import Config, SSNet, from_published, load_state
from .units import MOMENTS, SCENE

FORMAT = "ssdiff-1"
RATIO_SLACK = 0.05
"how far a scene's ratio may be from that of the weights; MS is resampled by what lies between"


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
        return abs(ratio / self.ratio - 1) <= RATIO_SLACK


@dataclass(frozen=True)
class Weights:
    card: Card
    net: SSNet
    sha256: str = ""


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
        "have training or scores that are no JSON objects": not isinstance(card.training, dict)
        or not isinstance(card.scores, dict),
    }
    for fault, present in faults.items():
        if present:
            raise WeightsError(f"weights {card.id!r} {fault}")
    return card


def _number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def save(path: str | os.PathLike, state: dict[str, Tensor], card: Card) -> None:
    """Writes a weights file in one go: under another name first, so that no half file ever bears this one."""
    load_state(SSNet(check(card).arch), state)
    path = Path(path)
    data = to_bytes({name: tensor.contiguous().cpu() for name, tensor in state.items()}, _header(card))
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise


def load(path: str | os.PathLike) -> Weights:
    """Reads a weights file and checks all of it."""
    card, state = _read(Path(path), with_tensors=True)
    net = SSNet(card.arch)
    try:
        load_state(net, state)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    return Weights(card, net.eval().requires_grad_(False), sha256_of(path))


def read_card(path: str | os.PathLike) -> Card:
    """The card alone, without the tensors."""
    return _read(Path(path), with_tensors=False)[0]


def sha256_of(path: str | os.PathLike) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(file)


def import_published(path: str | os.PathLike, card: Card) -> Weights:
    """A published .pt checkpoint under this card, arch taken from the tensors. Reads tensors only, never objects."""
    try:
        published = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # torch raises many kinds, none documented
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path} is not a checkpoint of plain tensors: {first}") from None
    if not isinstance(published, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in published.items()
    ):
        raise WeightsError(f"{path} is not a state dict: names with tensors are expected, nothing else")
    try:
        net = from_published(published)
    except SSDiffError as error:
        raise WeightsError(f"{path}: {error}") from None
    return Weights(check(replace(card, arch=net.config)), net)


def _digest(file) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


def _header(card: Card) -> dict[str, str]:
    header = {"format": FORMAT, "tile": str(card.tile)}
    for name, value in asdict(card).items():
        header[name] = value if isinstance(value, str) else json.dumps(value)
    return header


def _read(path: Path, with_tensors: bool) -> tuple[Card, dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            card = _card(path, file.metadata() or {})
            return card, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 if with_tensors else {}
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from None
    except SafetensorError as error:
        raise WeightsError(f"{path} is not a whole safetensors file: {error}") from None


def _card(path: Path, header: dict[str, str]) -> Card:
    if header.get("format") != FORMAT:
        raise WeightsError(f"{path} is no SSDiff weights file: its header says format {header.get('format')!r}")
    names = [item.name for item in fields(Card)]
    for name in (*names, "tile"):
        if name not in header:
            raise WeightsError(f"{path}: the header has no {name!r}")
    values = {name: header[name] for name in names}
    try:
        values["scale"] = header["scale"] if header["scale"] in (SCENE, MOMENTS) else float(header["scale"])
        values["arch"] = Config(**json.loads(values["arch"]))
        for name in ("bands", "residual_sigma", "wavelengths_nm"):
            values[name] = tuple(_listed(name, json.loads(values[name])))
        for name in ("ratio", "steps", "ms_phase", "training", "scores"):
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
