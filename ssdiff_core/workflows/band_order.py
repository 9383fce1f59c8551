"""The order in which weights see the bands of MS. The bands of an output are always in the order of MS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..common.notices import Notify, notice
from ..domain import sensors
from ..domain.band_groups import NEAR_INFRARED, groups, near_infrared, with_near_infrared_at
from ..domain.options import PansharpenOptions
from ..domain.scene import Scene
from ..domain.sensors import Sensor
from ..raster.scene_sample import ms_sample
from ..weights.card import Card


def with_names(scene: Scene, sensor: Sensor) -> Scene:
    """Returns the scene with the sensor's names of bands that have none, which the output gets."""
    if sensor.id == sensors.GENERAL or not sensor.identified or len(sensor.bands) != len(scene.ms):
        return scene
    return replace(scene, ms=tuple(replace(band, name=band.name or name) for band, name in zip(scene.ms, sensor.bands)))


def groups_for(
    scene: Scene, sensor: Sensor, card: Card, options: PansharpenOptions, notify: Notify
) -> tuple[tuple[int, ...], ...]:
    """Returns the bands that the weights see, in their order; only general weights take another number of bands."""
    if len(scene.ms) != len(card.bands) and card.sensor != sensors.GENERAL:
        return ()
    return band_groups(scene, sensor, card, bool(options.bands), notify)


def band_groups(scene: Scene, sensor: Sensor, card: Card, given: bool, notify: Notify) -> tuple[tuple[int, ...], ...]:
    """Returns the groups of MS bands that weights fuse, each in the order of the weights; () for MS as it is.

    given: whether the user gives the order of bands that nothing identifies.
    """
    bands, size = len(scene.ms), len(card.bands)
    found = groups(bands, size, _wavelengths(scene, sensor, card, given, notify), _own(card))
    if bands == size and found != [tuple(range(bands))]:
        notify(notice("bands_reordered", bands=[_name(scene, sensor, band) for band in found[0]]))
    elif bands != size:
        notify(notice("band_groups", weights=card.id, size=size, bands=bands, groups=len(found)))
    return () if found == [tuple(range(bands))] else tuple(found)


def groups_of(card: Card, sensor: Sensor) -> tuple[tuple[int, ...], ...]:
    """Returns the groups of a sensor's bands that weights for another number of bands fuse; () if they take all."""
    bands, size = len(sensor.bands), len(card.bands)
    wavelengths = sensors.centres(sensor.bands, sensor.wavelengths), _own(card)
    return () if bands == size else tuple(groups(bands, size, *wavelengths))


def as_weights_see(scene: Scene, sensor: Sensor, seen: tuple[tuple[int, ...], ...]) -> tuple[Scene, Sensor]:
    """Returns the scene with its bands in the order of weights that take all of them; seen: from `band_groups`."""
    if len(seen) != 1 or len(set(seen[0])) < len(seen[0]):
        return scene, sensor
    return _in_order(scene, sensor, seen[0])


def by_wavelength(scene: Scene, sensor: Sensor) -> tuple[Scene, Sensor]:
    """Returns the scene with its bands in order of wavelength, if they are identified."""
    centres = sensors.centres(sensor.bands, sensor.wavelengths) if sensor.identified else ()
    order = sorted(range(len(centres)), key=centres.__getitem__) or range(len(scene.ms))
    return _in_order(scene, sensor, order)


def _in_order(scene: Scene, sensor: Sensor, order: Sequence[int]) -> tuple[Scene, Sensor]:
    ms = tuple(scene.ms[i] for i in order)
    return replace(scene, ms=ms), sensor.only([sensor.bands[i] for i in order])


def _name(scene: Scene, sensor: Sensor, band: int) -> str:
    return sensor.bands[band] if sensor.identified else scene.ms[band].name or str(band + 1)


def _own(card: Card) -> tuple[float, ...]:
    return sensors.centres(card.bands, card.wavelengths_nm)


def _wavelengths(scene: Scene, sensor: Sensor, card: Card, given: bool, notify: Notify) -> tuple[float, ...]:
    """Returns the centre wavelengths of MS, known or assumed; () if nothing identifies the bands."""
    known, own, bands = sensors.centres(sensor.bands, sensor.wavelengths), _own(card), len(scene.ms)
    if sensor.identified or given:
        return known
    assumed = known or (own if len(own) == bands else ())
    if bands == 4 and sum(centre > NEAR_INFRARED for centre in assumed) == 1:
        band = near_infrared(ms_sample(scene).reshape(bands, -1))
        if band is not None and assumed[band] < NEAR_INFRARED:
            notify(notice("near_infrared_recognised", band=band + 1))
        if band is not None:
            return with_near_infrared_at(band, assumed)
    if not known:
        notify(notice("band_order_assumed", bands=list(card.bands)))
    return known
