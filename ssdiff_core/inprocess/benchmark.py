"""How fast the engine is on this machine, and against the path the published code takes, measured in one run."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import __version__
from ..domain.block import Block, SceneStats, whole
from ..fusion.engine import Engine
from ..model import devices, ssnet
from ..model.checkpoint import Weights
from ..model.ssnet import SSNet
from ..weights.card import Card
from ..weights.model_config import Config

STEPS = (1, 2, 4, 10)
BANDS = (4, 8)
SIDE = {"cpu": 288, "cuda": 6048, "mps": 960}
"of the scene whose rate is measured, in PAN pixels"
WARM = {"cpu": 96, "cuda": 1008, "mps": 240}
"of the scene that goes before: enough for a full batch"
PLAIN_BATCH = 4
"tiles at once on the plain path, whose matrices take a quarter of a gigabyte each"
PUBLISHED_SIDE, PUBLISHED_TILES = 256, 169 + 53
"the published evaluation cuts an image of 256 x 256 into this many tiles: stride 16, and the border strips once more"


def plain_attention(y1: Tensor, y2: Tensor, x1: Tensor, head: int) -> Tensor:
    """What network.spatial_projection answers, by way of the N x N matrix."""
    y1, y2, x1 = (tokens.unflatten(2, (-1, head)).transpose(1, 2) for tokens in (y1, y2, x1))  # (B, heads, N, D)
    likeness = y1 @ y2.transpose(-1, -2) / head**0.5  # (B, heads, N, N)
    return (likeness.softmax(-1) @ x1).transpose(1, 2).flatten(2)  # (B, N, W)


def plain_damping(y: Tensor, damp: float, waves: Tensor) -> Tensor:
    """What network.damp_lowest answers, by way of the spectrum."""
    side = int(y.shape[1] ** 0.5)
    spectrum = torch.fft.fftshift(torch.fft.fft2(ssnet.to_image(y, side)), dim=(-2, -1))  # (B, W, h, w)
    mask = torch.ones(side, side, device=y.device)
    mask[side // 2 - 1 : side // 2 + 1, side // 2 - 1 : side // 2 + 1] = damp
    return ssnet.to_tokens(torch.fft.ifft2(torch.fft.ifftshift(spectrum * mask, dim=(-2, -1))).real)


@contextmanager
def replaced(**functions):
    """Other functions in the place of the network's own, for a while."""
    own = {name: getattr(ssnet, name) for name in functions}
    try:
        for name, function in functions.items():
            setattr(ssnet, name, function)
        yield
    finally:
        for name, function in own.items():
            setattr(ssnet, name, function)


def made_up_weights(bands: int) -> Weights:
    """A network with random tensors: as fast as a trained one."""
    torch.manual_seed(0)
    config = Config(bands=bands)
    names = tuple(f"band {i + 1}" for i in range(bands))
    card = Card("bench", "general", names, (0.03,) * bands, config, scale=2047.0, base="mtf-glp-fs")
    return Weights(card, SSNet(config).eval())


