"""SSNet, the denoiser of SSDiff (Zhong et al., "SSDiff: Spatial-spectral Integrated Diffusion Model for Remote Sensing
Pansharpening", NeurIPS 2024): a U-shaped network with two branches.

The spectral branch computes x from interpolated MS; the spatial branch computes y from PAN. At each of five levels FMIM
damps the low frequencies of y and amplifies half the channels of x, and APFM projects one onto the other. The output is
computed from x. Attention and FMIM cover the whole tile, so the network works only at the tile side it was trained on.

On patches (Config.patch), squares of pixels are the pixels of all levels, and their pixels are channels.

Shapes: B tiles, C bands, S tile side, W channels of a level, N pixels of a level, D channels of a head.
"""

from __future__ import annotations

import math
import re

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..common.errors import WeightsError
from ..weights.model_config import GROUPS, Config
from .patches import from_patches, to_patches

SLOPE = 0.01  # of every LeakyReLU


def time_signal(t: Tensor, channels: int) -> Tensor:
    half = channels // 2
    frequencies = torch.exp(-math.log(10000) / half * torch.arange(half, device=t.device))
    angles = t[:, None].float() * frequencies  # (B, channels/2)
    return torch.cat([angles.cos(), angles.sin()], dim=1)  # (B, channels)


def to_tokens(image: Tensor) -> Tensor:
    return image.flatten(2).transpose(1, 2)  # (B, W, h, w) -> (B, N, W)


def to_image(tokens: Tensor, side: int) -> Tensor:
    return tokens.transpose(1, 2).unflatten(2, (side, side))  # (B, N, W) -> (B, W, h, w)


def lowest_waves(side: int) -> Tensor:
    """Returns real and imaginary parts of the plane waves with frequency -1 or 0 on each axis (7, N)."""
    r, c = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    phases = [2 * math.pi / side * (u * r + v * c).flatten().double() for u, v in ((1, 0), (0, 1), (1, 1))]
    waves = [torch.ones(side * side).double()] + [f(phase) for phase in phases for f in (torch.cos, torch.sin)]
    return (torch.stack(waves) / side).float()


def damp_lowest(y: Tensor, damp: float, waves: Tensor) -> Tensor:
    """Returns y with the four lowest bins of its spectrum multiplied by damp, without a Fourier transform (FMIM)."""
    waves = waves.to(y.dtype).expand(len(y), -1, -1)  # (B, 7, N)
    return torch.baddbmm(y, waves.transpose(1, 2), waves @ y, alpha=damp - 1)  # (B, N, W)


