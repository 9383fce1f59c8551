"""Classical fusion of blocks: what a user without a GPU gets, and what the residual of a network may be taken against.

Everything but a division here and there is linear, so it is done on MS samples, a sixteenth of PAN's pixels, and the
pixels are read from the result. What is fitted to the scene comes in SceneStats, the same for every block.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..common.errors import BlockError, ConfigError
from ..domain.block import Block, SceneStats
from ..domain.kernels import BLUR_REACH, REACH, interpolation
from ..domain.methods import CLASSICAL, UNFITTED
from ..model.devices import upload
from ..model.normalisation import Units
from .ms_samples import Ground
from .quantise import Quantising
from .resample import blurrer, read, reader, take_cols, take_rows
from .scene_statistics import Survey

LEAST = 0.02  # of the mean of a pixel's bands: the least that Brovey divides by where some bands have no weight
TINY = 1e-12


# --- engines ---------------------------------------------------------------------------------------------------------


class Classical(Quantising):
    """A classical method as an engine (see engine.Engine for the protocol)."""

    def __init__(self, method: str, ratio: float = 4.0, kernel: str = "cubic", weights: tuple[float, ...] = ()):
        """weights: of the bands in Brovey's intensity; by default all the same."""
        if method not in CLASSICAL:
            raise ConfigError(f"there is no method {method!r}; these are: {', '.join(CLASSICAL)}")
        if weights and (method != "brovey" or min(weights) < 0 or not sum(weights) > 0):
            raise ConfigError(f"the weights {weights} make no sense for {method}")
        self.method, self.ratio, self.kernel, self.weights = method, ratio, kernel, tuple(weights)

    def __repr__(self) -> str:
        return f"Classical({self.method}, {self.kernel})"

    @property
    def reach(self) -> int:
        """How far, in PAN pixels, block.window must go beyond block.core wherever the scene does."""
        if not self.method.startswith("mtf-glp"):
            return 0
        return base_reach("mtf-glp-fs", self.ratio, REACH[self.kernel]) + round(self.ratio)

    @property
    def ms_halo(self) -> int:
        """How far, in MS pixels, block.ms must go beyond the ground of block.window."""
        return 2 * REACH[self.kernel] + 2

    @property
    def needs_survey(self) -> bool:
        """Whether a pass over the scene must come first."""
        return self.method not in UNFITTED

    def survey(self, mtf: tuple[float, ...], pan_mtf: float = 0.15) -> Survey:
        """That pass."""
        return Survey(self.method, tuple(mtf), self.ratio, self.kernel, pan_mtf)

    def fuse(self, block: Block, progress: Callable[[float], None] | None = None) -> np.ndarray:
        """The fused core, in counts (C, h, w) float32; NaN where PAN or MS is masked. progress hears the share done."""
        self._check(block)
        with torch.inference_mode():
            ground = Ground(block, self.kernel)
            ok = ground.ok()
            if ok is not None and not ok.any():
                return np.full((len(block.ms), *block.core.shape), np.nan, np.float32)
            # NumPy's memory, not torch's: it asks for large pages, and small ones cost more than all that is computed.
            answer = torch.from_numpy(np.empty((len(block.ms), *block.core.shape), np.float32))
            self._fill(answer, ground, progress or (lambda share: None))
            if ok is not None:
                answer.masked_fill_(torch.from_numpy(~ok), torch.nan)
        return answer.numpy()

    def _fill(self, answer: Tensor, ground: Ground, report: Callable[[float], None]) -> None:
        """Strip by strip, so that what is in work stays in the processor's cache."""
        coarse, finish = RECIPES[self.method](self, ground)
        rows, cols = ground.up
        across, pan, done = take_cols(cols, coarse), ground.pan(), 0
        limits = [_column(values) for values in zip(*ground.block.stats.limits)]
        for strip in rows:
            here = slice(done, done + strip.answers)
            fused = finish(read(strip.matrix, across[:, strip.start : strip.stop]), pan[here])
            answer[:, here] = fused.clamp_(*limits) if limits else fused
            done = here.stop
            report(done / answer.shape[1])

    def _check(self, block: Block) -> None:
        bands, stats = len(block.ms), block.stats
        if self.weights and len(self.weights) != bands:
            raise BlockError(f"MS has {bands} bands, Brovey was given {len(self.weights)} weights")
        if not brings(stats, self.method, bands):
            raise BlockError(f"{self.method} needs statistics of the scene; the block brings none for {bands} bands")


def brings(stats: SceneStats, method: str, bands: int) -> bool:
    """Whether all is there that the method must know of a scene with so many bands."""
    wanted = {
        "gsa": (stats.gains, stats.weights, stats.offsets),
        "bdsd-pc": (stats.gains, stats.weights, stats.offsets),
        "bt-h": (stats.haze, stats.caps, *stats.weights[:1]) if stats.weights and stats.match else ((),),
        "mtf-glp-fs": (stats.gains, stats.mtf),
        "mtf-glp-hpm": (stats.match, stats.mtf, stats.caps),
    }.get(method, ())
    return all(len(values) == bands for values in wanted)


