"""SSDiff on a block: arrays in, arrays out, on whatever device there is.

A block goes through in pieces of whole cells. A piece is brought to the device, MS is taken to PAN at its true phase,
tiles are cut, sampled in batches and blended. What a pixel becomes depends on scene, weights and seed alone.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from . import classical, devices, diffusion
from .blocks import Block
from .errors import BlockError, ConfigError, DeviceError
from .masks import fill_nearest, spread_valid
from .network import SSNet
from .noise import normal
from .resample import REACH, reflect
from .tiles import Cells, Grid, Window, blend, split
from .weights import Weights

BATCH = {"cpu": 4, "cuda": 128, "mps": 16}
PIECE = {"cpu": 480, "cuda": 2016, "mps": 960}
"side, in PAN pixels, of what is in work at once"
HALF_ERROR = 0.5 / 2047
"the most that half precision may cost, root mean square, where 1 is full scale: half a count at 11 bits"

log = logging.getLogger("ssdiff")


@dataclass(frozen=True)
class Canvas:
    """A piece on the device, laid out over the tiles that touch it. Image units: counts / scale."""

    cells: Cells
    live: Tensor
    "(n, 2) rows and columns of the tiles that hold a valid pixel"
    pan: Tensor
    "(1, h, w)"
    base: Tensor
    "(C, h, w)"
    ms: Tensor
    "(C, h / ratio, w / ratio)"
    ok: Tensor | None
    "(h, w), None where all is valid"


class Engine:
    def __init__(
        self,
        weights: Weights,
        device: str = "auto",
        *,
        steps: int | None = None,
        samples: int = 1,
        seed: int = 0,
        stride: int | None = None,
        batch: int | None = None,
        piece: int | None = None,
        precision: str = "auto",
        consensus: bool = False,
        say: Callable[[str], None] = log.warning,
    ):
        """steps: None for what the weights were made for. stride: None for three quarters of a tile.

        precision: auto, float32, float16 or bfloat16; auto tries half on CUDA and keeps it where the error is small.
        consensus: overlapping tiles agree on x0 at every step, not only at the end.
        """
        self.card, self._weights = weights.card, weights
        self.steps = self.card.steps if steps is None else steps
        self.samples, self.seed, self.consensus, self.say = samples, seed, consensus, say
        if not 1 <= self.steps <= diffusion.T:
            raise ConfigError(f"{self.steps} steps were asked for; 1 to {diffusion.T} make sense")
        if samples < 1:
            raise ConfigError(f"{samples} samples were asked for; 1 or more are needed")
        if precision not in ("auto", "float32", "float16", "bfloat16"):
            raise ConfigError(f"precision {precision!r} is none of auto, float32, float16, bfloat16")
        self.grid = _grid(self.card.tile, stride, self.card.ratio)
        self.batch, self.piece = batch, piece
        self._precision = precision
        self._use(devices.choose(device))

    def __repr__(self) -> str:
        return f"Engine({self.card.id}, {self.device}, {self.steps} steps, {self.samples} samples, seed {self.seed})"

    @property
    def reach(self) -> int:
        """How far, in PAN pixels, block.window must go beyond block.core wherever the scene does."""
        kernel = REACH[self.card.interpolation]
        return self.grid.reach(self._hops) + classical.base_reach(self.card.base, self.card.ratio, kernel)

    @property
    def ms_halo(self) -> int:
        """How far, in MS pixels, block.ms must go beyond the ground of block.window."""
        return 2 * REACH[self.card.interpolation]

    def fuse(self, block: Block, progress: Callable[[float], None] | None = None) -> np.ndarray:
        """The fused core, in counts (C, h, w) float32; NaN where PAN or MS is masked. progress hears the share done."""
        return self.fuse_with_spread(block, progress)[0]

    def fuse_with_spread(self, block: Block, progress: Callable[[float], None] | None = None):
        """Mean and standard deviation of the samples, in counts, each (C, h, w). One sample spreads by 0."""
        self._check(block)
        answer = np.full((2, self.card.arch.bands, *block.core.shape), np.nan, np.float32)
        side = self.piece or PIECE[self.device.type]
        cores = self.grid.cover(block.core, side)
        report = progress or (lambda share: None)
        landings = []
        for i, core in enumerate(cores):
            piece = block.crop(core, self.reach, self.ms_halo)
            result = self._try_piece(piece, lambda share, i=i: report((i + share) / len(cores)))
            if result is not None:
                landings.append((core, self._download(result)))
            while len(landings) > 1 or (landings and core is cores[-1]):  # one piece lands while the next is computed
                done, wait = landings.pop(0)
                answer[(slice(None), slice(None), *done.within(block.core))] = wait()
            report((i + 1) / len(cores))
        return answer[0], answer[1]

    @property
    def _hops(self) -> int:
        """With consensus, each step hears of the tiles around those it heard of before."""
        return self.steps if self.consensus else 1

    def _check(self, block: Block) -> None:
        bands = self.card.arch.bands
        if block.ms.shape[0] != bands:
            raise BlockError(f"MS has {block.ms.shape[0]} bands, weights {self.card.id!r} take {bands}")
        if self.card.scale is None and not block.stats.scale:
            raise BlockError(f"weights {self.card.id!r} need the scene's scale, and the block brings none")
        if self.card.base != "lms" and not len(block.stats.gains) == len(block.stats.mtf) == bands:
            raise BlockError(f"weights {self.card.id!r} stand on {self.card.base}; the block brings no gains for it")

    # --- devices -------------------------------------------------------------------------------------------------

    def _use(self, device: torch.device) -> None:
        self.device = device
        self.net = copy.deepcopy(self._weights.net).to(device, memory_format=torch.channels_last).eval()
        self.dtype = None if self._precision == "auto" and device.type == "cuda" else torch.float32
        if self._precision not in ("auto", "float32"):
            self.dtype = getattr(torch, self._precision)
            self.net = self.net.to(self.dtype)
        if self.batch is None:
            self.batch = BATCH[device.type]
        self._sigma = torch.tensor(self.card.residual_sigma, device=device)[:, None, None]
        if device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = False  # float32 shall be float32
            self._upstream, self._downstream = torch.cuda.Stream(device), torch.cuda.Stream(device)

    def _try_piece(self, block: Block, report: Callable[[float], None]) -> Tensor | None:
        while True:
            try:
                with torch.inference_mode():
                    return self._piece(block, report)
            except Exception as error:
                if not devices.is_out_of_memory(error):
                    raise
            self._make_do()

    def _make_do(self) -> None:
        """After running out of memory: half the batch, and from one tile at a time to the CPU. It stays so."""
        devices.release(self.device)
        if self.batch > 1:
            self.batch //= 2
            self._say_once(f"{self.device} is short of memory: computing fewer tiles at a time")
        elif self.device.type != "cpu":
            self.say(f"{self.device} has too little memory for one tile: computing on the CPU")
            self.batch = None
            self._use(torch.device("cpu"))
        else:
            raise DeviceError("out of memory: not even one tile at a time can be computed on the CPU")

    def _say_once(self, sentence: str) -> None:
        if sentence != getattr(self, "_said", None):
            self._said = sentence
            self.say(sentence)

    def _upload(self, image: np.ndarray) -> Tensor:
        """An image on the device as float32; on CUDA while the piece before is still being computed."""
        image = np.asarray(image, np.float32)
        if self.device.type != "cuda":
            return devices.upload(image, self.device)
        with torch.cuda.stream(self._upstream):
            there = devices.upload(image, self.device)
        torch.cuda.current_stream(self.device).wait_stream(self._upstream)
        there.record_stream(torch.cuda.current_stream(self.device))
        return there

    def _download(self, tensor: Tensor) -> Callable[[], np.ndarray]:
        """Starts the way back to the host; what it answers waits for the arrival."""
        if self.device.type != "cuda":
            return lambda: tensor.cpu().numpy()
        self._downstream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._downstream):
            host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            host.copy_(tensor, non_blocking=True)
            tensor.record_stream(self._downstream)
            arrived = self._downstream.record_event()
        return lambda: (arrived.synchronize(), host.numpy())[1]

    # --- one piece -----------------------------------------------------------------------------------------------

    def _piece(self, block: Block, report: Callable[[float], None]) -> Tensor | None:
        """Mean and spread of the samples over block.core, in counts (2, C, h, w); None if all of it is masked."""
        pan_ok, ms_ok = block.masks()
        ok = pan_ok & block.nearest_on_ms(ms_ok)
        if not ok[block.core.within(block.window)].any():
            return None
        canvas = self._lay_out(block, pan_ok, ms_ok, ok)
        mean, std = diffusion.mean_and_std(
            self._sample(canvas, k, lambda share, k=k: report((k + share) / self.samples)) for k in range(self.samples)
        )
        scale = self.card.scale or block.stats.scale
        sigma = self._sigma
        here = (slice(None), *block.core.within(canvas.cells.window))
        answer = torch.stack([canvas.base[here] + sigma * mean[here], sigma * std[here]]) * scale
        return answer if canvas.ok is None else torch.where(canvas.ok[here[1:]], answer, torch.nan)

    def _lay_out(self, block: Block, pan_ok: np.ndarray, ms_ok: np.ndarray, ok: np.ndarray) -> Canvas:
        core = block.core.grow(self.grid.reach(self._hops - 1))
        cells = self.grid.touching(core & block.window, block.window)
        pan, ms = self._upload(block.pan), self._upload(block.ms)
        if not ms_ok.all():
            ms = spread_valid(ms, devices.upload(ms_ok, self.device), REACH[self.card.interpolation])
        if not pan_ok.all():
            rounds = classical.base_reach(self.card.base, self.card.ratio, REACH[self.card.interpolation])
            pan = spread_valid(pan[None], devices.upload(pan_ok, self.device), rounds)[0]
        lms = classical.upsample(block, ms, self.card.interpolation)
        base = classical.base(self.card.base, block, pan, lms, self.card.interpolation)

        window, outer = cells.window, block.window
        rows = reflect(np.arange(window.row, window.stop[0]), outer.row, outer.stop[0])
        cols = reflect(np.arange(window.col, window.stop[1]), outer.col, outer.stop[1])
        r, c = (rows - outer.row).astype(np.int64), (cols - outer.col).astype(np.int64)
        there = devices.upload(r, self.device)[:, None], devices.upload(c, self.device)
        ok = ok[np.ix_(r, c)]
        live = split(torch.from_numpy(ok)[None], cells).flatten(2).any(2).nonzero()
        scale = self.card.scale or block.stats.scale
        return Canvas(
            cells=cells,
            live=devices.upload(live.numpy(), self.device),
            pan=(pan[there] / scale)[None],
            base=base[:, there[0], there[1]] / scale,
            ms=classical.upsample(block, ms, self.card.interpolation, *self._ms_grid(window, outer)) / scale,
            ok=None if ok.all() else devices.upload(ok, self.device),
        )

    def _ms_grid(self, window: Window, outer: Window) -> Iterator[np.ndarray]:
        """Rows and columns where the network wants MS samples: ms_phase from each tile's corner, mirrored like PAN."""
        for axis in (0, 1):
            start, size = (window.row, window.col)[axis], window.shape[axis]
            at = np.arange(size // self.card.ratio) * self.card.ratio + self.card.ms_phase + start
            yield reflect(at, (outer.row, outer.col)[axis], outer.stop[axis])

    def _sample(self, canvas: Canvas, sample: int, report: Callable[[float], None]) -> Tensor:
        """One draw of x0 over canvas.cells.window (C, h, w)."""
        window = canvas.cells.window
        rows = torch.arange(window.row, window.stop[0], device=self.device)
        cols = torch.arange(window.col, window.stop[1], device=self.device)
        noise = normal(self.seed, rows, cols, self.card.arch.bands, sample)
        if not self.consensus:
            return self._in_tiles(canvas, noise, lambda net, x_t: diffusion.ddim_sample(net, x_t, self.steps), report)
        heard = [0]

        def denoise(x_t: Tensor, t: Tensor) -> Tensor:
            x0 = self._in_tiles(canvas, x_t, lambda net, part: net(part, t), lambda share: None)
            heard[0] += 1
            report(heard[0] / self.steps)
            return x0

        return diffusion.ddim_sample(denoise, noise, self.steps)

    def _in_tiles(self, canvas: Canvas, image: Tensor, sampler, report: Callable[[float], None]) -> Tensor:
        """Cuts image (C, h, w) into tiles, passes the live ones through sampler(denoiser, tiles), and blends."""
        cells, tiles = canvas.cells, split(image, canvas.cells)
        answer = torch.zeros(tiles.shape, device=self.device)
        done = 0
        while done < len(canvas.live):
            r, c = canvas.live[done : done + self.batch].unbind(1)
            answer[r, c] = sampler(self._denoiser(canvas, r, c), tiles[r, c])
            done += len(r)
            report(done / len(canvas.live))
        return blend(answer, cells)

    def _denoiser(self, canvas: Canvas, r: Tensor, c: Tensor) -> diffusion.Denoiser:
        """The network on the tiles at rows r and columns c of the canvas."""
        pan, lms, ms = (split(image, canvas.cells)[r, c] for image in (canvas.pan, canvas.base, canvas.ms))
        if canvas.ok is not None:
            ok = split(canvas.ok[None], canvas.cells)[r, c, 0]
            pan, lms = fill_nearest(pan, ok), fill_nearest(lms, ok)
            coarse = ok.unflatten(1, (-1, self.card.ratio)).unflatten(3, (-1, self.card.ratio)).amax((2, 4))
            ms = fill_nearest(ms, coarse)
        if self.dtype is None:
            self._settle_precision(pan, lms, ms)
        cond = [image.to(self.dtype, memory_format=torch.channels_last) for image in (lms, pan, ms)]

        def denoise(x_t: Tensor, t: Tensor) -> Tensor:
            return self.net(x_t.to(self.dtype, memory_format=torch.channels_last), t, *cond).float()

        return denoise

    def _settle_precision(self, pan: Tensor, lms: Tensor, ms: Tensor) -> None:
        """Half precision if, on these first tiles, its error stays under half a count at 11 bits; else single."""
        t = torch.full((1,), diffusion.T - 1, device=self.device)
        x_t = normal(self.seed, *(torch.arange(n, device=self.device) for n in lms.shape[2:]), lms.shape[1])
        inputs = [x[:8].contiguous(memory_format=torch.channels_last) for x in (x_t.expand_as(lms), lms, pan, ms)]
        exact = self.net(inputs[0], t, *inputs[1:])
        for dtype in (torch.float16, torch.bfloat16):
            half: SSNet = copy.deepcopy(self.net).to(dtype)
            x_t, *cond = (x.to(dtype) for x in inputs)
            error = (half(x_t, t, *cond).float() - exact).mul(self._sigma).square().mean().sqrt().item()
            if error < HALF_ERROR:  # never true of NaN
                self.net, self.dtype = half, dtype
                return
        self.dtype = torch.float32


def _grid(tile: int, stride: int | None, ratio: int) -> Grid:
    stride = tile * 3 // 4 if stride is None else stride
    if not 0 < stride <= tile or (tile - stride) % (2 * ratio) or stride % ratio:
        fit = [s for s in range(ratio, tile + 1, ratio) if (tile - s) % (2 * ratio) == 0]
        raise ConfigError(f"stride {stride} does not fit tiles of {tile} at ratio {ratio}; these do: {fit}")
    return Grid(tile, stride)
