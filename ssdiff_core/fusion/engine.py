"""The engine of the network: fuses a block on a CPU or GPU.

A block is divided into pieces. Each piece is uploaded to the device, MS is interpolated to PAN's pixels at its true
phase, and the network is applied to the piece: in tiles that are blended, or at once (see layouts). The value of a
pixel depends only on the scene, the weights, the seed and the options of sampling, not on how the scene is divided.
"""

from __future__ import annotations

import copy
import logging
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..classical.parallel import keep_memory, side_by_side
from ..classical.quantise import Quantising
from ..common.errors import BlockError, ConfigError
from ..common.notices import Notify
from ..domain.block import Block
from ..domain.fill import fill_masked
from ..domain.kernels import REACH, reflect
from ..domain.options import SamplingOptions
from ..domain.window import Window
from ..model import devices, diffusion
from ..model.checkpoint import Weights
from ..model.networks import Network
from ..model.noise import normal
from ..model.normalisation import Units, full_scale, units
from ..weights.model_config import Config, T
from . import network_inputs
from .layouts import Canvas, layout_of
from .out_of_memory import ReducedWork, is_out_of_memory

BATCH = {"cpu": 4, "cuda": 128, "mps": 16}
FULL_THREADS = 4
"number of threads up to which each has a piece of the full side; more have smaller ones, to bound the memory"
PIXEL_BYTES = 40
"device memory for each pixel and band of a piece, approximately"
PRECISIONS = ("auto", "float32", "float16", "bfloat16")
HALF_ERROR = 0.5 / 2047
"maximum root mean square error of half precision, as a share of full scale: half a count at 11 bits"

log = logging.getLogger("ssdiff")


@dataclass(frozen=True)
class Tiling:
    """How a block is divided for the network."""

    stride: int | None = None
    "distance between tiles in PAN pixels; None: about three quarters of a tile"
    batch: int | None = None
    "number of tiles computed at a time; None: the default of the device"
    piece: int | None = None
    "side of the pieces of a block, in PAN pixels; None: the default of the device"


DEFAULT_SAMPLING, DEFAULT_TILING = SamplingOptions(), Tiling()