# A recipe answers what is to be read at the core's pixels (n, samples, samples), and what to make of it and of PAN.


def _exp(engine: Classical, ground: Ground):
    return ground.ms, lambda lms, pan: lms


def _brovey(engine: Classical, ground: Ground):
    """MS times PAN over the weighted sum of MS: what gdal_pansharpen does, below 0 nothing, 0 over 0 is 0."""
    bands = len(ground.ms)
    weights = torch.tensor(engine.weights or (1 / bands,) * bands, dtype=torch.float32)

    def finish(lms: Tensor, pan: Tensor) -> Tensor:
        lms.clamp_(min=0)
        pseudo = (weights @ lms.flatten(1)).view_as(pan)
        if not weights.all():
            pseudo = torch.maximum(pseudo, LEAST * lms.mean(0))
        return lms.mul_(pan / pseudo.clamp_(min=TINY))

    return ground.ms, finish


def _component_substitution(engine: Classical, ground: Ground):
    """GSA and BDSD-PC: each band gets its gain of PAN, and loses its own mixture of all bands."""
    stats, shape = ground.block.stats, ground.ms.shape
    gains, offsets = _column(stats.gains), _column(stats.offsets)
    lost = (torch.tensor(stats.weights, dtype=torch.float32) @ ground.ms.flatten(1)).view(shape) + offsets
    return ground.ms - lost, lambda fine, pan: fine.addcmul_(gains, pan[None])


def _mtf_glp_fs(engine: Classical, ground: Ground):
    gains = _column(ground.block.stats.gains)
    return ground.ms - gains * _seen(ground), lambda fine, pan: fine.addcmul_(gains, pan[None])


def _mtf_glp_hpm(engine: Classical, ground: Ground):
    """MS times PAN over what the MS sensor sees of it, PAN being made alike to each band."""
    stats, bands = ground.block.stats, len(ground.ms)
    factors, summands = (_column(values) for values in zip(*stats.match))
    low = _seen(ground).mul(factors).add(summands)
    caps = _column(stats.caps)

    def finish(fine: Tensor, pan: Tensor) -> Tensor:
        return _modulated(fine[:bands], fine[bands:], pan * factors + summands, caps)

    return torch.cat([ground.ms, low]), finish


def _bt_h(engine: Classical, ground: Ground):
    """Brovey's ratio, of what is left of MS and intensity without haze."""
    brovey = ClearBrovey(ground.block.stats, ground.ms.device)
    return brovey.clear(ground.ms), brovey.fuse


class ClearBrovey:
    """BT-H in two halves: the linear one, done on MS samples, and what is done on the pixels read from them."""

    def __init__(self, stats: SceneStats, device: torch.device):
        self.haze, self.caps = (upload(_column(values).numpy(), device) for values in (stats.haze, stats.caps))
        self.weights = upload(np.array(stats.weights[0], np.float32), device)
        self.factor, self.summand = stats.match[0]

    def clear(self, ms: Tensor) -> Tensor:
        """MS without haze, and at last its intensity (C + 1, h, w)."""
        clear = ms - self.haze
        return torch.cat([clear, (self.weights @ clear.flatten(1)).view(1, *clear.shape[1:])])

    def fuse(self, clear: Tensor, pan: Tensor) -> Tensor:
        alike = pan[None] * self.factor + self.summand
        return _modulated(clear[:-1], clear[-1:], alike, self.caps).add_(self.haze)


def _modulated(band: Tensor, low: Tensor, pan: Tensor, caps: Tensor) -> Tensor:
    """band * pan / low, as the band and what it takes of the detail pan - low: so dark places cannot explode.

    Made alike to a band, PAN may fall below 0 in the dark; less than no light is no light.
    """
    pan, low = pan.clamp(min=0), low.clamp(min=TINY)
    gain = (band / low).clamp_(min=0).minimum(caps)
    return gain.mul_(pan - low).add_(band)


def _seen(ground: Ground) -> Tensor:
    """PAN as the sensor of each band sees it, at the samples."""
    gains, which = distinct(ground.block.stats.mtf)
    return ground.seen(gains)[which]


def distinct(mtf: tuple[float, ...]) -> tuple[tuple[float, ...], list[int]]:
    """Bands of like sensors share a low-pass: the gains that there are, and which of them is each band's."""
    gains = tuple(sorted(set(mtf)))
    return gains, [gains.index(gain) for gain in mtf]


def _column(values) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)[:, None, None]


RECIPES = {
    "exp": _exp,
    "brovey": _brovey,
    "gsa": _component_substitution,
    "bt-h": _bt_h,
    "bdsd-pc": _component_substitution,
    "mtf-glp-fs": _mtf_glp_fs,
    "mtf-glp-hpm": _mtf_glp_hpm,
}


# --- what a network sees ---------------------------------------------------------------------------------------------


