"""Checks of a delivery by the headers of its files: whether they can be opened and fused, and the size of the scene."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import replace

from osgeo import gdal

from ..common.errors import ConfigError, SSDiffError, message_of, one_line
from ..common.notices import Notice, notice
from ..domain.scene import Scene
from ..domain.sensors import GENERAL
from ..raster import network
from ..raster.identify_sensor import identified
from ..raster.reader import open_scene
from .delivery import Delivery
from .pair import delivery_pair


def checked(delivery: Delivery) -> Delivery:
    """Returns the delivery with the size of PAN, the ratio, and a doubt if its files cannot be fused."""
    if not delivery.pan:
        delivery = _doubted(delivery, "delivery_without_pan")
    if not delivery.ms:
        delivery = _doubted(delivery, "delivery_without_ms")
    if not delivery.complete:
        return delivery
    folder = f"/vsimem/ssdiff-{uuid.uuid4().hex}"
    try:
        pair = delivery_pair(delivery, folder)
        scene = open_scene(pair.pan, pair.ms)
        sensor = _sensor(scene, delivery.sensor)
    except (SSDiffError, RuntimeError) as error:  # RuntimeError: of GDAL, for damaged files
        return _doubted(delivery, "delivery_unusable", reason=_reason(error, folder))
    finally:
        with contextlib.suppress(RuntimeError):  # no virtual raster was needed
            gdal.RmdirRecursive(folder)
    size = scene.pan_grid.width, scene.pan_grid.height
    return replace(delivery, size=size, ratio=scene.placement.ratio, sensor=sensor)


def with_local_files(delivery: Delivery) -> Delivery:
    """Returns the delivery of a local place, with a doubt if one of its files is a document that names an address.

    So looking at a folder or an archive of others never makes requests to the network.
    """
    for file in delivery.files:
        source = network.remote_source(file)
        if source and not network.REMOTE.search(delivery.place):
            return _doubted(delivery, "delivery_remote", path=file, source=source[:200])
    return delivery


def _sensor(scene: Scene, given: str | None) -> str | None:
    """Returns the sensor of a scene: the given one, if it has products with these bands, or a recognised one."""
    with contextlib.suppress(ConfigError):
        found = identified(scene, given or "auto", lambda message: None).id
        return None if found == GENERAL else found
    return None


def _reason(error: Exception, folder: str) -> Notice | str:
    """Returns why files cannot be fused, without the folder of virtual rasters in their names."""
    told = message_of(error)
    if isinstance(told, str):
        return one_line(error).replace(f"{folder}/", "")
    texts = {name: value.replace(f"{folder}/", "") for name, value in told.values.items() if isinstance(value, str)}
    return replace(told, values={**told.values, **texts})


def _doubted(delivery: Delivery, kind: str, **values) -> Delivery:
    return replace(delivery, doubts=(*delivery.doubts, notice(kind, **values)))
