"""Comparison of networks on patches at the same processor time: a table of docs/study.md.

    python scripts/study_patches.py PACK.npz [--teacher WEIGHTS] [--seconds 180] [--samples 24000] [--only NAME ...]
        [--seeds 1 2] [--plot FILE.png]

Each network is trained for the same processor time, on one thread, with the same simulated samples, which are rotated
and mirrored at random. The time does not include the teacher's answers, which are the same for all. The error is the
root mean square error relative to that of the base, mean of twelve simulated scenes of held-out places; the speed is
that of one forward pass over 512 x 512 pixels on one thread.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from study_spread import header, row
from torch import nn

from ssdiff_core.fusion.tiles import ORIENTATIONS, rotate
from ssdiff_core.inprocess import imagery
from ssdiff_core.model import checkpoint, devices, diffusion
from ssdiff_core.model.convolutional import Gated
from ssdiff_core.model.networks import network
from ssdiff_core.model.patches import from_patches, to_patches
from ssdiff_core.model.ssnet import time_signal
from ssdiff_core.training.distillation import Teacher
from ssdiff_core.training.recipe import Recipe, read_recipe
from ssdiff_core.training.samples import concatenated
from ssdiff_core.training.simulated_source import SimulatedSource, simulated_samples
from ssdiff_core.training.trainer import draw_t
from ssdiff_core.weights.model_config import Config, T

RECIPE = Path(__file__).parents[1] / "recipes" / "general-4.toml"
TILE, BATCH, RATIO, BANDS = 64, 16, 4, 4
NOISIEST = 0.85
SEEN = Config(bands=BANDS, guides=2, views=("bt-h",)).seen


class Plain(nn.Module):
    """A network of one branch: all images on patches, and residual or gated blocks."""

    def __init__(self, width: int, blocks: int, gated: bool):
        super().__init__()
        square = RATIO**2
        self.conv_in = nn.Conv2d((len(SEEN) + BANDS) * square + BANDS, width, 3, padding=1)
        self.embed = nn.Linear(128, width)
        self.blocks = nn.ModuleList(Gated(width) if gated else Residual(width) for _ in range(blocks))
        self.conv_out = nn.Conv2d(width, BANDS * square, 3, padding=1)

    def forward(self, x_t, t, lms, pan, ms):
        images = [to_patches(pan, RATIO), to_patches(lms, RATIO), ms]
        h = self.conv_in(torch.cat(images, 1)) + self.embed(time_signal(t, 128).to(lms.dtype))[:, :, None, None]
        for block in self.blocks:
            h = block(h)
        return from_patches(self.conv_out(h), RATIO)

    def predict_zero(self):
        nn.init.zeros_(self.conv_out.weight), nn.init.zeros_(self.conv_out.bias)


class Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv0, self.conv1 = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        nn.init.zeros_(self.conv1.weight), nn.init.zeros_(self.conv1.bias)

    def forward(self, h):
        return h + self.conv1(F.relu(self.conv0(h)))


def ssdiff(width: int, blocks: int, **arch) -> nn.Module:
    on_patches = {"patch": RATIO, "widths": (width,) * 3, "blocks": blocks, "quiet": True}
    on_patches |= {"bounded": True, "separable": True}
    return network(Config(bands=BANDS, guides=2, views=("bt-h",), **on_patches | arch))


def attention() -> nn.Module:
    return network(Config(bands=BANDS, guides=2, views=("bt-h",), patch=RATIO, widths=(64, 96, 128), stem_norm="group"))


class Variant(NamedTuple):
    """A network and how it is trained."""

    make: Callable[[], nn.Module]
    quiet: float
    "share of the training steps without noise"
    rate: float
    "learning rate"
    distilled: float = 0.0
    "share of the target that is the teacher's answer"


VARIANTS = {
    "two branches, width 64, 4 blocks": Variant(lambda: ssdiff(64, 4), 1.0, 2e-3),
    "the same, with noise in every step": Variant(lambda: ssdiff(64, 4), 0.0, 2e-3),
    "the same, target half the teacher's answer": Variant(lambda: ssdiff(64, 4), 1.0, 2e-3, 0.5),
    "the same, target the teacher's answer": Variant(lambda: ssdiff(64, 4), 1.0, 2e-3, 1.0),
    "the same, with layer norms": Variant(lambda: ssdiff(64, 4, bounded=False), 1.0, 2e-3),
    "the same, first and last layers not separable": Variant(lambda: ssdiff(64, 4, separable=False), 1.0, 2e-3),
    "two branches, width 64, 2 blocks": Variant(lambda: ssdiff(64, 2), 1.0, 2e-3),
    "two branches, width 64, 6 blocks": Variant(lambda: ssdiff(64, 6), 1.0, 2e-3),
    "two branches, width 96, 4 blocks": Variant(lambda: ssdiff(96, 4), 1.0, 1e-3),
    "one branch, gated, width 96, 6 blocks": Variant(lambda: Plain(96, 6, True), 1.0, 2e-3),
    "one branch, plain, width 96, 4 blocks": Variant(lambda: Plain(96, 4, False), 1.0, 1e-3),
    "attention, widths 64, 96, 128": Variant(attention, 0.0, 1e-3),
}


def make_samples(pack: Path, recipe: Recipe, count: int, teacher: Path | None) -> tuple[dict, list[dict]]:
    """Returns training samples in half precision, with the teacher's answers, and the samples of held-out scenes."""
    taught = replace(recipe, distilled=1.0)
    teaches = Teacher(checkpoint.load(teacher), taught, torch.device("cpu")) if teacher else None
    source = SimulatedSource(imagery.load([pack]), recipe)
    parts, made, number = [], 0, 0
    while made < count:
        pool = source.pool(0, TILE, number)
        pool["answer"] = teaches.blend(pool)["residual"] if teaches else pool["residual"]
        parts.append({name: value.half() for name, value in pool.items()})
        made, number = made + len(parts[-1]["pan"]), number + 1
    held = []
    for k in range(12):
        samples = simulated_samples(source.held, recipe, TILE, np.random.default_rng([recipe.seed, 2 * 10**6, k]))
        held.append({name: value[:8] for name, value in samples.items()})
    return concatenated(parts), held


