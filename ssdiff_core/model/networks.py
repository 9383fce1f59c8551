"""Construction of the network of a configuration."""

from __future__ import annotations

from typing import Union

from ..weights.model_config import Config
from .convolutional import ConvSSNet
from .ssnet import SSNet

Network = Union[SSNet, ConvSSNet]


def network(config: Config) -> Network:
    """Returns a new network with this architecture."""
    return ConvSSNet(config) if config.blocks else SSNet(config)
