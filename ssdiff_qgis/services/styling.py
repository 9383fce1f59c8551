"""How the layers that were made look: the fused one as the MS layer did, with bands and stretch that fit, and its
uncertainty in colours; both with a history that tells how they were made."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from qgis.core import (
    QgsColorRampShader,
    QgsContrastEnhancement,
    QgsGradientColorRamp,
    QgsGradientStop,
    QgsMultiBandColorRenderer,
    QgsProcessingLayerPostProcessorInterface,
    QgsRasterLayer,
    QgsRasterShader,
    QgsSingleBandGrayRenderer,
    QgsSingleBandPseudoColorRenderer,
)
from qgis.PyQt.QtGui import QColor

from ...ssdiff_core.workflows.pansharpen import PansharpenResult
from . import compat

WIDE = 2.0
"standard deviations about the mean that are stretched to all brightness where the MS layer says nothing else"
SIGNED = "SSDiff for QGIS"
"what tells in the history of a layer who has made it"
NATURAL = ("red", "green", "blue")
VIRIDIS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")
"colours from little to much that look equally far apart"
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

    def __init__(self, style: Style, made: PansharpenResult):
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
        _tell(layer, self._made)
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


class LookUncertain(QgsProcessingLayerPostProcessorInterface):
    """Shows the first band in colours, from no uncertainty to more than nearly all pixels have."""

    def __init__(self, made: PansharpenResult):
        super().__init__()
        self._made = made

    def postProcessLayer(self, layer, context, feedback):
        if not isinstance(layer, QgsRasterLayer) or not layer.isValid():
            return
        provider = layer.dataProvider()
        _, most = _usual(provider, 1)
        ramp = QgsColorRampShader(0, most, _viridis(), compat.LINEAR, compat.CONTINUOUS)
        ramp.classifyColorRamp(len(VIRIDIS), 1)
        shader = QgsRasterShader(0, most)
        shader.setRasterShaderFunction(ramp)
        renderer = QgsSingleBandPseudoColorRenderer(provider, 1, shader)
        renderer.setClassificationMin(0)
        renderer.setClassificationMax(most)
        layer.setRenderer(renderer)
        _tell(layer, self._made)
        layer.triggerRepaint()


def _viridis() -> QgsGradientColorRamp:
    first, *between, last = map(QColor, VIRIDIS)
    stops = [QgsGradientStop(place / (len(VIRIDIS) - 1), colour) for place, colour in enumerate(between, 1)]
    return QgsGradientColorRamp(first, last, False, stops)


def _tell(layer: QgsRasterLayer, made: PansharpenResult) -> None:
    metadata = layer.metadata()
    metadata.addHistoryItem(f"{datetime.now():%Y-%m-%d %H:%M} {SIGNED}")
    for key, value in made.provenance.items():
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
