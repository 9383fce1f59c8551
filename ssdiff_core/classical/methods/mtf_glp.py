"""MTF-GLP: each band gets the detail of PAN that its sensor cannot resolve, added (FS) or as a factor (HPM)."""

from __future__ import annotations

import numpy as np

from ...domain.block import SceneStats
from ..scene_sums import FLAT, SceneSums, match_moments
from .brovey import MAXIMUM_GAIN
from .method import Method, add_detail, column, modulated, pan_as_seen


def _own_mtfs(survey) -> tuple[float, ...]:
    return survey.mtf


# --- FS: full-scale gains --------------------------------------------------------------------------------------------


def _fs(stats: SceneStats, samples):
    gains = column(stats.gains)
    return samples.ms - gains * pan_as_seen(stats, samples), lambda fine, pan: add_detail(fine, gains, pan)


def _fit_fs(survey, sums: SceneSums) -> dict:
    """The gains are cov(lms, PAN) / cov(PAN as MS sees it, PAN) at full scale (Vivone et al., TIP 2018)."""
    co, bands = sums.fine.co[:, 0], len(survey.mtf)
    lows = [co[bands + survey.all_pan_mtfs.index(gain)] for gain in survey.mtf]
    minimum = max(1e-6 * co[-1], FLAT * sums.fine.count * sums.fine.right[0] ** 2)
    return {"gains": tuple(float(co[k] / low) if low > minimum else 0.0 for k, low in enumerate(lows))}


# --- HPM: high-pass modulation ---------------------------------------------------------------------------------------


def _hpm(stats: SceneStats, samples):
    """MS times PAN over PAN as the MS sensor sees it, with PAN matched to each band."""
    bands = len(samples.ms)
    factors, summands = (column(values) for values in zip(*stats.match))
    low = pan_as_seen(stats, samples) * factors + summands
    caps = column(stats.caps)

    def finish(fine: np.ndarray, pan: np.ndarray) -> np.ndarray:
        for k, (band, low) in enumerate(zip(fine[:bands], fine[bands:])):
            band[:] = modulated(band, low, pan * factors[k] + summands[k], caps[k])
        return fine[:bands]

    return np.concatenate([samples.ms, low]), finish


def _fit_hpm(survey, sums: SceneSums) -> dict:
    """PAN gets each band's mean and standard deviation, both as the MS sensor sees them (Aiazzi et al., PE&RS 2006)."""
    lows = [len(survey.mtf) + survey.all_pan_mtfs.index(gain) for gain in survey.mtf]
    match = tuple(match_moments(sums.coarse, low, band) for band, low in enumerate(lows))
    return {"match": match, "caps": (float(MAXIMUM_GAIN),) * len(survey.mtf)}


MTF_GLP_FS = Method(
    "mtf-glp-fs",
    _fs,
    _fit_fs,
    lambda stats: (stats.gains, stats.mtf),
    _own_mtfs,
    blurs_pan=True,
    pan_moments=True,
)
MTF_GLP_HPM = Method(
    "mtf-glp-hpm", _hpm, _fit_hpm, lambda stats: (stats.match, stats.mtf, stats.caps), _own_mtfs, blurs_pan=True
)
