"""The inputs of algorithms that fuse: two layers, or the files of a vendor's delivery."""

from __future__ import annotations

import time
from dataclasses import dataclass

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingParameterString,
    QgsRasterLayer,
)

from ...ssdiff_core.common.errors import Cancelled
from ...ssdiff_core.common.notices import Notice
from ...ssdiff_core.deliveries.at_place import pair_at
from ..services.i18n import log_notices, tr, tr_notice
from ..services.styling import Style
from .base import widget_of

DELIVERY = "DELIVERY"
"name of the parameter"
STATE_INTERVAL = 5.0
"seconds between two lines about a search in the log"


@dataclass(frozen=True)
class Inputs:
    """PAN and MS as plain values, since layers may only be used in the main thread."""

    pan: str
    ms: str
    name: str
    "name of the MS layer or of the delivery"
    crs: QgsCoordinateReferenceSystem
    "CRS of PAN"
    style: Style
    "of MS"
    sensor: str = "auto"


def add_delivery(algorithm) -> None:
    """Adds the parameter for a delivery to an algorithm."""
    parameter = QgsProcessingParameterString(DELIVERY, tr("Delivery"), optional=True)
    parameter.setMetadata(widget_of("Delivery"))
    algorithm.add_parameter(
        parameter,
        tr(
            "Used in place of the two layers: an archive (.zip, .tar, .tar.gz), a folder, or any metadata file of a "
            "vendor's delivery, such as IMD, DIMAP or MTL. PAN and MS are found in it, and tiles are put together."
        ),
    )


def layer_inputs(algorithm, parameters, context) -> Inputs:
    """Returns the two layers that the parameters of an algorithm give; in the main thread."""
    names = algorithm.SPECTRAL, algorithm.PANCHROMATIC
    spectral, panchromatic = algorithm.pair_layers(parameters, context, *names)
    ms, pan = (algorithm.file_of(parameters, name, context) for name in names)
    return Inputs(pan, ms, spectral.name(), panchromatic.crs(), Style.of(spectral))


def missing_inputs(algorithm, parameters) -> str:
    """Returns what is missing of two layers or a delivery, which takes precedence; empty: nothing."""
    layers = [parameters.get(name) for name in (algorithm.SPECTRAL, algorithm.PANCHROMATIC)]
    if parameters.get(DELIVERY) or all(layers):
        return ""
    return tr("Select a multispectral and a panchromatic layer, or give a delivery.")


def delivered_inputs(place: str, feedback) -> Inputs:
    """Returns the files of a delivery, searched for in the background; raises Cancelled if the user cancels."""
    shown = time.monotonic()

    def watch(told: Notice) -> None:
        nonlocal shown
        if feedback.isCanceled():
            raise Cancelled("cancelled")
        if time.monotonic() - shown > STATE_INTERVAL:
            shown = time.monotonic()
            feedback.setProgressText(tr_notice(told))

    pair = pair_at(place, log_notices(feedback), one_file=True, watch=watch)
    pan, ms = (QgsRasterLayer(path, pair.name) for path in (pair.pan, pair.ms))
    return Inputs(pair.pan, pair.ms, pair.name, pan.crs(), Style.of(ms), pair.sensor)
