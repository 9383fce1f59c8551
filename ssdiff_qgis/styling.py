"""How the fused layer looks: as the MS layer did, with bands and stretch that fit, and a history that tells how it was
made."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from qgis.core import (
    QgsContrastEnhancement,
    QgsMultiBandColorRenderer,
    QgsProcessingLayerPostProcessorInterface,
    QgsRasterLayer,
    QgsSingleBandGrayRenderer,
)

from ..ssdiff_core.pansharpen import Made
from . import compat

WIDE = 2.0
"standard deviations about the mean that are stretched to all brightness where the MS layer says nothing else"
SIGNED = "SSDiff for QGIS"
"what tells in the history of a layer who has made it"
NATURAL = ("red", "green", "blue")
_kept: deque = deque(maxlen=64)


def kept(processor):
    """QGIS holds no reference of its own to what it calls when the layer is there."""
    _kept.append(processor)
    return processor


@dataclass(frozen=True)
class Style:
    """The MS bands that are shown, and between which values each is stretched."""

    bands: tuple[int, ...] = ()
    limits: tuple[tuple[float, float] | None, ...] = ()

    @staticmethod
    def of(layer: QgsRasterLayer) -> Style:
        """That of a layer; empty if it shows no bands as they are."""
        renderer = layer.renderer()
        if isinstance(renderer, QgsMultiBandColorRenderer):
            bands = renderer.redBand(), renderer.greenBand(), renderer.blueBand()
            how = (
                renderer.redContrastEnhancement(),
                renderer.greenContrastEnhancement(),
                renderer.blueContrastEnhancement(),
            )
        elif isinstance(renderer, QgsSingleBandGrayRenderer):
            bands, how = (renderer.grayBand(),), (renderer.contrastEnhancement(),)
        else:
            return Style()
        return Style(bands, tuple(map(_limits, how)))


def _limits(enhancement: QgsContrastEnhancement | None) -> tuple[float, float] | None:
    if enhancement is None:
        return None
    low, high = enhancement.minimumValue(), enhancement.maximumValue()
    return (low, high) if low < high else None


class Look(QgsProcessingLayerPostProcessorInterface):
    """Gives the layer its look once it is there."""

    def __init__(self, style: Style, made: Made):
        super().__init__()
        self._style, self._made = style, made

    def postProcessLayer(self, layer, context, feedback):
        if not isinstance(layer, QgsRasterLayer) or not layer.isValid():
            return
        shown = self._shown()
        enhancements = [_stretched(layer, band, limits) for band, limits in shown]
        provider = layer.dataProvider()
        if len(shown) == 3:
            renderer = QgsMultiBandColorRenderer(provider, *(band for band, _ in shown))
            renderer.setRedContrastEnhancement(enhancements[0])
            renderer.setGreenContrastEnhancement(enhancements[1])
            renderer.setBlueContrastEnhancement(enhancements[2])
        else:
            renderer = QgsSingleBandGrayRenderer(provider, shown[0][0])
            renderer.setContrastEnhancement(enhancements[0])
        layer.setRenderer(renderer)
        self._tell(layer)
        layer.triggerRepaint()

    def _shown(self) -> list[tuple[int, tuple[float, float] | None]]:
        """Bands of the fused layer, and their limits if the MS layer has told any."""
        places = {band.index: place for place, band in enumerate(self._made.scene.ms, 1)}
        style = self._style
        if style.bands and all(band in places for band in style.bands):
            return [(places[band], limits) for band, limits in zip(style.bands, style.limits)]
        names = [band.name.lower() for band in self._made.scene.ms]
        if set(NATURAL) <= set(names):
            return [(names.index(name) + 1, None) for name in NATURAL]
        return [(band, None) for band in ((3, 2, 1) if len(names) > 2 else (1,))]

    def _tell(self, layer: QgsRasterLayer) -> None:
        metadata = layer.metadata()
        metadata.addHistoryItem(f"{datetime.now():%Y-%m-%d %H:%M} {SIGNED}")
        for key, value in self._made.provenance.items():
            metadata.addHistoryItem(f"{key}: {value}")
        layer.setMetadata(metadata)


def _stretched(layer: QgsRasterLayer, band: int, limits: tuple[float, float] | None) -> QgsContrastEnhancement:
    provider = layer.dataProvider()
    low, high = limits or _usual(provider, band)
    enhancement = QgsContrastEnhancement(provider.dataType(band))
    enhancement.setMinimumValue(low)
    enhancement.setMaximumValue(high)
    enhancement.setContrastEnhancementAlgorithm(compat.STRETCH)
    return enhancement


def _usual(provider, band: int) -> tuple[float, float]:
    """From the exact statistics that the file brings."""
    known = provider.bandStatistics(band, compat.ALL_STATISTICS)
    low, high = known.mean - WIDE * known.stdDev, known.mean + WIDE * known.stdDev
    return max(low, known.minimumValue), min(high, known.maximumValue)
