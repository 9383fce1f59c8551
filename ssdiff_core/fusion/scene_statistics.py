"""What a method must know of the whole scene, gathered block by block.

A `Survey` looks at blocks, each pixel and each MS sample once, and answers sums that may be added in any order; from
the sums of all blocks come the `SceneStats`. Nearly everything is summed over MS samples, also what is meant over PAN's
pixels (see resample.give_back): that is why the pass is fast.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..common.errors import ConfigError
from ..domain.block import Block, SceneStats
from ..domain.kernels import BLUR_REACH, REACH
from .ms_samples import Ground
from .resample import blurrer, take_cols, take_rows

TRUSTED = 0.99  # share of what an MS sample sees of PAN that must be valid for it to count
FLAT = 1e-9  # variance, as a share of the squared mean, that is rounding and no detail
CAP = 2  # how much more of PAN's detail than the scene at large a pixel may take where that is found by division
ROOM = 1  # how far beyond what MS shows a fused value may go, as a share of the width of what it shows


# --- what can be added -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moments:
    """Count, means, and how much some quantities (left) vary along with others (right), about the means."""

    count: int
    left: np.ndarray
    "(v,) means"
    right: np.ndarray
    "(u,) means"
    co: np.ndarray
    "(v, u) sum of products of the deviations"

    def __add__(self, other: Moments) -> Moments:
        """The moments of both sets together (Chan et al. 1983): as exact as double precision, whatever the means."""
        count = self.count + other.count
        if not self.count or not other.count:
            return self if self.count else other
        share = other.count / count
        left, right = other.left - self.left, other.right - self.right
        co = self.co + other.co + np.outer(left, right) * (self.count * share)
        return Moments(count, self.left + left * share, self.right + right * share, co)

    @staticmethod
    def of(values: np.ndarray) -> Moments:
        """Of values (v, n), all with all."""
        v, n = values.shape
        if not n:
            return Moments(0, np.zeros(v), np.zeros(v), np.zeros((v, v)))
        mean = values.mean(1)
        about = values - mean[:, None]
        return Moments(n, mean, mean, about @ about.T)

    def among(self, quantities: Sequence[int]) -> Moments:
        """Of some of the quantities, where all were taken with all."""
        which = list(quantities)
        return Moments(self.count, self.left[which], self.right[which], self.co[np.ix_(which, which)])

    def raw(self) -> np.ndarray:
        """Sum of products of the values themselves."""
        return self.co + self.count * np.outer(self.left, self.right)


@dataclass(frozen=True)
class Histogram:
    """How often each value occurs, to 13 binary digits: exact for whole numbers up to 8191 and for their multiples."""

    keys: np.ndarray
    counts: np.ndarray

    def __add__(self, other: Histogram) -> Histogram:
        keys, place = np.unique(np.concatenate([self.keys, other.keys]), return_inverse=True)
        counts = np.bincount(place, np.concatenate([self.counts, other.counts]), len(keys))
        return Histogram(keys, counts.astype(np.int64))

    @staticmethod
    def of(values: np.ndarray) -> Histogram:
        bits = (np.asarray(values, np.float32).ravel() + np.float32(0)).view(np.int32)  # + 0: no negative zero
        keys = np.where(bits >= 0, bits, -(bits & 0x7FFFFFFF)) >> 11  # rises with the value
        if len(keys) and keys.max() - keys.min() < 1 << 18:  # counting is faster than sorting
            counts = np.bincount(keys - keys.min())
            there = np.flatnonzero(counts)
            return Histogram((there + keys.min()).astype(np.int64), counts[there].astype(np.int64))
        keys, counts = np.unique(keys, return_counts=True)
        return Histogram(keys.astype(np.int64), counts.astype(np.int64))

    def quantile(self, share: float) -> float:
        """As np.quantile; 0 if there are no values."""
        if not len(self.keys):
            return 0.0
        ends = np.cumsum(self.counts)
        place = share * (ends[-1] - 1)
        low, high = (self.value(np.searchsorted(ends, math.floor(place) + i, side="right")) for i in (0, 1))
        return float(low + (high - low) * (place - math.floor(place)))

    def value(self, index: int) -> float:
        bits = int(self.keys[min(index, len(self.keys) - 1)]) << 11
        return math.copysign(float(np.array(abs(bits), np.int32).view(np.float32)), bits)


@dataclass(frozen=True)
class SceneSums:
    """What one block, or many, have told."""

    fine: Moments
    "over PAN's pixels: (lms, PAN as each sensor sees it, PAN) with PAN; empty where no method wants it"
    coarse: Moments
    "over MS samples: all of (MS, PAN as each sensor sees it, and for BDSD-PC MS as it would be once more as coarse)"
    values: tuple[Histogram, ...]
    "of each MS band"

    def __add__(self, other: SceneSums) -> SceneSums:
        values = tuple(a + b for a, b in zip(self.values, other.values))
        return SceneSums(self.fine + other.fine, self.coarse + other.coarse, values)


# --- gathering -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Survey:
    """The pass over the scene that a method needs: gather every block, add up, ask for stats.

    For a network the method is its base; what its views need (config.VIEWS) is seen in the same pass.
    """

    method: str
    mtf: tuple[float, ...]
    "response of each MS band's sensor at the MS Nyquist frequency"
    ratio: float = 4.0
    kernel: str = "cubic"
    pan_mtf: float = 0.15
    "PAN's own response at its Nyquist frequency"
    views: tuple[str, ...] = ()
    groups: tuple[tuple[int, ...], ...] = ()
    "bands that are fused together (groups.py); empty: all of them"

    def __post_init__(self):
        if not all(0 < gain < 1 for gain in (*self.mtf, self.pan_mtf)):
            raise ConfigError(f"an MTF is between 0 and 1; these were given: {self.mtf} and {self.pan_mtf}")

    @property
    def reach(self) -> int:
        """PAN pixels that a block must have around its core."""
        return round((BLUR_REACH + REACH[self.kernel] + 2) * self.ratio) if self._lows else 0

    @property
    def ms_halo(self) -> int:
        """MS samples that a block must have around its window."""
        again = round(BLUR_REACH * self.ratio) + 1 if self.method == "bdsd-pc" else 0
        return max(2 * REACH[self.kernel] + 2, again)

    @property
    def _lows(self) -> tuple[float, ...]:
        """The sensors through which PAN is looked at."""
        means = tuple(map(self._mean_mtf, self._groups))
        own = {"mtf-glp-fs": self.mtf, "mtf-glp-hpm": self.mtf}
        of_method = {**own, "gsa": means, "bt-h": means, "bdsd-pc": (self.pan_mtf,)}
        return tuple(sorted({low for method in (self.method, *self.views) for low in of_method.get(method, ())}))

    @property
    def _groups(self) -> tuple[tuple[int, ...], ...]:
        return self.groups or (tuple(range(len(self.mtf))),)

    def _mean_mtf(self, group: tuple[int, ...]) -> float:
        return sum(self.mtf[band] for band in group) / len(group)

    def gather(self, block: Block) -> SceneSums:
        """The sums over block.core."""
        with torch.inference_mode():
            ground = Ground(block, self.kernel)
            seen = ground.seen(self._lows) if self._lows else ground.ms[:0]
            known = None if ground.ms_ok is None else ground._cut(ground.ms_ok)[ground.own()]
            here = ground.ms[(slice(None), *ground.own())].numpy()
            values = tuple(Histogram.of(band if known is None else band[known]) for band in here)
            return SceneSums(self._fine(ground, seen), self._coarse(ground, seen, here, known), values)

    def _fine(self, ground: Ground, seen: Tensor) -> Moments:
        v = len(self.mtf) + len(seen) + 1
        nothing = Moments(0, np.zeros(v), np.zeros(1), np.zeros((v, 1)))
        if self.method not in ("lms", "mtf-glp-fs"):
            return nothing
        pan, ok = ground.pan(), ground.ok()
        count = pan.numel() if ok is None else int(ok.sum())
        if not count:
            return nothing
        ok = None if ok is None else torch.from_numpy(ok)
        mean = float((pan if ok is None else pan[ok]).double().mean())
        detail = pan - mean if ok is None else torch.where(ok, pan - mean, 0)
        where = torch.ones_like(pan) if ok is None else ok.float()
        given = ground.given(torch.stack([where, detail])).flatten(1).double().numpy()
        coarse = torch.cat([ground.ms, seen]).flatten(1).double().numpy()
        means = coarse @ given[0] / count
        co = (coarse - means[:, None]) @ given[1]
        square = float(torch.linalg.vector_norm(detail, dtype=torch.float64)) ** 2
        return Moments(count, np.append(means, mean), np.array([mean]), np.append(co, square)[:, None])

    def _coarse(self, ground: Ground, seen: Tensor, here: np.ndarray, known: np.ndarray | None) -> Moments:
        own = ground.own()
        images = [*here, *seen[(slice(None), *own)].numpy()]
        trust = [] if known is None else [known]
        if self.method == "bdsd-pc":
            again, share = self._once_more(ground)
            images += [*again]
            trust += [] if share is None else [share > TRUSTED]
        if len(seen) and ground.pan_ok is not None:
            trust += [*(ground.share(self._lows)[(slice(None), *own)] > TRUSTED).numpy()]
        images = np.stack(images).reshape(len(images), -1).astype(np.float64)
        return Moments.of(images[:, np.logical_and.reduce(trust).ravel()] if trust else images)

    def _once_more(self, ground: Ground) -> tuple[np.ndarray, np.ndarray | None]:
        """The own samples of each band, blurred as if its sensor were once more as coarse; the share that is valid."""
        ok, own = ground.ms_ok, ground.own()
        image = np.asarray(ground.block.ms, np.float32)
        rows, cols = (samples[span] for samples, span in zip((ground.rows, ground.cols), own))
        if not (len(rows) and len(cols)):
            return np.zeros((len(self.mtf), len(rows), len(cols)), np.float32), None

        def low(field: np.ndarray) -> np.ndarray:
            down, across = (blurrer(i[0], len(i), self.mtf, self.ratio, step=1) for i in (rows, cols))
            return take_cols(across, take_rows(down, torch.from_numpy(field))).numpy()

        if ok is None:
            return low(image), None
        shares = low(ok.astype(np.float32)).clip(1e-12)
        return low(np.where(ok, image, np.float32(0))) / shares, shares.min(0)

    # --- what follows from the sums ----------------------------------------------------------------------------------

    def stats(self, sums: SceneSums) -> SceneStats:
        """What the method, or an engine with that base, needs to know of the scene."""
        bright = functools.reduce(Histogram.__add__, sums.values).quantile(0.999)
        known = {"scale": bright / 0.8 if bright > 0 else 1.0, "mtf": tuple(self.mtf), **self._moments(sums)}
        known["limits"] = tuple(map(_limits, sums.values))
        solvers = {
            "gsa": self._gsa,
            "bt-h": self._bt_h,
            "bdsd-pc": self._bdsd_pc,
            "mtf-glp-fs": self._mtf_glp_fs,
            "mtf-glp-hpm": self._mtf_glp_hpm,
        }
        for method in (self.method, *self.views):
            known |= solvers[method](sums) if method in solvers else {}
        return SceneStats(**known)

    def _moments(self, sums: SceneSums) -> dict:
        """Mean and spread of each band over its samples, and of PAN over its pixels."""
        bands, coarse, fine = len(self.mtf), sums.coarse, sums.fine
        variances = np.append(np.diag(coarse.co)[:bands] / max(coarse.count, 1), fine.co[-1] / max(fine.count, 1))
        return {"means": _plain(np.append(coarse.left[:bands], fine.right)), "spreads": _plain(np.sqrt(variances))}

    def _mtf_glp_fs(self, sums: SceneSums) -> dict:
        """cov(lms, PAN) / cov(PAN as MS sees it, PAN) at full scale (Vivone et al., TIP 2018)."""
        co, bands = sums.fine.co[:, 0], len(self.mtf)
        lows = [co[bands + self._lows.index(gain)] for gain in self.mtf]
        least = max(1e-6 * co[-1], FLAT * sums.fine.count * sums.fine.right[0] ** 2)
        return {"gains": tuple(float(co[k] / low) if low > least else 0.0 for k, low in enumerate(lows))}

    def _mtf_glp_hpm(self, sums: SceneSums) -> dict:
        """PAN with each band's mean and spread, both as the MS sensor sees them (Aiazzi et al., PE&RS 2006)."""
        lows = [len(self.mtf) + self._lows.index(gain) for gain in self.mtf]
        match = tuple(_alike(sums.coarse, low, band) for band, low in enumerate(lows))
        return {"match": match, "caps": (float(CAP),) * len(self.mtf)}

    def _gsa(self, sums: SceneSums) -> dict:
        """The intensity is PAN's regression on MS, the gains cov(MS, intensity) / var(intensity) (Aiazzi et al. 2007).

        Each band gets its gain of PAN and loses as much of the intensity; the offsets keep the means.
        """
        moments, bands = sums.coarse, len(self.mtf)
        weights = regression(moments.co[:bands, :bands], moments.co[:bands, bands])
        varies = moments.co[:bands, :bands] @ weights
        total, mean = float(weights @ varies), moments.left
        flat = total <= FLAT * max(moments.count, 1) * mean[bands] ** 2
        gains = np.zeros(bands) if flat else varies / total
        offsets = gains * (mean[bands] - weights @ mean[:bands])
        return {"gains": _plain(gains), "weights": _plain(np.outer(gains, weights)), "offsets": _plain(offsets)}

    def _bdsd_pc(self, sums: SceneSums) -> dict:
        """Once more as coarse, MS is known: what it lacks there is fitted by PAN, never less than 0 of it, less some of
        each band, never less than 0 of that (Vivone, TGRS 2019)."""
        bands, raw = len(self.mtf), sums.coarse.raw()
        parts = np.r_[bands + 1 : 2 * bands + 1, bands]  # MS and PAN, as they would be
        sign = np.append(-np.ones(bands), 1.0)
        gram = raw[np.ix_(parts, parts)] * np.outer(sign, sign)
        lacks = (raw[parts, :bands] - raw[parts, bands + 1 :]) * sign[:, None]
        fits = np.stack([nonnegative(gram, lack) for lack in lacks.T])
        return {"gains": _plain(fits[:, -1]), "weights": _plain(fits[:, :-1]), "offsets": (0.0,) * bands}

    def _bt_h(self, sums: SceneSums) -> dict:
        """Brovey's ratio without the haze, the least that each band holds (Lolli et al., TGRS 2017).

        The intensity is PAN's regression on MS; PAN is given its mean and spread, so PAN's own haze goes too.
        Each group of bands has an intensity of its own.
        """
        haze = np.array([values.quantile(0.0) for values in sums.values])
        caps, intensities = np.zeros(len(haze)), []
        for group in self._groups:
            low = len(haze) + self._lows.index(self._mean_mtf(group))
            known = without_haze(sums.coarse.among((*group, low)), haze[list(group)])
            caps[list(group)] = known["caps"]
            intensities += [known]
        weights, match = (tuple(one[name][0] for one in intensities) for name in ("weights", "match"))
        return {"haze": _plain(haze), "weights": weights, "match": match, "caps": _plain(caps)}


