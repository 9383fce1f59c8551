"""Architecture of the network and length of its diffusion: what is needed to build it from a weights file."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..common.errors import ConfigError

T = 1000
"number of diffusion steps in training"
GUIDES = ("PAN", "PAN as MS sees it")
VIEWS = ("bt-h",)
"classical fusions that can be inputs of a network besides its base"
NORMS = ("batch", "group")
GROUPS = 32
"number of groups of every group norm"
MAXIMUM_BLOCKS = 64
MAXIMUM_SIZE = 4096
"largest tile, number of channels and head of a network"


@dataclass(frozen=True)
class Config:
    """Architecture of a network."""

    bands: int = 4
    ratio: int = 4
    "PAN pixels per MS pixel, along one axis"
    tile: int = 64
    "side of the tiles in training and inference, in PAN pixels"
    widths: tuple[int, int, int] = (32, 64, 128)
    head: int = 16
    time_channels: int = 128
    boosts: tuple[float, float, float] = (1.2, 1.4, 1.6)
    "FMIM: factor of half the channels of x, for each width"
    damps: tuple[float, float, float] = (0.9, 0.6, 0.3)
    "FMIM: factor of the lowest frequencies of y, for each width"
    dropout: float = 0.0
    keys: int = 0
    "side of the grid of averaged keys in attention; 0, as published: every pixel is a key"
    guides: int = 1
    "number of PAN inputs of the spatial branch: 1: PAN; 2: PAN, and PAN blurred by the MTF of the MS sensor"
    views: tuple[str, ...] = ()
    "further inputs of the spatial branch: the differences of all bands of these fusions from the base"
    noisy: bool = True
    "False: noise is not an input, so that the network is a regressor"
    stem_norm: str = "batch"
    "norm of the first layer of a branch: batch, as published, or group"
    shared: bool = True
    "whether both branches share their down- and upsampling layers, as published"
    patch: int = 1
    "side of the squares of PAN pixels that the network treats as one pixel: 1, as published, or the ratio"
    blocks: int = 0
    "number of blocks of a convolutional network of widths[0] channels; 0, as published: a U-shape with attention"
    quiet: bool = False
    "whether the network is also trained without noise at the noisiest step, so that a single sample needs none"
    bounded: bool = False
    "whether the blocks of a convolutional network have gates between -1 and 1 in place of layer norms"
    separable: bool = False
    "whether the first and last layers of a convolutional network mix channels and neighbours one after the other"

    def __post_init__(self):
        for name in ("widths", "boosts", "damps", "views"):  # lists when read from JSON
            object.__setattr__(self, name, tuple(getattr(self, name)))
        wholes = (self.bands, self.ratio, self.tile, self.head, self.time_channels, self.guides, *self.widths)
        if not all(type(n) is int and 0 < n <= MAXIMUM_SIZE for n in wholes):
            raise ConfigError(
                "bands, ratio, tile, head, time_channels, guides and widths must be positive whole numbers, at most "
                f"{MAXIMUM_SIZE}, in {self}"
            )
        if self.patch not in (1, self.ratio) or self.tile % (4 * self.patch):
            raise ConfigError(
                f"patch is {self.patch}; it must be 1 or the ratio, {self.ratio}, "
                f"and the tile, {self.tile}, a multiple of 4 patches"
            )
        if not (type(self.keys) is int and (self.keys == 0 or (self.keys > 0 and self.side // 4 % self.keys == 0))):
            raise ConfigError(f"keys is {self.keys}; it must be 0 or a divisor of a quarter of the tile")
        if self.guides > len(GUIDES):
            raise ConfigError(f"guides is {self.guides}; it must be at most {len(GUIDES)}")
        if any(view not in VIEWS or self.views.count(view) > 1 for view in self.views):
            raise ConfigError(f"views are {self.views}; each of these may occur once: {', '.join(VIEWS)}")
        flags = (self.noisy, self.shared, self.quiet, self.bounded, self.separable)
        if self.stem_norm not in NORMS or not all(type(flag) is bool for flag in flags):
            raise ConfigError(
                f"{self}: stem_norm must be one of {', '.join(NORMS)}; noisy, shared, quiet, bounded and separable "
                "must be true or false"
            )
        if not 1 <= self.bands <= 16:
            raise ConfigError(f"bands is {self.bands}; it must be 1 to 16")
        if self.ratio not in (2, 4):
            raise ConfigError(f"ratio is {self.ratio}; it must be 2 or 4")
        if self.tile % 4:
            raise ConfigError(f"tile is {self.tile}; it must be a multiple of 4, because it is halved twice")
        if len(self.widths) != 3 or any(width % self.head or width % GROUPS for width in self.widths):
            raise ConfigError(
                f"widths are {self.widths}; they must be three multiples of {GROUPS} and of head, {self.head}"
            )
        if not (type(self.blocks) is int and 0 <= self.blocks <= MAXIMUM_BLOCKS) or (self.blocks and self.patch == 1):
            raise ConfigError(
                f"blocks is {self.blocks}; it must be 0 to {MAXIMUM_BLOCKS}, and 0 unless the network works on patches"
            )
        if self.time_channels % 2:
            raise ConfigError(f"time_channels is {self.time_channels}; it must be even")
        factors = (*self.boosts, *self.damps, self.dropout)
        if len(factors) != 7 or not all(isinstance(f, (int, float)) and math.isfinite(f) for f in factors):
            raise ConfigError(f"{self}: boosts and damps must be three numbers each, and dropout one number")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}; it must be at least 0 and less than 1")

    @property
    def seen(self) -> tuple[str, ...]:
        "Description of each input channel of the spatial branch besides the noisy residual."
        bands = range(1, self.bands + 1)
        return (*GUIDES[: self.guides], *(f"band {band} of {view}" for view in self.views for band in bands))

    @property
    def side(self) -> int:
        "Side of a tile in patches."
        return self.tile // self.patch

    @property
    def reach(self) -> int:
        "PAN pixels around a pixel that the output of a convolutional network depends on."
        return (2 * self.blocks + 3) * self.patch

    @property
    def levels(self) -> tuple[int, ...]:
        "Depth of each fusion level: 0 at the full tile side, 2 at a quarter of it."
        return (0, 1, 2, 1, 0)
