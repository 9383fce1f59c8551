"""Statistics of the whole scene that fusion methods need, gathered block by block.

A `Survey` visits each pixel and each MS sample of a block once and returns sums that can be added in any order; the
total of all blocks gives the `SceneStats`. Nearly everything is summed over MS samples, even sums over PAN pixels
(see resample.transposed), which makes the pass fast.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from ..common.errors import ConfigError
from ..domain.block import Block, SceneStats
from ..domain.kernels import BLUR_REACH, REACH
from .methods.method import Method
from .methods.registry import METHODS
from .ms_samples import MsSamples
from .resample import blurrer, take_cols, take_rows
from .scene_sums import Histogram, Moments, SceneSums, to_tuples

MINIMUM_VALID = 0.99
"minimum share of valid PAN pixels under the blur of an MS sample for the sample to be used"
ROUNDING = 1e-24
"variance, as a share of the squared mean, that is left by rounding if a band does not vary"
MARGIN = 1
"permitted distance of fused values from the range of MS, as a share of the width of that range"
BRIGHT = 0.999
"quantile of MS that is mapped to 0.8"


@dataclass(frozen=True)
class Survey:
    """The pass over a scene that fits a method: `gather` each block, add the sums, then call `stats`.

    For a network, the method is its base, and its views (model_config.VIEWS) are fitted in the same pass.
    """

    method: str
    mtf: tuple[float, ...]
    "MTF of each MS band at the Nyquist frequency of MS"
    ratio: float = 4.0
    kernel: str = "cubic"
    pan_mtf: float = 0.15
    "MTF of PAN at its own Nyquist frequency"
    views: tuple[str, ...] = ()
    groups: tuple[tuple[int, ...], ...] = ()
    "bands that are fused together (see domain.band_groups); empty: all of them"

    def __post_init__(self):
        if not all(0 < gain < 1 for gain in (*self.mtf, self.pan_mtf)):
            raise ConfigError(f"MTF values must be between 0 and 1, not {self.mtf} and {self.pan_mtf}")

    @property
    def reach(self) -> int:
        """PAN pixels that a block must extend beyond its core."""
        return round((BLUR_REACH + REACH[self.kernel] + 2) * self.ratio) if self.all_pan_mtfs else 0

    @property
    def ms_halo(self) -> int:
        """MS pixels that a block must extend beyond the ground of its window."""
        blurred = round(BLUR_REACH * self.ratio) + 1 if self._degrades_ms else 0
        return max(2 * REACH[self.kernel] + 2, blurred)

    @property
    def _methods(self) -> tuple[Method, ...]:
        """The methods that are fitted; the base "lms" needs no fit."""
        return tuple(METHODS[name] for name in (self.method, *self.views) if name in METHODS)

    @property
    def _degrades_ms(self) -> bool:
        return any(method.degrades_ms for method in self._methods)

    @property
    def all_pan_mtfs(self) -> tuple[float, ...]:
        """The MTF gains at which PAN is seen, in the order of the moments."""
        return tuple(sorted({gain for method in self._methods for gain in method.pan_mtfs(self)}))

    @property
    def band_groups(self) -> tuple[tuple[int, ...], ...]:
        return self.groups or (tuple(range(len(self.mtf))),)

    def mean_mtf(self, group: tuple[int, ...]) -> float:
        return sum(self.mtf[band] for band in group) / len(group)

    def gather(self, block: Block) -> SceneSums:
        """Returns the sums over block.core."""
        samples = MsSamples(block, self.kernel)
        seen = samples.seen(self.all_pan_mtfs) if self.all_pan_mtfs else samples.ms[:0]
        valid = None if samples.ms_ok is None else samples.cut(samples.ms_ok)[samples.in_core()]
        ms = samples.ms[(slice(None), *samples.in_core())]
        values = tuple(Histogram.of(band if valid is None else band[valid]) for band in ms)
        return SceneSums(self._fine(samples, seen), self._coarse(samples, seen, ms, valid), values)

    def _fine(self, samples: MsSamples, seen: np.ndarray) -> Moments:
        """Moments over PAN pixels."""
        v = len(self.mtf) + len(seen) + 1
        empty = Moments(0, np.zeros(v), np.zeros(1), np.zeros((v, 1)))
        if self.method in METHODS and not METHODS[self.method].pan_moments:
            return empty
        pan, ok = samples.pan(), samples.ok()
        count = samples.block.core.height * samples.block.core.width if ok is None else int(ok.sum())
        if not count:
            return empty
        mean = float((pan if ok is None else pan[ok]).mean(dtype=np.float64))
        where = np.ones_like(pan) if ok is None else ok.astype(np.float32)
        detail = pan - np.float32(mean) if ok is None else np.where(ok, pan - np.float32(mean), where)  # 0 where masked
        contributions = _flat(samples.contributions(np.stack([where, detail])))
        coarse = np.concatenate([_flat(samples.ms), _flat(seen)])
        means = coarse @ contributions[0] / count
        co = (coarse - means[:, None]) @ contributions[1]
        co = np.append(co, _squares(detail))
        return Moments(count, np.append(means, mean), np.array([mean]), co[:, None])

    def _coarse(self, samples: MsSamples, seen: np.ndarray, ms: np.ndarray, valid: np.ndarray | None) -> Moments:
        """Moments over the MS samples of the core."""
        in_core = samples.in_core()
        images = [*ms, *seen[(slice(None), *in_core)]]
        usable = [] if valid is None else [valid]
        if self._degrades_ms:
            degraded, share = self._degraded(samples)
            images += [*degraded]
            usable += [] if share is None else [share > MINIMUM_VALID]
        if len(seen) and samples.pan_ok is not None:
            shares = samples.share(self.all_pan_mtfs)[(slice(None), *in_core)]
            usable += [*(shares > MINIMUM_VALID)]
        images = np.stack(images).reshape(len(images), -1).astype(np.float64)
        return Moments.of(images[:, np.logical_and.reduce(usable).ravel()] if usable else images)

    def _degraded(self, samples: MsSamples) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns each band at the core's samples, blurred to a resolution lower by the ratio, and its valid share."""
        ok, in_core = samples.ms_ok, samples.in_core()
        image = np.asarray(samples.block.ms, np.float32)
        rows, cols = (axis[span] for axis, span in zip((samples.rows, samples.cols), in_core))
        if not (len(rows) and len(cols)):
            return np.zeros((len(self.mtf), len(rows), len(cols)), np.float32), None

        def low(field: np.ndarray) -> np.ndarray:
            down, across = (blurrer(i[0], len(i), self.mtf, self.ratio, step=1) for i in (rows, cols))
            return take_cols(across, take_rows(down, field))

        if ok is None:
            return low(image), None
        shares = low(ok.astype(np.float32)).clip(1e-12)
        return low(np.where(ok, image, np.float32(0))) / shares, shares.min(0)

    def stats(self, sums: SceneSums) -> SceneStats:
        """Returns the statistics that the method, or an engine with that base, needs."""
        bright = functools.reduce(Histogram.__add__, sums.values).quantile(BRIGHT)
        known = {"scale": bright / 0.8 if bright > 0 else 1.0, "mtf": tuple(self.mtf), **self._moments(sums)}
        known["limits"] = tuple(_limits(values, sums.coarse, band) for band, values in enumerate(sums.values))
        for method in self._methods:
            known |= method.fit(self, sums) if method.fit else {}
        return SceneStats(**known)

    def _moments(self, sums: SceneSums) -> dict:
        """Returns means and standard deviations of the bands over samples, followed by those of PAN over pixels."""
        bands, coarse, fine = len(self.mtf), sums.coarse, sums.fine
        variances = np.append(np.diag(coarse.co)[:bands] / max(coarse.count, 1), fine.co[-1] / max(fine.count, 1))
        return {
            "means": to_tuples(np.append(coarse.left[:bands], fine.right)),
            "deviations": to_tuples(np.sqrt(variances)),
        }


def _squares(image: np.ndarray) -> float:
    """Returns the sum of squares, computed in double precision."""
    values = image.astype(np.float64).ravel()
    return float(values @ values)


def _flat(images: np.ndarray) -> np.ndarray:
    """Returns images (n, h, w) as (n, h * w) in double precision."""
    return np.asarray(images, np.float64).reshape(len(images), images.shape[1] * images.shape[2])


def _limits(values: Histogram, moments: Moments, band: int) -> tuple[float, float]:
    """Returns the minimum and the maximum value that a fused band may have: equal if MS does not vary."""
    mean, squares = float(moments.left[band]), float(moments.co[band, band])
    if len(values.keys) == 1 and moments.count and squares <= ROUNDING * moments.count * mean**2:
        return mean, mean
    low, high = values.quantile(0.0), values.quantile(1.0)
    margin = MARGIN * (high - low) + max(abs(low), abs(high)) / 4096  # a histogram has 13 significant bits
    return low - margin, high + margin
