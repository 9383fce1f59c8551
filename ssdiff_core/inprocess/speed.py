"""Measures the speed of the engine on this machine, and compares it with the published implementation."""

from __future__ import annotations

import statistics
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import __version__
from ..common.notices import Notify, notice
from ..domain.block import Block, SceneStats, whole
from ..domain.options import SamplingOptions
from ..domain.window import Window
from ..fusion.engine import Engine
from ..fusion.network_inputs import fitted
from ..model import devices, ssnet
from ..model.checkpoint import Weights, load
from ..model.ssnet import SSNet
from ..weights.card import Card
from ..weights.catalogue import known
from ..weights.model_config import Config

STEPS = (1, 2, 4, 10)
BANDS = (4, 8)
SCENE_SIDE = {"cpu": 288, "cuda": 6048, "mps": 960}
"side of the measured scene in PAN pixels"
PATCHES_SIDE = {"cpu": 2048, "cuda": 12096, "mps": 4096}
"the same for networks on patches"
WARM_UP_SIDE = {"cpu": 96, "cuda": 1008, "mps": 240}
"side of the scene that is fused for warm-up: large enough for a full batch"
REFERENCE_BATCH = 4
"batch size of the reference implementation, whose matrices take a quarter of a gigabyte per tile"
PUBLISHED_SIDE, PUBLISHED_TILES = 256, 169 + 53
"side of an image and the number of tiles that the published evaluation cuts it into: stride 16, and the border again"


def reference_attention(y1: Tensor, y2: Tensor, x1: Tensor, head: int) -> Tensor:
    """Returns the same as ssnet.spatial_projection, computed with the N x N attention matrix as published."""
    y1, y2, x1 = (tokens.unflatten(2, (-1, head)).transpose(1, 2) for tokens in (y1, y2, x1))  # (B, heads, N, D)
    scores = y1 @ y2.transpose(-1, -2) / head**0.5  # (B, heads, N, N)
    return (scores.softmax(-1) @ x1).transpose(1, 2).flatten(2)  # (B, N, W)


