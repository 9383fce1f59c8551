"""Brovey: MS times PAN over an intensity made from MS; and BT-H, the same after removing haze."""

from __future__ import annotations

from functools import partial

import numpy as np

from ...domain.block import SceneStats
from ..arrays import Array, Convert, namespace
from ..scene_sums import FLAT, Moments, SceneSums, ratio_of_deviations, regression, to_tuples
from .method import TINY, Method, column, mean_mtfs, modulated

MINIMUM_INTENSITY = 0.02
"minimum intensity, as a share of the mean of a pixel's bands, if some bands have no weight"
MAXIMUM_GAIN = 2
"maximum gain of PAN's detail at a pixel, relative to that of the scene"


# --- Brovey ----------------------------------------------------------------------------------------------------------


def brovey(weights: tuple[float, ...] = ()) -> Method:
    """Returns Brovey with these weights of the bands in the intensity; by default all bands weigh the same."""
    return Method("brovey", partial(_brovey, weights=weights))


def _brovey(stats: SceneStats, samples, weights: tuple[float, ...]):
    """As gdal_pansharpen does; negative values become 0, and 0 / 0 is 0."""
    bands = len(samples.ms)
    shares = np.array(weights or (1 / bands,) * bands, np.float32)

    def finish(lms: np.ndarray, pan: np.ndarray) -> np.ndarray:
        np.maximum(lms, 0, out=lms)
        intensity = (shares @ lms.reshape(bands, -1)).reshape(pan.shape)
        if not shares.all():
            intensity = np.maximum(intensity, MINIMUM_INTENSITY * lms.mean(0))
        lms *= pan / np.maximum(intensity, TINY)
        return lms

    return samples.ms, finish


# --- BT-H ------------------------------------------------------------------------------------------------------------


class HazeFreeBrovey:
    """BT-H in two halves: a linear one for MS samples, and one for the pixels interpolated from them."""

    def __init__(self, stats: SceneStats, convert: Convert = np.asarray):
        self.haze, self.caps = (convert(column(values)) for values in (stats.haze, stats.caps))
        self.weights = convert(np.array(stats.weights[0], np.float32))
        self.factor, self.summand = stats.match[0]

    def remove_haze(self, ms: Array) -> Array:
        """Returns MS without haze, followed by its intensity (C + 1, h, w)."""
        clear = ms - self.haze
        intensity = (self.weights @ clear.reshape(len(clear), -1)).reshape(1, *clear.shape[1:])
        return namespace(clear).concatenate([clear, intensity])

    def fuse(self, clear: Array, pan: Array) -> Array:
        """Returns the fused bands, given what `remove_haze` returned, interpolated to PAN's pixels."""
        matched = pan[None] * self.factor + self.summand
        fused = modulated(clear[:-1], clear[-1:], matched, self.caps)
        fused += self.haze
        return fused


def _bt_h(stats: SceneStats, samples):
    fusion = HazeFreeBrovey(stats)
    return fusion.remove_haze(samples.ms), fusion.fuse


def _fit_bt_h(survey, sums: SceneSums) -> dict:
    """Haze is the minimum of each band (Lolli et al., TGRS 2017).

    The intensity is PAN's regression on MS. PAN is matched to its mean and standard deviation, which removes PAN's own
    haze. Each group of bands has its own intensity.
    """
    haze = np.array([values.quantile(0.0) for values in sums.values])
    caps, intensities = np.zeros(len(haze)), []
    for group in survey.band_groups:
        low = len(haze) + survey.all_pan_mtfs.index(survey.mean_mtf(group))
        fitted = fit_without_haze(sums.coarse.among((*group, low)), haze[list(group)])
        caps[list(group)] = fitted["caps"]
        intensities += [fitted]
    weights, match = (tuple(one[name][0] for one in intensities) for name in ("weights", "match"))
    return {"haze": to_tuples(haze), "weights": weights, "match": match, "caps": to_tuples(caps)}


def fit_without_haze(moments: Moments, haze: np.ndarray) -> dict:
    """Returns the statistics of BT-H, given the moments of MS and PAN as MS sees it, and the haze of each band.

    A constant PAN gets no weights: its regression would be one of rounding errors.
    """
    bands = len(haze)
    level = moments.count * moments.left[bands] ** 2
    constant = moments.co[bands, bands] <= FLAT * level
    weights = np.zeros(bands) if constant else regression(moments.co[:bands, :bands], moments.co[:bands, bands])
    clear = moments.left[:bands] - haze
    intensity, variation = float(weights @ clear), float(weights @ moments.co[:bands, :bands] @ weights)
    factor = ratio_of_deviations(variation, moments.co[bands, bands], level)
    match = (factor, intensity - factor * float(moments.left[bands]))
    caps = MAXIMUM_GAIN * clear / intensity if intensity > 0 else np.zeros(bands)
    return {"haze": to_tuples(haze), "weights": (to_tuples(weights),), "match": (match,), "caps": to_tuples(caps)}


def _required_by_bt_h(stats: SceneStats):
    return (stats.haze, stats.caps, *stats.weights[:1]) if stats.weights and stats.match else ((),)


BROVEY = brovey()
BT_H = Method("bt-h", _bt_h, _fit_bt_h, _required_by_bt_h, mean_mtfs)