def averaged(tokens: Tensor, side: int, keys: int) -> Tensor:
    """Returns means of pixels (B, side * side, W) over a grid of keys x keys squares."""
    return to_tokens(F.avg_pool2d(to_image(tokens, side), side // keys)) if 0 < keys < side else tokens


def spatial_projection(y1: Tensor, y2: Tensor, x1: Tensor, head: int) -> Tensor:
    """Returns the spectral features x1, weighted by the attention between pixels of the spatial features, head by head.

    y2 and x1 may be means over squares of pixels: (B, keys * keys, W).
    """
    y1, y2, x1 = (tokens.unflatten(2, (-1, head)).transpose(1, 2) for tokens in (y1, y2, x1))  # (B, heads, N, D)
    return F.scaled_dot_product_attention(y1, y2, x1).transpose(1, 2).flatten(2)  # (B, N, W)


def spectral_projection(x1: Tensor, x2: Tensor, y1: Tensor, head: int, apart: Tensor) -> Tensor:
    """Returns the spatial features y1, weighted by the attention between channels of the spectral features.

    All channels are compared at once; apart (W, W) is minus infinity where two belong to different heads.
    """
    scale = math.sqrt(head) / x1.shape[1]
    attention = torch.baddbmm(apart, x1.transpose(1, 2), x2, alpha=scale)  # (B, W, W)
    return torch.bmm(y1, attention.softmax(-1))  # (B, N, W)


class APFM(nn.Module):
    """Alternating projection fusion: each branch weighted by the other's attention, multiplied, then a small MLP."""

    def __init__(self, width: int, config: Config, side: int):
        super().__init__()
        self.head, self.side, self.keys = config.head, side, config.keys
        of_head = torch.arange(width) // config.head
        apart = torch.where(of_head[:, None] == of_head, 0.0, -torch.inf)
        self.register_buffer("apart", apart, persistent=False)
        self.norm = nn.LayerNorm(width)
        self.sa1 = nn.Linear(width, width, bias=False)
        self.sa2 = nn.Linear(width, width, bias=False)
        self.se1 = nn.Linear(width, width, bias=False)
        self.se2 = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, width // 2), nn.LeakyReLU(SLOPE), nn.Linear(width // 2, width))

    def forward(self, x: Tensor, y: Tensor, cut: str | None = None) -> Tensor:
        nx, ny = self.norm(x), self.norm(y)  # (B, N, W)
        nx = nx.detach() if cut == "spectral" else nx
        ny = ny.detach() if cut == "spatial" else ny
        x1, x2 = self.se1(nx), self.se2(nx)  # (B, N, W)
        y1, y2 = self.sa1(ny), self.sa2(ny)  # (B, N, W)
        fused = spatial_projection(
            y1, averaged(y2, self.side, self.keys), averaged(x1, self.side, self.keys), self.head
        ) * spectral_projection(x1, x2, y1, self.head, self.apart)
        z = x + self.out(fused)  # (B, N, W)
        return z + self.mlp(self.mlp_norm(z))


class Fusion(nn.Module):
    """One level: FMIM filters both branches, and APFM returns the new x. y is not changed."""

    def __init__(self, config: Config, depth: int):
        super().__init__()
        width, self.side, self.damp = config.widths[depth], config.side >> depth, config.damps[depth]
        lifted = torch.arange(width) < width // 2
        self.register_buffer("boost", torch.where(lifted, config.boosts[depth], 1.0), persistent=False)
        self.register_buffer("waves", lowest_waves(self.side), persistent=False)
        self.apfm = APFM(width, config, self.side)

    def forward(self, x: Tensor, y: Tensor, cut: str | None = None) -> Tensor:
        y = damp_lowest(to_tokens(y), self.damp, self.waves)  # (B, N, W)
        x = to_tokens(x) * self.boost.to(x.dtype)  # (B, N, W)
        return to_image(self.apfm(x, y, cut), self.side)  # (B, W, h, w)


class Stem(nn.Module):
    """First layers of a branch: its image and the noisy residual, with the embedding of the timestep."""

    def __init__(self, channels: int, config: Config):
        super().__init__()
        width = config.widths[0]
        self.conv_in = nn.Conv2d(channels, width, 3, padding=1)
        self.time = nn.Linear(4 * config.time_channels, width)
        self.norm = nn.BatchNorm2d(width) if config.stem_norm == "batch" else nn.GroupNorm(GROUPS, width)
        self.drop = nn.Dropout(config.dropout)
        self.conv_out = zeroed(nn.Conv2d(width, width, 3, padding=1))

    def forward(self, image: Tensor, x_t: Tensor, emb: Tensor) -> Tensor:
        h = self.conv_in(torch.cat([image, x_t], dim=1))  # (B, W, S, S)
        h = h + self.time(emb)[:, :, None, None]
        return self.conv_out(self.drop(F.silu(self.norm(h))))


class Residual(nn.Module):
    def __init__(self, width: int, config: Config):
        super().__init__()
        self.conv0 = nn.Conv2d(width, width // 2, 3, padding=1)
        self.conv1 = nn.Conv2d(width // 2, width, 3, padding=1)
        self.time = nn.Linear(4 * config.time_channels, width)
        self.norm = nn.GroupNorm(GROUPS, width)
        self.drop = nn.Dropout(config.dropout)
        self.conv_out = zeroed(nn.Conv2d(width, width, 3, padding=1))

    def forward(self, y: Tensor, emb: Tensor) -> Tensor:
        h = self.conv1(F.leaky_relu(self.conv0(y), SLOPE))  # (B, W, h, w)
        h = h + self.time(emb)[:, :, None, None]
        return y + self.conv_out(self.drop(F.silu(self.norm(h))))


class Down(nn.Sequential):
    def __init__(self, width: int, wider: int):
        super().__init__(
            nn.Conv2d(width, width, 2, stride=2),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(width, wider, 1),
            nn.Conv2d(wider, wider, 3, padding=1, groups=wider),
            nn.LeakyReLU(SLOPE),
        )


class Up(nn.Module):
    def __init__(self, wider: int, width: int):
        super().__init__()
        self.rise = nn.ConvTranspose2d(wider, width, 2, stride=2)
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, deep: Tensor, kept: Tensor) -> Tensor:
        return F.leaky_relu(self.conv(F.leaky_relu(self.rise(deep), SLOPE) + kept), SLOPE)


BRANCHES = {
    "spatial": r"spatial_stem\.|res\.|y_(down|up)\d\.|fusion\.\d\.apfm\.sa[12]\.",
    "spectral": r"spectral_stem\.|skip\.|head\.|fusion\.\d\.apfm\.(se[12]|out|mlp|mlp_norm)\.",
}
"""The parameters that only one branch has. All others (time embedding, down, up, APFM's first norm) belong to both and
are frozen while one branch is trained."""


class SSNet(nn.Module):
    BRANCHES = BRANCHES

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        c, (w0, w1, w2) = config.bands, config.widths
        emb = 4 * config.time_channels
        self.embed = nn.Sequential(nn.Linear(config.time_channels, emb), nn.SiLU(), nn.Linear(emb, emb))
        square, residual = config.patch**2, c * config.patch**2  # pixels, and values, of a patch
        self.skip = nn.Sequential(
            nn.Conv2d(c, c * config.ratio**2, 3, padding=1, bias=False), nn.PixelShuffle(config.ratio // config.patch)
        )
        self.spatial_stem = Stem(len(config.seen) * square + residual, config)
        self.spectral_stem = Stem(2 * residual, config)
        self.fusion = nn.ModuleList(Fusion(config, depth) for depth in config.levels)
        self.res = nn.ModuleList(Residual(config.widths[depth], config) for depth in config.levels[:4])
        self.down0, self.down1 = Down(w0, w1), Down(w1, w2)
        self.up0, self.up1 = Up(w2, w1), Up(w1, w0)
        if not config.shared:  # else the two branches share these four
            self.y_down0, self.y_down1 = Down(w0, w1), Down(w1, w2)
            self.y_up0, self.y_up1 = Up(w2, w1), Up(w1, w0)
        self.head = nn.Sequential(
            nn.Conv2d(w0, w0, 3, padding=1), nn.LeakyReLU(SLOPE), nn.Conv2d(w0, residual, 3, padding=1)
        )
        self.cut: str | None = None

    def forward(self, x_t: Tensor, t: Tensor, lms: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        """Returns x0 (B, C, S, S) from x_t and lms (B, C, S, S), t (B,) or (1,), pan (B, guides and views, S, S) and
        ms (B, C, S/r, S/r)."""
        emb = F.silu(self.embed(time_signal(t, self.config.time_channels).to(lms.dtype)))  # (B, 4 * time_channels)
        x_t = x_t if self.config.noisy and x_t is not None else torch.zeros_like(lms)
        x_t, lms, pan = (to_patches(image, self.config.patch) for image in (x_t, lms, pan))
        y = self.spatial_stem(pan, x_t, emb)  # (B, 32, S, S)
        x = self.spectral_stem(lms, x_t, emb)  # (B, 32, S, S)

        p0 = x = self.fusion[0](x, y, self.cut)
        q0 = y = self.res[0](y, emb)
        x, y = self.down0(x), self._of_y("down0")(y)  # (B, 64, S/2, S/2)
        p1 = x = self.fusion[1](x, y, self.cut)
        q1 = y = self.res[1](y, emb)
        x, y = self.down1(x), self._of_y("down1")(y)  # (B, 128, S/4, S/4)
        x = self.fusion[2](x, y, self.cut)
        y = self.res[2](y, emb)
        x, y = self.up0(x, p1), self._of_y("up0")(y, q1)  # (B, 64, S/2, S/2)
        x = self.fusion[3](x, y, self.cut)
        y = self.res[3](y, emb)
        x, y = self.up1(x, p0), self._of_y("up1")(y, q0)  # (B, 32, S, S)
        x = self.fusion[4](x, y, self.cut)
        return from_patches(self.head(x) + self.skip(ms), self.config.patch)  # (B, C, S, S)

    def predict_zero(self) -> None:
        """Zeroes the last layers, so that the initial residual is zero."""
        zeroed(self.head[2]), zeroed(self.skip[0])

    def _of_y(self, name: str) -> nn.Module:
        return getattr(self, name if self.config.shared else f"y_{name}")


def zeroed(layer: nn.Module) -> nn.Module:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


# --- branch-wise fine-tuning (L-BAF) ---------------------------------------------------------------------------------


def train_branch(net: nn.Module, branch: str | None) -> list[nn.Parameter]:
    """Freezes all parameters but those of one branch, and stops gradients in APFM; None: trains all.

    Returns the parameters to optimise. To be called after net.train(), which would unfreeze the stems' batch norm.
    """
    net.cut = {"spatial": "spectral", "spectral": "spatial", None: None}[branch]
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(branch is None or re.match(net.BRANCHES[branch], name) is not None)
    for name in net.BRANCHES:
        norm = getattr(getattr(net, f"{name}_stem"), "norm", None)
        if norm is not None:
            norm.train(net.training and branch in (None, name))
    return [parameter for parameter in net.parameters() if parameter.requires_grad]


# --- checkpoints under the published names ---------------------------------------------------------------------------

UNUSED = re.compile(r"raise_ms_dim|raise_pan_dim|conv_x_t|.*\.maxpool_conv\.|up\d\.up0\.|.*num_batches_tracked$")

PUBLISHED = [
    (r"upsample\.upsamle\.0\.", "skip.0."),
    (r"to_hrms\.", "head."),
    (r"time_embed\.", "embed."),
    (r"conv_lms2x_t\.", "spectral_stem.conv_in."),
    (r"conv_pan2x_t\.", "spatial_stem.conv_in."),
    (r"(emb|out)_layers_lms\.", r"spectral_stem.\1."),
    (r"(emb|out)_layers_pan\.", r"spatial_stem.\1."),
    (r"resblock(\d)\.(emb|out)_layers\.", r"res.\1.\2."),
    (r"resblock(\d)\.", r"res.\1."),
    (r"(stem|res\.\d)\.emb\.1\.", r"\1.time."),
    (r"(stem|res\.\d)\.out\.0\.", r"\1.norm."),
    (r"(stem|res\.\d)\.out\.3\.", r"\1.conv_out."),
    (r"fusformer(\d)\.layers\.0\.0\.fn\.norm\.", r"fusion.\1.apfm.norm."),
    (r"fusformer(\d)\.layers\.0\.0\.fn\.fn\.to_out\.0\.", r"fusion.\1.apfm.out."),
    (r"fusformer(\d)\.layers\.0\.0\.fn\.fn\.", r"fusion.\1.apfm."),
    (r"fusformer(\d)\.layers\.0\.1\.fn\.norm\.", r"fusion.\1.apfm.mlp_norm."),
    (r"fusformer(\d)\.layers\.0\.1\.fn\.fn\.net\.0\.", r"fusion.\1.apfm.mlp.0."),
    (r"fusformer(\d)\.layers\.0\.1\.fn\.fn\.net\.3\.", r"fusion.\1.apfm.mlp.2."),
    (r"(down\d)\.conv\.", r"\1."),
    (r"(up\d)\.up1\.0\.", r"\1.rise."),
]


def rename_published(name: str) -> str:
    """Returns the name of a tensor here, given its published name."""
    for pattern, new in PUBLISHED:
        name = re.sub(pattern, new, name)
    return name


def from_published(published: dict[str, Tensor]) -> SSNet:
    """Returns the network of a published state dict. Tensors that its forward pass does not use are dropped.

    Raises WeightsError for any other unknown tensor.
    """
    used = {name: tensor for name, tensor in published.items() if not UNUSED.match(name)}
    last = used.get("to_hrms.2.weight")
    if last is None or last.dim() != 4:
        raise WeightsError("not a published SSDiff checkpoint: it has no convolution to_hrms.2.weight")
    net = SSNet(Config(bands=last.shape[0]))
    load_state(net, {rename_published(name): tensor for name, tensor in used.items()})
    return net.eval()


def state_of(net: nn.Module) -> dict[str, Tensor]:
    """Returns the tensors of a weights file: all but the batch counters, which only training reads."""
    return {name: tensor for name, tensor in net.state_dict().items() if not name.endswith("num_batches_tracked")}


def widened(state: dict[str, Tensor], old_config: Config, config: Config) -> dict[str, Tensor]:
    """Returns the state of a network with further inputs, whose weights are 0. old_config: that of the given state."""
    lost = [name for name in old_config.seen if name not in config.seen]
    if lost:
        raise WeightsError(f"training cannot start from weights with inputs that the network lacks: {', '.join(lost)}")
    weight, square = "spatial_stem.conv_in.weight", config.patch**2
    old = state[weight]
    others = old.shape[1] - len(old_config.seen) * square
    new = old.new_zeros(old.shape[0], len(config.seen) * square + others, *old.shape[2:])
    kept = [config.seen.index(name) * square + pixel for name in old_config.seen for pixel in range(square)]
    new[:, [*kept, *range(len(config.seen) * square, new.shape[1])]] = old
    return {**state, weight: new}


def load_state(net: nn.Module, state: dict[str, Tensor]) -> None:
    """Loads the tensors. Raises WeightsError, without changing the network, if any is missing, unknown or invalid."""
    expected = state_of(net)
    faults = [f"tensor {name} is missing" for name in expected if name not in state]
    faults += [f"tensor {name} is left over" for name in state if name not in expected]
    for name in expected.keys() & state.keys():
        expected_shape, shape = tuple(expected[name].shape), tuple(state[name].shape)
        if expected_shape != shape:
            faults.append(f"tensor {name} has shape {shape}, not {expected_shape}")
        elif not torch.isfinite(state[name].float()).all():
            faults.append(f"tensor {name} holds NaN or infinity")
    if faults:
        more = f" (and {len(faults) - 1} more faults)" if len(faults) > 1 else ""
        raise WeightsError(f"weights do not fit the network: {faults[0]}{more}")
    net.load_state_dict({name: tensor.float() for name, tensor in state.items()}, strict=False)
