"""SSDiff on patches: the two branches of SSNet with convolutions in place of attention.

Squares of ratio x ratio PAN pixels become channels, so that all layers between the first and the last work on MS's
grid: a processor computes them fifty times faster than the published network. As in SSNet, the spatial branch computes
y from PAN and the spectral branch x from MS, FMIM damps the low frequencies of y, and APFM multiplies projections of
both into x. There is no attention, so the network works at any size of an image, and a pixel depends on its
surroundings up to `Config.reach`.

Shapes: B images, C bands, p side of a patch, W channels, (H, W) pixels of an image, (h, w) of MS.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..weights.model_config import Config
from .convolution import added, convolve, multiplied
from .patches import from_patches, to_patches
from .ssnet import SLOPE, time_signal, zeroed


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each pixel of an image (B, W, h, w)."""

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Conv(nn.Conv2d):
    """A convolution that keeps the size of an image, with what follows it (see convolution.convolve)."""

    def forward(self, x: Tensor, **follow) -> Tensor:
        return convolve(x, self.weight, self.bias, **follow)


def depthwise(width: int) -> Conv:
    return Conv(width, width, 3, padding=1, groups=width)


def layer(channels: int, width: int, separable: bool) -> Conv:
    """Returns a layer that mixes channels, and in a network that is not separable also the pixels around each pixel."""
    return Conv(channels, width, 1) if separable else Conv(channels, width, 3, padding=1)


def separate_filter(width: int, separable: bool) -> nn.Module:
    """Returns the filter of each channel beside such a layer, if the network is separable."""
    return depthwise(width) if separable else nn.Identity()


def norm(width: int, bounded: bool) -> nn.Module:
    """Returns the norm of a block's input: none in a network whose gates are bounded."""
    return nn.Identity() if bounded else ChannelNorm(width)


def halves(layer: Conv) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields weight and bias of the first and of the second half of a layer's outputs."""
    return zip(layer.weight.chunk(2), layer.bias.chunk(2))