def without_haze(moments: Moments, haze: np.ndarray) -> dict:
    """What BT-H needs to know, given the moments of MS and PAN as MS sees it, and the haze."""
    bands = len(haze)
    weights = regression(moments.co[:bands, :bands], moments.co[:bands, bands])
    clear = moments.left[:bands] - haze
    intensity, spread = float(weights @ clear), float(weights @ moments.co[:bands, :bands] @ weights)
    factor = _ratio_of_spreads(spread, moments.co[bands, bands], moments.count * moments.left[bands] ** 2)
    match = (factor, intensity - factor * float(moments.left[bands]))
    caps = CAP * clear / intensity if intensity > 0 else np.zeros(bands)
    return {"haze": _plain(haze), "weights": (_plain(weights),), "match": (match,), "caps": _plain(caps)}


def _alike(moments: Moments, one: int, other: int) -> tuple[float, float]:
    """Factor and summand that give one quantity the mean and spread of the other."""
    factor = _ratio_of_spreads(
        moments.co[other, other], moments.co[one, one], moments.count * float(moments.left[one]) ** 2
    )
    return factor, float(moments.left[other] - factor * moments.left[one])


def _ratio_of_spreads(above: float, below: float, level: float) -> float:
    return math.sqrt(max(above, 0.0) / below) if below > FLAT * level else 0.0