class Engine(Quantising):
    """The network of a weights file as an engine (see docs/architecture.md)."""

    def __init__(
        self,
        weights: Weights,
        sampling: SamplingOptions = DEFAULT_SAMPLING,
        *,
        tiling: Tiling = DEFAULT_TILING,
        precision: str = "auto",
        consensus: bool = False,
        notify: Notify = log.warning,
    ):
        """sampling: device, steps, samples and seed; steps and samples are by default those of the weights' card.

        precision: auto, float32, float16 or bfloat16; auto tries half precision where it is faster, and keeps it if the
        error is small. consensus: average overlapping tiles at every step, not only after the last.
        """
        self.card, self._weights = weights.card, weights
        self.steps = self.card.steps if sampling.steps is None else sampling.steps
        self.samples = self.card.samples if sampling.samples is None else sampling.samples
        self.seed, self.consensus, self.notify = sampling.seed, consensus, notify
        if self.card.arch.blocks:
            keep_memory()
        if not 1 <= self.steps <= T:
            raise ConfigError(f"the number of steps must be from 1 to {T}, not {self.steps}")
        if self.samples < 1:
            raise ConfigError(f"the number of samples must be at least 1, not {self.samples}")
        if precision not in PRECISIONS:
            raise ConfigError(f"unknown precision {precision!r}; the precisions are {', '.join(PRECISIONS)}")
        self._layout = layout_of(self.card, tiling.stride, self._hops)
        self._tiling, self._precision = tiling, precision
        self._use(devices.choose(sampling.device))

    def __repr__(self) -> str:
        return f"Engine({self.card.id}, {self.device}, {self.steps} steps, {self.samples} samples, seed {self.seed})"

    @property
    def batch(self) -> int:
        """Number of tiles computed at a time."""
        return self._work.batch

    @property
    def reach(self) -> int:
        """PAN pixels that block.window must extend beyond block.core, wherever the scene does."""
        return self._inner_reach + self._layout.step - 1

    @property
    def _inner_reach(self) -> int:
        return self._layout.reach + self._layout.fill_margin + self._base_reach

    @property
    def _base_reach(self) -> int:
        name = "mtf-glp-fs" if self.card.arch.guides > 1 else self.card.base  # the second guide blurs PAN too
        return network_inputs.base_reach(name, self.card.ratio, self.card.interpolation)

    @property
    def ms_halo(self) -> int:
        """MS pixels that block.ms must extend beyond the ground of block.window."""
        return 2 * REACH[self.card.interpolation]

    def fuse(self, block: Block, progress: Callable[[float], None] | None = None) -> np.ndarray:
        """Returns the fused core in counts (C, h, w) float32, NaN where PAN or MS is masked.

        progress: receives the share done.
        """
        return self._run(block, 1, progress)[0]

    def fuse_with_spread(self, block: Block, progress: Callable[[float], None] | None = None):
        """Returns mean and standard deviation of the samples in counts, each (C, h, w); 0 for a single sample."""
        mean, std = self._run(block, 2, progress)
        return mean, std

    def _run(self, block: Block, images: int, progress: Callable[[float], None] | None) -> np.ndarray:
        """Returns the mean and, for images = 2, the standard deviation over block.core (images, C, h, w)."""
        self._check(block)
        fused = np.empty((images, self.card.arch.bands, *block.core.shape), np.float32)
        downloads = deque()
        for core, wait in self._pieces(block, images, progress or (lambda share: None)):
            downloads.append((fused[(slice(None), slice(None), *core.within(block.core))], wait))
            if len(downloads) > 1:  # the previous piece is downloaded while this one is computed
                target, wait = downloads.popleft()
                target[:] = wait()
        for target, wait in downloads:
            target[:] = wait()
        return fused

    def _pieces(
        self, block: Block, images: int, progress: Callable[[float], None]
    ) -> Iterator[tuple[Window, Callable]]:
        """Yields the pieces of block.core, each with a function that waits for its pixels, NaN if all are masked.

        Pieces that do not fit in memory are divided further.
        """
        threads = self._threads
        todo, done = self._layout.cover(block.core, self._side(threads), threads), 0
        total = block.core.height * block.core.width

        def attempt(core: Window) -> tuple[bool, Tensor | None]:
            piece = block.crop(core, self._inner_reach, self.ms_halo, self._layout.step)
            if threads > 1:
                return self._attempt(piece, images, lambda share: None)
            size = core.height * core.width
            return self._attempt(piece, images, lambda share: progress((done + share * size) / total))

        while todo:
            count, failed = len(todo) if threads > 1 else 1, []
            run = partial(side_by_side, workers=threads, release=False) if threads > 1 else map
            for core, (fits, result) in zip(todo, run(attempt, todo[:count])):
                if not fits:
                    failed.append(core)
                    continue
                yield core, (lambda: np.nan) if result is None else self._transfers.download(result)
                done += core.height * core.width
                progress(done / total)
            if failed:
                device = self._work.reduce()
                if device != self.device:
                    self._use(device)
            todo = [piece for core in failed for piece in self._layout.cover(core, self._side(threads))] + todo[count:]

    def _attempt(self, block: Block, images: int, report: Callable[[float], None]) -> tuple[bool, Tensor | None]:
        """Returns whether the piece fits in memory, and its images; None if all of it is masked."""
        try:
            with torch.inference_mode():
                return True, self._piece(block, images, report)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        return False, None

    @property
    def _hops(self) -> int:
        """Number of times that a pixel of the result depends on its surroundings through the network.

        Tiles depend on each other only with consensus; a convolutional network sees further at each step.
        """
        return self.steps if self.consensus or self.card.arch.blocks else 1

    def _check(self, block: Block) -> None:
        bands = self.card.arch.bands
        if block.ms.shape[0] != bands:
            raise BlockError(f"MS has {block.ms.shape[0]} bands, weights {self.card.id!r} take {bands}")
        if not self.card.suits(block.ratio):
            raise BlockError(
                f"PAN is {block.ratio:g} times finer than MS, weights {self.card.id!r} are for {self.card.ratio}"
            )
        stats = block.stats
        units(self.card.scale, stats, bands)  # raises BlockError if the statistics are missing
        for view in self.card.arch.views:
            if not network_inputs.has_statistics(block, view, bands):
                raise BlockError(f"weights {self.card.id!r} need statistics for {view}; the block has none")
        fits = network_inputs.has_statistics(block, self.card.base, bands) and np.isfinite(stats.gains).all()
        if self.card.base != "lms" and not (fits and all(0 < mtf < 1 for mtf in stats.mtf)):
            raise BlockError(
                f"weights {self.card.id!r} need gains and MTF for their base {self.card.base}; the block has none"
            )

    # --- devices -------------------------------------------------------------------------------------------------

    def _use(self, device: torch.device) -> None:
        """Copies the network to a device and chooses its precision."""
        self.device, self._transfers = device, devices.transfers(device)
        self._work = ReducedWork(device, self._tiling.batch or BATCH[device.type], self.notify)
        if device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = False  # float32 must stay float32
        self._sigma = torch.tensor(self.card.residual_sigma, device=device)[:, None, None]
        net = copy.deepcopy(self._weights.net).to(device, memory_format=torch.channels_last).eval()
        if self._precision != "auto":
            net = net.to(getattr(torch, self._precision))
        else:
            with torch.inference_mode():
                sigma = self._sigma / full_scale(self.card.scale)
                net = half_if_close(net, sigma, self.steps, half_types(net.config, device))
        self.net, self.dtype = net, next(net.parameters()).dtype

    def _side(self, threads: int) -> int:
        """Returns the side of a piece: less than usual if its images took over an eighth of a GPU's free memory."""
        side = self._tiling.piece or self._layout.pieces[self.device.type]
        if threads > FULL_THREADS and not self._tiling.piece:
            side = max(round(side * math.sqrt(FULL_THREADS / threads)), side // 2)
        free = self._transfers.free_memory()
        if free is not None and not self._tiling.piece:
            fits = math.isqrt(free // 8 // (PIXEL_BYTES * self.card.arch.bands))
            side = min(side, max(self._layout.pieces["cpu"], fits))
        return self._work.side(side)

    # --- one piece -----------------------------------------------------------------------------------------------

    @property
    def _threads(self) -> int:
        """Number of pieces that are computed at a time, each in a thread; 1: one piece, with all threads of torch."""
        return torch.get_num_threads() if self.one_thread_per_block else 1

    @property
    def one_thread_per_block(self) -> bool:
        """Whether several blocks, each with one thread, are computed faster than one with all threads."""
        return self._layout.parallel and self.device.type == "cpu"

    def _piece(self, block: Block, images: int, report: Callable[[float], None]) -> Tensor | None:
        """Returns mean and, for images = 2, standard deviation over block.core in counts; None if all is masked."""
        pan_ok, ms_ok = block.masks()
        ok = pan_ok if ms_ok.all() else pan_ok & block.nearest_on_ms(ms_ok)
        if not ok[block.core.within(block.window)].any():
            return None
        canvas = self._lay_out(block, pan_ok, ms_ok, ok)
        draws = (
            self._sample(canvas, k, lambda share, k=k: report((k + share) / self.samples)) for k in range(self.samples)
        )
        core, scaling = (slice(None), *block.core.within(canvas.window)), self._units(block)
        if images == 1:
            mean = next(draws) if self.samples == 1 else diffusion.mean_and_std(draws)[0]
            fused = torch.addcmul(canvas.base[core], self._sigma, mean[core])[None]
        else:
            mean, std = diffusion.mean_and_std(draws)
            fused = torch.stack([canvas.base[core] + self._sigma * mean[core], self._sigma * std[core]])
        fused *= scaling.ones
        fused[0] += scaling.zeros
        for band, (low, high) in enumerate(block.stats.limits):
            if low == high:  # MS does not vary
                fused[0, band], fused[1:, band] = low, 0
        return fused if canvas.ok is None else torch.where(canvas.ok[core[1:]], fused, torch.nan)

    def _units(self, block: Block) -> Units:
        return units(self.card.scale, block.stats, self.card.arch.bands, self.device)

    def _lay_out(self, block: Block, pan_ok: np.ndarray, ms_ok: np.ndarray, ok: np.ndarray) -> Canvas:
        """Uploads a piece and returns its images, mirrored beyond the scene."""
        window, outer, arch = self._layout.window(block.core, block.window), block.window, self.card.arch
        kernel, scaling = self.card.interpolation, self._units(block)
        pan, ms = (self._transfers.upload(image) for image in self._filled(block, pan_ok, ms_ok))
        part = window.within(outer) if window in outer else network_inputs.WHOLE
        what = network_inputs.Seen(kernel, self.card.base, arch.guides, arch.views)
        seen, base = network_inputs.network_inputs(block, pan[0], ms, scaling, what, part)
        coarse = network_inputs.upsample_to(block, ms, kernel, *self._ms_grid(window, outer))
        ok = ok[part]
        if window not in outer:
            rows, cols = (
                (reflect(np.arange(start, stop), first, end) - first).astype(np.int64)
                for start, stop, first, end in zip(
                    (window.row, window.col), window.stop, (outer.row, outer.col), outer.stop
                )
            )
            ok = ok[np.ix_(rows, cols)]
            rows, cols = devices.upload(rows, self.device)[:, None], devices.upload(cols, self.device)
            seen, base = seen[:, rows, cols], base[:, rows, cols]
        canvas = Canvas(
            window,
            pan=seen,
            base=base,
            ms=scaling.of_ms(coarse),
            ok=None if ok.all() else devices.upload(ok, self.device),
        )
        return self._layout.with_tiles(canvas, block.core, block.window, torch.from_numpy(np.ascontiguousarray(ok)))

    def _filled(self, block: Block, pan_ok: np.ndarray, ms_ok: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns PAN (1, h, w) and MS (C, hm, wm) with masked pixels filled."""
        ms_rounds, margin = REACH[self.card.interpolation], self._layout.fill_margin
        if not margin:
            return fill_masked(block.pan[None], pan_ok, self._base_reach), fill_masked(block.ms, ms_ok, ms_rounds)
        means = block.stats.means or (0.0,) * (len(block.ms) + 1)
        pan = fill_masked(block.pan[None], pan_ok, margin, means[-1:])
        return pan, fill_masked(block.ms, ms_ok, ms_rounds, means[:-1])

    def _ms_grid(self, window: Window, outer: Window) -> Iterator[np.ndarray]:
        """Yields the rows and columns of the MS samples: ms_phase from each tile's corner, mirrored like PAN."""
        for axis in (0, 1):
            start, size = (window.row, window.col)[axis], window.shape[axis]
            at = np.arange(size // self.card.ratio) * self.card.ratio + self.card.ms_phase + start
            yield reflect(at, (outer.row, outer.col)[axis], outer.stop[axis])

    @property
    def _quiet(self) -> bool:
        """Whether the network gets no noise: it was trained for that too, and there is a single sample in one step."""
        return self.card.arch.quiet and self.steps == 1 and self.samples == 1

    def _sample(self, canvas: Canvas, sample: int, report: Callable[[float], None]) -> Tensor:
        """Returns one sample of x0 over canvas.window (C, h, w)."""
        window, last = canvas.window, torch.full((1,), T - 1, device=self.device)
        if self._quiet:
            return self._apply(canvas, None, sample, lambda net, x_t: net(x_t, last), report)
        rows = torch.arange(window.row, window.stop[0], device=self.device)
        cols = torch.arange(window.col, window.stop[1], device=self.device)
        noise = normal(self.seed, rows, cols, self.card.arch.bands, sample)
        if not self.consensus:
            return self._apply(
                canvas, noise, sample, lambda net, x_t: diffusion.ddim_sample(net, x_t, self.steps), report
            )
        steps_done = 0

        def denoise(x_t: Tensor, t: Tensor) -> Tensor:
            nonlocal steps_done
            x0 = self._apply(canvas, x_t, sample, lambda net, part: net(part, t), lambda share: None)
            steps_done += 1
            report(steps_done / self.steps)
            return x0

        return diffusion.ddim_sample(denoise, noise, self.steps)

    def _apply(self, canvas: Canvas, image: Tensor | None, sample: int, sampler, report) -> Tensor:
        """Applies sampler(denoiser, noise) to the canvas by the layout of the network."""
        return self._layout.apply(canvas, image, sample, self._denoise, sampler, self._work.batch, report)

    def _denoise(self, x_t: Tensor | None, t: Tensor, *conditions: Tensor) -> Tensor:
        """Returns the network's x0 as float32, given x_t, t and the images lms, pan and ms."""
        order = torch.contiguous_format if self.card.arch.patch > 1 else torch.channels_last  # patches reorder anyway
        images = [image if image is None else image.to(self.dtype, memory_format=order) for image in (x_t, *conditions)]
        return self.net(images[0], t, *images[1:]).float()


def half_types(config: Config, device: torch.device) -> tuple[torch.dtype, ...]:
    """Returns the types of half precision in which a network may be faster on a device."""
    if device.type == "cuda":
        return torch.float16, torch.bfloat16
    return (torch.bfloat16,) if config.blocks and devices.fast_bfloat16(device) else ()


def half_if_close(net: Network, sigma: Tensor, steps: int, types: Sequence[torch.dtype]) -> Network:
    """Returns the network in the first of these types whose error is below HALF_ERROR, otherwise the network unchanged.

    The error is measured on synthetic tiles, so that the choice does not depend on which block comes first.
    """
    config, device = net.config, sigma.device
    side = min(config.tile, 64) if config.blocks else config.tile  # a convolutional network is not bound to its tile
    lms = synthetic_tiles(config.bands, side, device)
    pan = lms.mean(1, keepdim=True)
    seen = torch.cat([pan.expand(-1, config.guides, -1, -1), *(pan - lms for _ in config.views)], dim=1)
    inputs = [lms, seen, lms[..., :: config.ratio, :: config.ratio]]
    axis = torch.arange(side, device=device)
    x_t = normal(0, axis, axis, config.bands).expand_as(lms)
    for dtype in types:
        half = copy.deepcopy(net).to(dtype)
        for t in diffusion.trailing(min(steps, 4)):
            t = torch.full((1,), t, device=device)
            exact = net(x_t, t, *inputs)
            close = half(x_t.to(dtype), t, *(image.to(dtype) for image in inputs)).float()
            if not (close - exact).mul(sigma).square().mean().sqrt().item() < HALF_ERROR:  # NaN is not close either
                break
        else:
            return half
    return net


def synthetic_tiles(bands: int, side: int, device: torch.device, tiles: int = 4) -> Tensor:
    """Returns tiles (B, C, S, S) with detail at every scale, from 0 to about 1; the same at every call."""
    image = torch.zeros(tiles, bands, side, side, device=device)
    for octave in range(6):
        n = max(side >> octave, 1)
        axis = torch.arange(n, device=device)
        coarse = torch.stack([normal(octave, axis, axis, bands, sample) for sample in range(tiles)])
        image += torch.nn.functional.interpolate(coarse, (side, side), mode="nearest") * 2.0**octave
    return (image / image.std() * 0.15 + 0.4).clamp(0, 1.2)
