"""GSA and BDSD-PC: PAN times a gain is added to each band, and a mixture of all bands is subtracted."""

from __future__ import annotations

import numpy as np

from ...domain.block import SceneStats
from ..scene_sums import FLAT, SceneSums, nonnegative, regression, to_tuples
from .method import Method, add_detail, column, mean_mtfs


def _substitute(stats: SceneStats, samples):
    shape = samples.ms.shape
    gains, offsets = column(stats.gains), column(stats.offsets)
    mixture = (np.array(stats.weights, np.float32) @ samples.ms.reshape(len(gains), -1)).reshape(shape) + offsets
    return samples.ms - mixture, lambda fine, pan: add_detail(fine, gains, pan)


def _required(stats: SceneStats):
    return stats.gains, stats.weights, stats.offsets


def _fit_gsa(survey, sums: SceneSums) -> dict:
    """The intensity is PAN's regression on MS, the gains cov(MS, intensity) / var(intensity) (Aiazzi et al. 2007).

    PAN times the gain is added to each band and the intensity times the gain is subtracted; offsets preserve the means.
    """
    moments, bands = sums.coarse, len(survey.mtf)
    weights = regression(moments.co[:bands, :bands], moments.co[:bands, bands])
    covariances = moments.co[:bands, :bands] @ weights
    variance, mean = float(weights @ covariances), moments.left
    flat = variance <= FLAT * max(moments.count, 1) * mean[bands] ** 2
    gains = np.zeros(bands) if flat else covariances / variance
    offsets = gains * (mean[bands] - weights @ mean[:bands])
    return {"gains": to_tuples(gains), "weights": to_tuples(np.outer(gains, weights)), "offsets": to_tuples(offsets)}


def _fit_bdsd_pc(survey, sums: SceneSums) -> dict:
    """At reduced resolution MS is the truth: its missing detail is fitted by PAN, with a nonnegative gain, minus the
    bands, with nonnegative weights (Vivone, TGRS 2019)."""
    bands, raw = len(survey.mtf), sums.coarse.raw()
    parts = np.r_[bands + 1 : 2 * bands + 1, bands]  # MS and PAN at reduced resolution
    sign = np.append(-np.ones(bands), 1.0)
    gram = raw[np.ix_(parts, parts)] * np.outer(sign, sign)
    missing = (raw[parts, :bands] - raw[parts, bands + 1 :]) * sign[:, None]
    fits = np.stack([nonnegative(gram, detail) for detail in missing.T])
    return {"gains": to_tuples(fits[:, -1]), "weights": to_tuples(fits[:, :-1]), "offsets": (0.0,) * bands}


GSA = Method("gsa", _substitute, _fit_gsa, _required, mean_mtfs)
BDSD_PC = Method("bdsd-pc", _substitute, _fit_bdsd_pc, _required, lambda survey: (survey.pan_mtf,), degrades_ms=True)