def _limits(values: Histogram) -> tuple[float, float]:
    low, high = values.quantile(0.0), values.quantile(1.0)
    room = ROOM * (high - low) + max(abs(low), abs(high)) / 4096  # a histogram knows 13 binary digits
    return low - room, high + room


def _plain(values: np.ndarray) -> tuple:
    return tuple(_plain(value) if np.ndim(value) else float(value) for value in values)


def regression(gram: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least squares from sums of products; of bands that tell the same, each gets its part."""
    scale = np.sqrt(np.maximum(np.diag(gram), 1e-300))
    return np.linalg.lstsq(gram / np.outer(scale, scale), target / scale, rcond=1e-10)[0] / scale


def nonnegative(gram: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The x >= 0 that is least in x' gram x / 2 - target' x: active set (Lawson & Hanson 1974, NNLS)."""
    scale = np.sqrt(np.maximum(np.diag(gram), 1e-300))
    gram, target = gram / np.outer(scale, scale), target / scale
    x, free = np.zeros(len(target)), np.zeros(len(target), bool)
    small = 1e-10 * max(np.abs(target).max(), 1e-300)
    for _ in range(10 * len(target)):
        gain = np.where(free, -np.inf, target - gram @ x)
        if gain.max() <= small:
            break
        free[gain.argmax()] = True
        while free.any():
            best = np.zeros(len(target))
            best[free] = np.linalg.lstsq(gram[np.ix_(free, free)], target[free], rcond=1e-12)[0]
            below = free & (best <= 0)
            if not below.any():
                x = best
                break
            # As far towards the best as all stay at 0 or above; what arrives at 0 is held there.
            step = (x[below] / np.maximum(x[below] - best[below], 1e-300)).min()
            x = x + step * (best - x)
            free &= x > 1e-14
            x[~free] = 0
    return x / scale