def train(net: nn.Module, variant: Variant, seed: int, seconds: float, samples: dict) -> tuple:
    """Trains for this processor time; returns the averaged network, the scale of the residual and the sample count."""
    generator = torch.Generator().manual_seed(seed)
    sigma = float(samples["residual"][:2000].float().std())
    optimiser = torch.optim.AdamW(net.parameters(), lr=variant.rate, weight_decay=1e-4)
    average, step, start = copy.deepcopy(net), 0, time.process_time()
    bf16 = devices.fast_bfloat16(torch.device("cpu"))
    while (share := (time.process_time() - start) / seconds) < 1:
        index = torch.randint(len(samples["pan"]), (BATCH,), generator=generator).sort()[0]
        orientation = ORIENTATIONS[int(torch.randint(len(ORIENTATIONS), (1,), generator=generator))]
        batch = {name: rotate(value[index].float(), orientation) for name, value in samples.items()}
        batch = {name: value.contiguous(memory_format=torch.channels_last) for name, value in batch.items()}
        x0 = torch.lerp(batch["residual"], batch["answer"], variant.distilled) / sigma
        quiet = float(torch.rand(1, generator=generator)) < variant.quiet
        t = draw_t(BATCH, 1.0 if quiet else NOISIEST, generator)
        noise, images = torch.randn(x0.shape, generator=generator), [batch[name] for name in ("lms", "pan", "ms")]

        x_t = None if quiet else diffusion.q_sample(x0.nan_to_num(), t, noise)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            predicted = net(x_t, t, *images).float()
        for group in optimiser.param_groups:
            group["lr"] = (
                variant.rate * min(1, (step + 1) / 100) * (0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * share)))
            )
        loss = diffusion.loss(predicted, x0)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        step += 1
        keep = min(0.9995, step / (step + 19))
        with torch.no_grad():
            for kept, new in zip(average.parameters(), net.parameters()):
                kept.lerp_(new, 1 - keep)
    return average.eval(), sigma, step * BATCH


