"""Weights files: safetensors with a card of strings in the header. Nothing is unpickled.

`load` returns a network that fits its card, or raises WeightsError.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from ..common.errors import SSDiffError, WeightsError
from ..common.files import move
from ..common.fingerprints import sha256_of
from ..common.notices import notice
from ..weights.card import Card, check, header_of, read_card
from .networks import Network, network
from .ssnet import from_published, load_state


@dataclass(frozen=True)
class Weights:
    """A network and the card that describes it."""

    card: Card
    net: Network
    sha256: str = ""


def save(path: str | os.PathLike, state: dict[str, Tensor], card: Card) -> None:
    """Writes a weights file under a temporary name, then renames it, so that no incomplete file has the name."""
    load_state(network(check(card).arch), state)
    path = Path(path)
    data = to_bytes({name: tensor.contiguous().cpu() for name, tensor in state.items()}, header_of(card))
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(partial, 0o644)
        move(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)  # an interrupt may arrive just after the rename
        raise


def load(path: str | os.PathLike) -> Weights:
    """Reads a weights file and checks all of it."""
    card, state = _read(Path(path))
    net = network(card.arch)
    try:
        load_state(net, state)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    return Weights(card, net.eval().requires_grad_(False), sha256_of(path))


def import_published(path: str | os.PathLike, card: Card) -> Weights:
    """Returns the weights of a published .pt checkpoint with this card; arch is derived from the tensors.

    Only tensors are read, never other objects.
    """
    try:
        published = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(notice("cannot_read", path=str(path), reason=error.strerror or str(error))) from None
    except Exception as error:  # torch raises many undocumented types, and its message recommends unsafe loading
        raise WeightsError(f"{path} is not a checkpoint of plain tensors ({type(error).__name__})") from None
    if not isinstance(published, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in published.items()
    ):
        raise WeightsError(f"{path} is not a state dict: only tensors with names are expected")
    try:
        net = from_published(published)
    except SSDiffError as error:
        raise WeightsError(f"{path}: {error}") from None
    return Weights(check(replace(card, arch=net.config)), net)


def _read(path: Path) -> tuple[Card, dict[str, Tensor]]:
    card = read_card(path)
    try:
        with safe_open(path, framework="pt") as file:
            return card, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise WeightsError(notice("cannot_read", path=str(path), reason=error.strerror or str(error))) from None
    except SafetensorError as error:
        raise WeightsError(notice("weights_truncated_reason", path=str(path), reason=str(error))) from None