class Gated(nn.Module):
    """A residual block: two filtered projections of the image, multiplied with each other."""

    def __init__(self, width: int, bounded: bool = False):
        super().__init__()
        self.norm, self.bounded = norm(width, bounded), bounded
        self.widen = Conv(width, 2 * width, 1)
        self.filter = depthwise(2 * width)
        self.out = zeroed(Conv(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Without gradients, x may be overwritten."""
        image = self.norm(x)
        (u_in, gate_in), (u_filter, gate_filter) = halves(self.widen), halves(self.filter)
        u = convolve(convolve(image, *u_in), *u_filter)  # (B, W, h, w)
        u = multiplied(u, convolve(convolve(image, *gate_in), *gate_filter, bounded=self.bounded))
        return self.out(u, onto=x)


class FMIM(Conv):
    """Frequency modulation: a trained filter of each channel that initially damps low frequencies."""

    def __init__(self, width: int, damp: float):
        super().__init__(width, width, 3, padding=1, groups=width, bias=False)
        with torch.no_grad():
            self.weight.fill_((damp - 1) / 9)
            self.weight[:, :, 1, 1] += 1


class APFM(nn.Module):
    """Alternating projection fusion: projections of both branches, multiplied and added to x, then a gated block."""

    def __init__(self, width: int, damp: float, bounded: bool = False):
        super().__init__()
        self.modulate = FMIM(width, damp)
        self.norm, self.sa_norm, self.bounded = norm(width, bounded), norm(width, bounded), bounded
        self.se = nn.Sequential(Conv(width, width, 1), depthwise(width))
        self.sa = Conv(width, width, 1)
        self.out = zeroed(Conv(width, width, 1))
        self.mlp = Gated(width, bounded)

    def forward(self, x: Tensor, y: Tensor, cut: str | None = None) -> Tensor:
        """Without gradients, x may be overwritten."""
        nx, ny = self.norm(x), self.sa_norm(self.modulate(y))  # (B, W, h, w)
        nx = nx.detach() if cut == "spectral" else nx
        ny = ny.detach() if cut == "spatial" else ny
        gate = self.sa(ny, bounded=self.bounded)
        del ny  # images that are held take the place of others in the processor's cache
        u = self.se(nx)
        x = self.out(multiplied(u, gate), onto=x)
        del u, gate
        return self.mlp(x)


class Stem(nn.Module):
    """First layer of a branch: its image, the noisy residual if there is one, and the embedding of the timestep."""

    def __init__(self, channels: int, config: Config):
        super().__init__()
        width, separable = config.widths[0], config.separable
        self.conv_in = layer(channels, width, separable)
        self.noise_in = layer(config.bands * config.patch**2, width, separable)
        self.noise_in.bias = None  # the image's layer has one
        self.filter = separate_filter(width, separable)
        self.time = nn.Linear(4 * config.time_channels, width)

    def forward(self, image: Tensor, x_t: Tensor | None, emb: Tensor) -> Tensor:
        if x_t is None and len(emb) == 1:
            return self.filter(convolve(image, self.conv_in.weight, self.conv_in.bias + self.time(emb)[0]))
        h = self.conv_in(image) + self.time(emb)[:, :, None, None]  # (B, W, h, w)
        return self.filter(h if x_t is None else self.noise_in(x_t, onto=h))


BRANCHES = {
    "spatial": r"spatial_stem\.|res\.|fusion\.\d+\.(modulate|sa_norm|sa)\.",
    "spectral": r"spectral_stem\.|head\.|head_filters\.|fusion\.\d+\.(norm|se|out|mlp)\.",
}
"the parameters that only one branch has (see ssnet.BRANCHES)"


class ConvSSNet(nn.Module):
    """The network; its inputs and output are those of SSNet, at any size of whole MS pixels."""

    BRANCHES = BRANCHES

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        width, square, emb = config.widths[0], config.patch**2, 4 * config.time_channels
        self.embed = nn.Sequential(nn.Linear(config.time_channels, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.spatial_stem = Stem(len(config.seen) * square, config)
        self.spectral_stem = Stem(config.bands * (square + 1), config)
        self.fusion = nn.ModuleList(APFM(width, config.damps[1], config.bounded) for _ in range(config.blocks))
        self.res = nn.ModuleList(Gated(width, config.bounded) for _ in range(config.blocks))
        self.head = nn.Sequential(
            layer(width, width, config.separable),
            nn.LeakyReLU(SLOPE),
            layer(width, config.bands * square, config.separable),
        )
        self.head_filters = nn.ModuleList(separate_filter(width, config.separable) for _ in range(2))
        self.cut: str | None = None

    def predict_zero(self) -> None:
        """Zeroes the last layer, so that the initial residual is zero."""
        zeroed(self.head[2])

    def forward(self, x_t: Tensor | None, t: Tensor, lms: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        """Returns x0 (B, C, H, W) from x_t (None: no noise) and lms (B, C, H, W), t (B,) or (1,), pan (B, guides and
        views, H, W) and ms (B, C, H/r, W/r)."""
        emb = F.silu(self.embed(time_signal(t, self.config.time_channels).to(lms.dtype)))  # (B, 4 * time_channels)
        if x_t is not None:
            x_t = to_patches(x_t, self.config.patch) if self.config.noisy else None
        y = self.spatial_stem(to_patches(pan, self.config.patch), x_t, emb)  # (B, W, h, w)
        ms = ms.contiguous(memory_format=torch.channels_last)  # as patches are: joining is 20 times as fast
        x = self.spectral_stem(torch.cat([to_patches(lms, self.config.patch), ms], dim=1), x_t, emb)
        for fuse, residual in zip(self.fusion, self.res):
            x, y = fuse(x, y, self.cut), residual(y)
        first, _, last = self.head
        before_first, before_last = self.head_filters
        h = first(before_first(added(x, y)), slope=SLOPE)
        return from_patches(last(before_last(h)), self.config.patch)  # (B, C, H, W)