def shown(
    block: Block, pan: Tensor, ms: Tensor, own: Units, kernel: str, name: str, n: int, views: Sequence[str]
) -> tuple[Tensor, Tensor]:
    """What a network with n guides, these views and the base of that name is shown over block.window, in its own units.

    That is what the spatial branch sees (n + views * C, h, w), a view as what it has beyond the base, and the base.
    """
    stands_on = base(name, block, pan, upsample(block, ms, kernel), kernel)
    beyond = [own.of_detail(VIEWS[view](block, pan, ms, kernel) - stands_on) for view in views]
    seen = own.of_pan(guides(n, block, pan, kernel))
    return torch.cat([seen, *beyond]) if beyond else seen, own.of_ms(stands_on)


def base_reach(base: str, ratio: float, interpolation_reach: int) -> int:
    """PAN pixels around a pixel that its base depends on."""
    return 0 if base == "lms" else round((BLUR_REACH + interpolation_reach + 1) * ratio)


def base(name: str, block: Block, pan: Tensor, lms: Tensor, kernel: str) -> Tensor:
    """The base over block.window, from pan (h, w) and lms (C, h, w) -> (C, h, w)."""
    if name == "lms":
        return lms
    return mtf_glp_fs(block, pan, lms, block.stats.gains, kernel)


def mtf_glp_fs(block: Block, pan: Tensor, lms: Tensor, gains: tuple[float, ...], kernel: str) -> Tensor:
    """MTF-GLP-FS: what the MS sensor cannot see of PAN, times a gain fitted at full scale (Vivone et al., TIP 2018)."""
    sensors, which = distinct(block.stats.mtf)
    answer, lows = lms.clone(), as_ms_sees(block, pan, sensors, kernel)
    for band, low, gain in zip(answer, which, gains):
        band.add_(pan - lows[low], alpha=gain)
    return answer


def guides(n: int, block: Block, pan: Tensor, kernel: str) -> Tensor:
    """What a network may look at besides the base: PAN, and PAN as MS sees it at large -> (n, h, w)."""
    mean = sum(block.stats.mtf) / max(len(block.stats.mtf), 1)
    return torch.cat([pan[None], as_ms_sees(block, pan, (mean,), kernel)]) if n == 2 else pan[None]


def bt_h(block: Block, pan: Tensor, ms: Tensor, kernel: str) -> Tensor:
    """BT-H over block.window, from pan (h, w) and ms (C, hm, wm) -> (C, h, w).

    Haze goes before MS is interpolated: what is black stays 0 to the last bit, so no rounding is divided by another.
    """
    brovey = ClearBrovey(block.stats, pan.device)
    return brovey.fuse(upsample(block, brovey.clear(ms), kernel), pan)


VIEWS = {"bt-h": bt_h}


def as_ms_sees(block: Block, pan: Tensor, mtf: tuple[float, ...], kernel: str) -> Tensor:
    """PAN through MS sensors: blurred by their MTF, sampled where MS is, interpolated back (sensors, h, w)."""
    (down, up), (across, back) = (_there_and_back(block, axis, mtf, kernel, pan.device) for axis in (0, 1))
    return take_rows(up, take_cols(back, take_cols(across, take_rows(down, pan))))


def _there_and_back(block: Block, axis: int, mtf: tuple[float, ...], kernel: str, device):
    """Along one axis, PAN to the MS samples on its ground, and those to PAN again."""
    start, n = ((block.window.row, block.window.height), (block.window.col, block.window.width))[axis]
    first, last = block.on_ms(np.array([start, start + n - 1]), axis)
    sample, samples = math.floor(first), math.ceil(last) - math.floor(first) + 1
    centre = sample * block.ratio + block.ms_at[axis] - start  # in pixels of pan
    there = blurrer(centre, samples, mtf, block.ratio, device)
    return there, reader(first - sample, n, block.ratio, kernel, device)


def fitted(block: Block, mtf: tuple[float, ...], kernel: str = "cubic", views: tuple[str, ...] = ()) -> Block:
    """The same block, a whole scene, with its statistics filled in from the pixels that are valid.

    views: what a network looks at besides its base (its Config says).
    """
    survey = Survey("mtf-glp-fs", tuple(mtf), block.ratio, kernel, views=views)
    return replace(block, stats=survey.stats(survey.gather(block)))


def upsample(block: Block, ms: Tensor, kernel: str, rows: np.ndarray | None = None, cols=None) -> Tensor:
    """MS (C, hm, wm) read at absolute PAN rows and columns, by default those of block.window -> (C, rows, cols)."""
    window, ratio = block.window, block.ratio
    if rows is None:
        down = reader(block.on_ms(window.row, 0), window.height, ratio, kernel, ms.device)
        across = reader(block.on_ms(window.col, 1), window.width, ratio, kernel, ms.device)
        return take_rows(down, take_cols(across, ms))
    down = upload(interpolation(block.on_ms(rows, 0), ms.shape[1], kernel), ms.device)
    across = upload(interpolation(block.on_ms(cols, 1), ms.shape[2], kernel), ms.device)
    return down @ ms @ across.T