def made_up_scene(bands: int, side: int) -> Block:
    rng = np.random.default_rng(0)
    pan = rng.integers(100, 1500, (side, side)).astype(np.float32)
    ms = rng.integers(100, 1500, (bands, side // 4, side // 4)).astype(np.float32)
    mtf = tuple(0.28 + 0.01 * band for band in range(bands))  # like a real sensor, each band has its own
    return whole(pan, ms, SceneStats(gains=(0.5,) * bands, mtf=mtf))


def run(device: str = "auto", notify: Callable[[str], None] = lambda line: print(line, file=sys.stderr)) -> dict:
    """All figures, as one dictionary for JSON."""
    target = devices.choose(device)
    notify(f"measuring on {target} ({devices.describe(str(target))}); on a CPU this takes minutes")
    result = {
        "version": __version__,
        "torch": torch.__version__,
        "device": str(target),
        "name": devices.describe(str(target)),
        "rates": [],
    }
    for bands in BANDS:
        for steps in STEPS:
            measured = rate(device, bands, steps)
            result["rates"].append(measured)
            notify(f"{bands} bands, {steps:2} steps: {measured['pixels_per_second']:,} PAN pixels a second")
    tile = result["forward"] = forward(device)
    notify(f"one tile: {tile['plain_s']:.4f} s plain, {tile['ours_s']:.4f} s here, {tile['ratio']:.1f} times faster")
    picture = result["image"] = image(device, tile["plain_s"])
    notify(
        f"an image of 256 x 256: {picture['published_s']:.2f} s as published, {picture['ours_s']:.3f} s here, "
        f"{picture['ratio']:.0f} times faster"
    )
    result["attention_share"] = attention_share(device)
    notify(f"attention takes {result['attention_share']:.0%} of a forward pass")
    return result


def rate(device: str, bands: int, steps: int) -> dict:
    """PAN pixels a second through the whole engine, from host array to host array."""
    engine = Engine(made_up_weights(bands), device, steps=steps)
    block = made_up_scene(bands, SIDE[engine.device.type])
    engine.fuse(made_up_scene(bands, WARM[engine.device.type]))
    cuda = engine.device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(engine.device)
    start = time.perf_counter()
    engine.fuse(block)
    seconds = time.perf_counter() - start
    pixels = block.pan.size
    return {
        "bands": bands,
        "steps": steps,
        "pixels": pixels,
        "seconds": round(seconds, 3),
        "pixels_per_second": round(pixels / seconds),
        "precision": str(engine.dtype).removeprefix("torch."),
        "batch": engine.batch,
        "peak_memory_mb": round(torch.cuda.max_memory_allocated(engine.device) / 2**20) if cuda else peak_rss_mb(),
    }


def forward(device: str, bands: int = 8) -> dict:
    """Seconds a tile for one forward pass, plain and as the engine does it."""
    engine, inputs = warm_engine(device, bands)
    ours = seconds_a_tile(engine.net, inputs(engine.dtype), engine.device)
    net = made_up_weights(bands).net.to(engine.device)
    with replaced(spatial_projection=plain_attention, damp_lowest=plain_damping):
        few = [i[:PLAIN_BATCH] for i in inputs(torch.float32)]
        plain = seconds_a_tile(net, few, engine.device)
    return {"bands": bands, "plain_s": plain, "ours_s": ours, "ratio": round(plain / ours, 2)}


def image(device: str, plain_s: float, bands: int = 8) -> dict:
    """Seconds for one 256 x 256 image at one step: the published tiling over the plain path, and the engine whole."""
    engine = Engine(made_up_weights(bands), device, steps=1)
    block = made_up_scene(bands, PUBLISHED_SIDE)
    engine.fuse(block)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        engine.fuse(block)
        times.append(time.perf_counter() - start)
    ours, published = statistics.median(times), PUBLISHED_TILES * plain_s
    return {
        "bands": bands,
        "published_tiles": PUBLISHED_TILES,
        "published_s": published,
        "ours_s": ours,
        "ratio": round(published / ours, 1),
    }


def attention_share(device: str, bands: int = 8) -> float:
    """Share of a forward pass that goes when the spatial attention is left out."""
    engine, inputs = warm_engine(device, bands)
    whole_pass = seconds_a_tile(engine.net, inputs(engine.dtype), engine.device)
    with replaced(spatial_projection=lambda y1, y2, x1, head: x1):
        rest = seconds_a_tile(engine.net, inputs(engine.dtype), engine.device)
    return round(1 - rest / whole_pass, 3)


def profile(device: str, bands: int = 8) -> str:
    """The operators that a forward pass spends its time in, as a table."""
    engine, inputs = warm_engine(device, bands)
    cuda = engine.device.type == "cuda"
    activities = [torch.profiler.ProfilerActivity.CPU] + [torch.profiler.ProfilerActivity.CUDA] * cuda
    with torch.profiler.profile(activities=activities) as measured, torch.inference_mode():
        engine.net(*inputs(engine.dtype))
    order = f"self_{'cuda' if cuda else 'cpu'}_time_total"
    return measured.key_averages().table(sort_by=order, row_limit=20, max_name_column_width=48)


def warm_engine(device: str, bands: int):
    """An engine that has settled its precision, and a maker of one batch of inputs for its network."""
    engine = Engine(made_up_weights(bands), device, steps=1)
    engine.fuse(made_up_scene(bands, 96))
    shapes = [(bands, 64, 64), None, (bands, 64, 64), (1, 64, 64), (bands, 16, 16)]
    generator = torch.Generator().manual_seed(0)
    made = [
        torch.full((1,), 999) if shape is None else torch.rand(engine.batch, *shape, generator=generator)
        for shape in shapes
    ]

    def inputs(dtype: torch.dtype) -> list[Tensor]:
        kinds = [{"memory_format": torch.channels_last, "dtype": dtype} if tensor.dim() == 4 else {} for tensor in made]
        return [tensor.to(engine.device, **kind) for tensor, kind in zip(made, kinds)]

    return engine, inputs


def seconds_a_tile(net: SSNet, inputs: list[Tensor], device: torch.device, repeats: int = 5) -> float:
    def once() -> float:
        start = time.perf_counter()
        net(*inputs)
        if device.type != "cpu":
            torch.cuda.synchronize(device) if device.type == "cuda" else torch.mps.synchronize()
        return time.perf_counter() - start

    with torch.inference_mode():
        once()
        return statistics.median(once() for _ in range(repeats)) / len(inputs[0])


def peak_rss_mb() -> int | None:
    """The most memory this process has held, in MiB; None where the system does not say."""
    status = Path("/proc/self/status")
    if status.exists():  # what Linux tells elsewhere begins with what the process that started this one held
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line) // 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20)
