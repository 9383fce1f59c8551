"""Scenes whose ratio weights do not know: MS is resampled to that of the weights when it is read."""

from __future__ import annotations

from dataclasses import replace

from ..common.notices import Notify, notice
from ..domain.grid import Grid, Placement, compose, lattice
from ..domain.resampling import Resampling, blur_between, gain_at
from ..domain.scene import Scene
from ..domain.sensors import Sensor
from ..weights.card import suits

FAR = 1.5
"ratio of MS to that of the weights beyond which a classical method is usually better"


def at_ratio(scene: Scene, sensor: Sensor, target: int, notify: Notify) -> tuple[Scene, Sensor]:
    """Returns the scene and its sensor with MS at the ratio of weights, and reports that; unchanged if it fits."""
    ratio = scene.placement.ratio
    if suits(ratio, target):
        return scene, sensor
    notify(notice("ratio_resampled_far" if ratio > FAR * target else "ratio_resampled", ratio=ratio, target=target))
    gains = tuple(gain_at(gain, ratio, target) for gain in sensor.mtf)
    return brought(scene, target, sensor.mtf), replace(sensor, mtf=gains)


def brought(scene: Scene, ratio: int, mtf: tuple[float, ...]) -> Scene:
    """Returns the scene with MS resampled to cells of ratio x ratio PAN pixels. mtf: gain of each band as it is."""
    before = scene.placement
    on_pan, rows, columns = lattice(scene.ground, (ratio / 2, ratio / 2), ratio)
    grid = Grid(rows, columns, compose(scene.pan_grid.transform, on_pan), scene.pan_grid.crs, scene.pan_grid.placed)
    at = on_pan[3] + (ratio - 1) / 2, on_pan[0] + (ratio - 1) / 2
    ms = tuple(replace(band, blur=blur_between(gain, before.ratio, ratio)) for band, gain in zip(scene.ms, mtf))
    how = Resampling(before, scene.ms_grid)
    return replace(scene, ms=ms, ms_grid=grid, placement=Placement(at, float(ratio)), resampling=how)