def reference_damping(y: Tensor, damp: float, waves: Tensor) -> Tensor:
    """Returns the same as ssnet.damp_lowest, computed with the Fourier transform as published."""
    side = int(y.shape[1] ** 0.5)
    spectrum = torch.fft.fftshift(torch.fft.fft2(ssnet.to_image(y, side)), dim=(-2, -1))  # (B, W, h, w)
    mask = torch.ones(side, side, device=y.device)
    mask[side // 2 - 1 : side // 2 + 1, side // 2 - 1 : side // 2 + 1] = damp
    return ssnet.to_tokens(torch.fft.ifft2(torch.fft.ifftshift(spectrum * mask, dim=(-2, -1))).real)


@contextmanager
def replaced(**functions):
    """Replaces functions of model.ssnet within this context."""
    originals = {name: getattr(ssnet, name) for name in functions}
    try:
        for name, function in functions.items():
            setattr(ssnet, name, function)
        yield
    finally:
        for name, function in originals.items():
            setattr(ssnet, name, function)


def random_weights(bands: int) -> Weights:
    """Returns random weights, which are as fast as trained ones."""
    torch.manual_seed(0)
    config = Config(bands=bands)
    names = tuple(f"band {i + 1}" for i in range(bands))
    card = Card("bench", "general", names, (0.03,) * bands, config, scale=2047.0, base="mtf-glp-fs")
    return Weights(card, SSNet(config).eval())


def random_scene(bands: int, side: int, ratio: int = 4) -> Block:
    """Returns a scene of random pixels."""
    rng = np.random.default_rng(0)
    pan = rng.integers(100, 1500, (side, side)).astype(np.float32)
    ms = rng.integers(100, 1500, (bands, side // ratio, side // ratio)).astype(np.float32)
    mtf = tuple(0.28 + 0.01 * band for band in range(bands))  # different for each band, as of a real sensor
    return whole(pan, ms, SceneStats(gains=(0.5,) * bands, mtf=mtf))


def run(device: str = "auto", notify: Notify = lambda notice: print(notice, file=sys.stderr)) -> dict:
    """Returns all measurements, for JSON."""
    target = devices.choose(device)
    notify(notice("bench_device", device=str(target), name=devices.describe(str(target))))
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
            values = {name: measured[name] for name in ("bands", "steps", "pixels_per_second")}
            notify(notice("bench_rate", **values))
    result["weights"] = []
    for entry in known():
        if entry.bundled and entry.path:
            result["weights"].append(measured := weights_rate(entry.path, device))
            names = ("weights", "pixels_per_second", "pixels_per_processor_second")
            notify(notice("bench_weights", **{name: measured[name] for name in names}))
    tile = result["forward"] = forward(device)
    notify(notice("bench_tile", **{name: tile[name] for name in ("plain_s", "ours_s", "ratio")}))
    picture = result["image"] = image(device, tile["plain_s"])
    notify(notice("bench_image", **{name: picture[name] for name in ("published_s", "ours_s", "ratio")}))
    result["attention_share"] = attention_share(device)
    notify(notice("bench_attention", share=result["attention_share"]))
    return result


def weights_rate(path: Path, device: str) -> dict:
    """Measures bundled weights with their default options, from host array to host array."""
    weights = load(path)
    engine = Engine(weights, SamplingOptions(device))
    card = weights.card
    side = (PATCHES_SIDE if card.arch.blocks else SCENE_SIDE)[engine.device.type]
    block = random_scene(len(card.bands), side, card.ratio)
    block = fitted(block, block.stats.mtf, card.interpolation, card.arch.views)
    engine.fuse(block.crop(Window(0, 0, side // 2, side // 2), engine.reach, engine.ms_halo))
    start, processor = time.perf_counter(), time.process_time()
    engine.fuse(block)
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    return {
        "weights": card.id,
        "bands": len(card.bands),
        "samples": engine.samples,
        "pixels": block.pan.size,
        "pixels_per_second": round(block.pan.size / seconds),
        "pixels_per_processor_second": round(block.pan.size / processor),
        "precision": str(engine.dtype).removeprefix("torch."),
    }


def rate(device: str, bands: int, steps: int) -> dict:
    """Measures PAN pixels per second through the whole engine, from host array to host array."""
    engine = Engine(random_weights(bands), SamplingOptions(device, steps=steps))
    block = random_scene(bands, SCENE_SIDE[engine.device.type])
    engine.fuse(random_scene(bands, WARM_UP_SIDE[engine.device.type]))
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
    """Measures the seconds per tile of one forward pass, with the published code and in the engine."""
    engine, inputs = engine_and_inputs(device, bands)
    ours = seconds_per_tile(engine.net, inputs(engine.dtype), engine.device)
    net = random_weights(bands).net.to(engine.device)
    with replaced(spatial_projection=reference_attention, damp_lowest=reference_damping):
        small_batch = [i[:REFERENCE_BATCH] for i in inputs(torch.float32)]
        plain = seconds_per_tile(net, small_batch, engine.device)
    return {"bands": bands, "plain_s": plain, "ours_s": ours, "ratio": round(plain / ours, 2)}


def image(device: str, plain_s: float, bands: int = 8) -> dict:
    """Measures the seconds for one image of 256 x 256 pixels at one step.

    plain_s: seconds per tile of the published code, whose time is that of its number of tiles.
    """
    engine = Engine(random_weights(bands), SamplingOptions(device, steps=1))
    block = random_scene(bands, PUBLISHED_SIDE)
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
    """Measures the share of a forward pass that the spatial attention takes."""
    engine, inputs = engine_and_inputs(device, bands)
    whole_pass = seconds_per_tile(engine.net, inputs(engine.dtype), engine.device)
    with replaced(spatial_projection=lambda y1, y2, x1, head: x1):
        rest = seconds_per_tile(engine.net, inputs(engine.dtype), engine.device)
    return round(1 - rest / whole_pass, 3)


def profile(device: str, bands: int = 8) -> str:
    """Returns a table of the operators of a forward pass and their times."""
    engine, inputs = engine_and_inputs(device, bands)
    cuda = engine.device.type == "cuda"
    activities = [torch.profiler.ProfilerActivity.CPU] + [torch.profiler.ProfilerActivity.CUDA] * cuda
    with torch.profiler.profile(activities=activities) as measured, torch.inference_mode():
        engine.net(*inputs(engine.dtype))
    order = f"self_{'cuda' if cuda else 'cpu'}_time_total"
    return measured.key_averages().table(sort_by=order, row_limit=20, max_name_column_width=48)


def engine_and_inputs(device: str, bands: int):
    """Returns an engine that has chosen its precision, and a function that makes a batch of inputs of a dtype."""
    engine = Engine(random_weights(bands), SamplingOptions(device, steps=1))
    engine.fuse(random_scene(bands, 96))
    shapes = [(bands, 64, 64), None, (bands, 64, 64), (1, 64, 64), (bands, 16, 16)]
    generator = torch.Generator().manual_seed(0)
    tensors = [
        torch.full((1,), 999) if shape is None else torch.rand(engine.batch, *shape, generator=generator)
        for shape in shapes
    ]

    def inputs(dtype: torch.dtype) -> list[Tensor]:
        kinds = [
            {"memory_format": torch.channels_last, "dtype": dtype} if tensor.dim() == 4 else {} for tensor in tensors
        ]
        return [tensor.to(engine.device, **kind) for tensor, kind in zip(tensors, kinds)]

    return engine, inputs


def seconds_per_tile(net: SSNet, inputs: list[Tensor], device: torch.device, repeats: int = 5) -> float:
    """Returns the median time of a forward pass, divided by the batch size."""

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
    """Returns the peak resident memory of this process in MiB; None if the system does not report it."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux, ru_maxrss includes the memory of the parent process
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line) // 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20)