def error(net: nn.Module, quiet: bool, sigma: float, held: list[dict]) -> float:
    """Returns the error of one step relative to that of the base, mean over the scenes."""
    found = []
    for k, scene in enumerate(held):
        noise = torch.randn(scene["residual"].shape, generator=torch.Generator().manual_seed(k))
        with torch.inference_mode():
            x0 = net(None if quiet else noise, torch.tensor([T - 1]), *(scene[name] for name in ("lms", "pan", "ms")))
        off = (x0 * sigma - scene["residual"]).square().mean() / scene["residual"].square().mean()
        found.append(float(off.sqrt()))
    return float(np.mean(found))


def speed(net: nn.Module, quiet: bool, dtype: torch.dtype) -> float:
    """Returns pixels per second of processor time of a forward pass."""
    net = copy.deepcopy(net).to(dtype, memory_format=torch.channels_last)
    side = 512 if not isinstance(getattr(net, "skip", None), nn.Module) else TILE  # attention is bound to its tile
    count = (512 // side) ** 2
    shapes = [(BANDS, side), (BANDS, side), (len(SEEN), side), (BANDS, side // RATIO)]
    images = [torch.randn(count, c, n, n).to(dtype, memory_format=torch.channels_last) for c, n in shapes]
    times = []
    with torch.inference_mode():
        for _ in range(4):
            start = time.process_time()
            net(None if quiet else images[0], torch.tensor([T - 1]), *images[1:])
            times.append(time.process_time() - start)
    return 512**2 / min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--teacher", type=Path, help="weights whose answers some networks learn")
    parser.add_argument("--seconds", type=float, default=180, help="processor time of each training")
    parser.add_argument("--samples", type=int, default=24000, help="number of simulated samples")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--plot", type=Path, help="PNG file to draw the error against the speed into; needs matplotlib")
    options = parser.parse_args()
    torch.set_num_threads(1)
    recipe = replace(read_recipe(RECIPE.read_text(encoding="utf-8")), guides=2)
    if not options.teacher and any(VARIANTS[name].distilled for name in options.only):
        parser.error("some of these networks need --teacher")
    samples, held = make_samples(options.pack, recipe, options.samples, options.teacher)
    points = []
    header("network", "seed", "parameters", "samples", "error", "pixels/s, float32", "pixels/s, bfloat16")
    for seed in options.seeds:
        for name in options.only:
            variant = VARIANTS[name]
            torch.manual_seed(seed)
            net = variant.make().to(memory_format=torch.channels_last).train()
            net.predict_zero()
            parameters = sum(parameter.numel() for parameter in net.parameters())
            net, sigma, count = train(net, variant, seed, options.seconds, samples)
            quiet = variant.quiet > 0
            speeds = [speed(net, quiet, dtype) for dtype in (torch.float32, torch.bfloat16)]
            points.append((name, error(net, quiet, sigma, held), speeds[1]))
            texts = [f"{each:,.0f}" for each in speeds]
            row(name, seed, f"{parameters:,}", f"{count:,}", f"{points[-1][1]:.4f}", *texts)
    if options.plot:
        plot(points, options.plot)


def plot(points: list[tuple[str, float, float]], path: Path) -> None:
    """Draws the error of each network, the mean and the range of all seeds, against its speed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for name in dict.fromkeys(name for name, *_ in points):
        errors, rates = zip(*((off, rate / 1e6) for each, off, rate in points if each == name))
        middle, rate = np.mean(errors), np.mean(rates)
        axes.errorbar(rate, middle, [[middle - min(errors)], [max(errors) - middle]], fmt="o", capsize=3)
        axes.annotate(name, (rate, middle), xytext=(6, 4), textcoords="offset points", fontsize=8)
    axes.set_xlabel("million PAN pixels per second of processor time, bfloat16")
    axes.set_ylabel("error relative to MTF-GLP-FS")
    axes.set_xlim(0, 1.6 * max(rate for *_, rate in points) / 1e6)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
