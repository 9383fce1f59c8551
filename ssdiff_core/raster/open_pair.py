"""Opens PAN and MS as one scene of a known sensor, in the same way for pansharpening, adapting and assessing."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from ..common.notices import Notify, notice
from ..domain.correlation import detail_correlation
from ..domain.registration import Shift, band_offsets
from ..domain.scene import Scene
from ..domain.sensors import Sensor
from .identify_sensor import identified, multispectral
from .input_nodata import with_input_nodata
from .reader import alignment, blocks_over, limit_cache, open_scene

MINIMUM_CONFIDENCE = 0.5
"confidence of a measured shift from which it is reported and corrected"
NEGLIGIBLE_SHIFT = 0.2
"PAN pixels up to which a shift is not corrected: it is about as large as the error of measuring it"
CORRELATED_BLOCKS = 12
"blocks of a scene in which PAN is compared with MS"
MINIMUM_CORRELATION = 0.25
"correlation of the detail of PAN and MS below which a notice warns of it"
LARGE_SHIFT = 0.75
"PAN pixels from which a shift shows as colour bleeding at edges"


def open_pair(pan: str | Path, ms, options, notify: Notify, *, all_bands: bool = False) -> tuple[Scene, Sensor]:
    """Returns the scene of a PAN and an MS raster, and its sensor.

    options: an options class with `sensor`, `bands`, `memory`, `nodata_in` and, if it has one, `extent`. all_bands:
    whether bands that the sensor's products are not pansharpened with are kept too.
    """
    limit_cache(options.memory)
    bands = options.bands or (() if all_bands else multispectral(ms, options.sensor, notify))
    scene = open_scene(pan, ms, bands, getattr(options, "extent", None))
    scene = with_input_nodata(scene, options.nodata_in, notify)
    return scene, identified(scene, options.sensor, notify)


def align_pair(scene: Scene, mode: str, notify: Notify, measure: Callable[[Scene], Shift] | None = None) -> Scene:
    """Measures the shift of MS against PAN, reports it, and returns the scene, corrected if the mode is "auto".

    mode: auto, warn or none (see methods.ALIGN). A shift that is not measured with confidence is neither reported nor
    corrected, and a negligible one is only reported. measure: returns the shift; default: raster.reader.alignment.
    """
    if mode == "none":
        return scene
    shift = (measure or alignment)(scene)
    if shift.confidence < MINIMUM_CONFIDENCE:
        return scene
    bands = band_offsets(shift)
    differing = {number: math.hypot(*offset) for number, offset in enumerate(bands, 1) if any(offset)}
    correct = mode == "auto" and (bool(differing) or shift.length > NEGLIGIBLE_SHIFT)
    if correct:
        kind = "shift_corrected"
    else:
        kind = "shift_large" if max(shift.length, *differing.values(), 0) > LARGE_SHIFT else "shift_small"
    notify(_shift_notice(kind, shift, differing))
    return scene.shifted(shift.rows, shift.cols, bands) if correct else scene


def pair_correlation(scene: Scene) -> float:
    """Returns the correlation of the detail of PAN and MS, of blocks all over the scene."""
    return detail_correlation(blocks_over(scene, CORRELATED_BLOCKS))


def check_related(scene: Scene, notify: Notify, measure: Callable[[Scene], float] = pair_correlation) -> None:
    """Warns if the detail of PAN and MS hardly correlates: they may be of other ground, or of another time."""
    correlation = measure(scene)
    if correlation < MINIMUM_CORRELATION:
        notify(notice("pair_unrelated", correlation=correlation))


def _shift_notice(kind: str, shift: Shift, differing: dict[int, float]):
    """Returns the notice of a measured shift; differing: distance of bands from it in PAN pixels, by their numbers."""
    rows, cols = (round(value, 2) + 0.0 for value in (shift.rows, shift.cols))  # no -0.00
    values = {"rows": rows, "cols": cols, "confidence": shift.confidence}
    if differing:
        return notice(f"{kind}_bands", **values, bands=list(differing), furthest=max(differing.values()))
    return notice(kind, **values)
