"""Styles of the output layers: the fused layer like the MS layer, its uncertainty in pseudocolour.

Both get a history that records how they were made.
"""

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

STRETCH_DEVIATIONS = 2.0
"half width of the default contrast stretch about the mean, in standard deviations"
HISTORY_MARK = "SSDiff for QGIS"
"text in the history of a layer that SSDiff has made"
NATURAL = ("red", "green", "blue")
VIRIDIS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")
"perceptually uniform colour ramp, from low to high"
_referenced: deque = deque(maxlen=64)


def keep_reference(processor):
    """Keeps a post-processor alive until its layer is loaded, because QGIS holds no reference to it; returns it."""
    _referenced.append(processor)
    return processor


@dataclass(frozen=True)
class Style:
    """Displayed bands of the MS layer and their contrast stretch."""

    bands: tuple[int, ...] = ()
    limits: tuple[tuple[float, float] | None, ...] = ()
    "minimum and maximum of each band's stretch; None where the layer sets none"

    @staticmethod
    def of(layer: QgsRasterLayer) -> Style:
        """Returns the style of a layer; an empty one unless it is rendered as multiband colour or single-band grey."""
        renderer = layer.renderer()
        if isinstance(renderer, QgsMultiBandColorRenderer):
            bands = renderer.redBand(), renderer.greenBand(), renderer.blueBand()
            enhancements = (
                renderer.redContrastEnhancement(),
                renderer.greenContrastEnhancement(),
                renderer.blueContrastEnhancement(),
            )
        elif isinstance(renderer, QgsSingleBandGrayRenderer):
            bands, enhancements = (renderer.grayBand(),), (renderer.contrastEnhancement(),)
        else:
            return Style()
        return Style(bands, tuple(map(_limits, enhancements)))


def _limits(enhancement: QgsContrastEnhancement | None) -> tuple[float, float] | None:
    if enhancement is None:
        return None
    low, high = enhancement.minimumValue(), enhancement.maximumValue()
    return (low, high) if low < high else None


class FusedStyler(QgsProcessingLayerPostProcessorInterface):
    """Applies the style of the MS layer to the fused layer once it is loaded."""

    def __init__(self, style: Style, result: PansharpenResult):
        super().__init__()
        self._style, self._result = style, result

    def postProcessLayer(self, layer, context, feedback):
        if not isinstance(layer, QgsRasterLayer) or not layer.isValid():
            return
        displayed = self._displayed_bands()
        enhancements = [_contrast_enhancement(layer, band, limits) for band, limits in displayed]
        provider = layer.dataProvider()
        if len(displayed) == 3:
            renderer = QgsMultiBandColorRenderer(provider, *(band for band, _ in displayed))
            renderer.setRedContrastEnhancement(enhancements[0])
            renderer.setGreenContrastEnhancement(enhancements[1])
            renderer.setBlueContrastEnhancement(enhancements[2])
        else:
            renderer = QgsSingleBandGrayRenderer(provider, displayed[0][0])
            renderer.setContrastEnhancement(enhancements[0])
        layer.setRenderer(renderer)
        _add_history(layer, self._result)
        layer.triggerRepaint()

    def _displayed_bands(self) -> list[tuple[int, tuple[float, float] | None]]:
        """Returns the bands of the fused layer to display, each with the limits of its stretch if MS has any."""
        numbers = {band.index: number for number, band in enumerate(self._result.scene.ms, 1)}
        style = self._style
        if style.bands and all(band in numbers for band in style.bands):
            return [(numbers[band], limits) for band, limits in zip(style.bands, style.limits)]
        names = [band.name.lower() for band in self._result.scene.ms]
        if set(NATURAL) <= set(names):
            return [(names.index(name) + 1, None) for name in NATURAL]
        return [(band, None) for band in ((3, 2, 1) if len(names) > 2 else (1,))]


class UncertaintyStyler(QgsProcessingLayerPostProcessorInterface):
    """Renders the first band of the uncertainty in pseudocolour, from 0 to the upper limit of the default stretch."""

    def __init__(self, result: PansharpenResult):
        super().__init__()
        self._result = result

    def postProcessLayer(self, layer, context, feedback):
        if not isinstance(layer, QgsRasterLayer) or not layer.isValid():
            return
        provider = layer.dataProvider()
        _, maximum = _default_limits(provider, 1)
        ramp = QgsColorRampShader(0, maximum, _viridis(), compat.LINEAR, compat.CONTINUOUS)
        ramp.classifyColorRamp(len(VIRIDIS), 1)
        shader = QgsRasterShader(0, maximum)
        shader.setRasterShaderFunction(ramp)
        renderer = QgsSingleBandPseudoColorRenderer(provider, 1, shader)
        renderer.setClassificationMin(0)
        renderer.setClassificationMax(maximum)
        layer.setRenderer(renderer)
        _add_history(layer, self._result)
        layer.triggerRepaint()


def _viridis() -> QgsGradientColorRamp:
    first, *between, last = map(QColor, VIRIDIS)
    stops = [QgsGradientStop(index / (len(VIRIDIS) - 1), colour) for index, colour in enumerate(between, 1)]
    return QgsGradientColorRamp(first, last, False, stops)


def _add_history(layer: QgsRasterLayer, result: PansharpenResult) -> None:
    """Adds the provenance of the run to the layer's metadata."""
    metadata = layer.metadata()
    metadata.addHistoryItem(f"{datetime.now():%Y-%m-%d %H:%M} {HISTORY_MARK}")
    for key, value in result.provenance.items():
        metadata.addHistoryItem(f"{key}: {value}")
    layer.setMetadata(metadata)


def _contrast_enhancement(
    layer: QgsRasterLayer, band: int, limits: tuple[float, float] | None
) -> QgsContrastEnhancement:
    provider = layer.dataProvider()
    low, high = limits or _default_limits(provider, band)
    enhancement = QgsContrastEnhancement(provider.dataType(band))
    enhancement.setMinimumValue(low)
    enhancement.setMaximumValue(high)
    enhancement.setContrastEnhancementAlgorithm(compat.STRETCH)
    return enhancement


def _default_limits(provider, band: int) -> tuple[float, float]:
    """Returns the limits of the default stretch of a band, from the statistics stored in the file."""
    statistics = provider.bandStatistics(band, compat.STORED_STATISTICS)
    margin = STRETCH_DEVIATIONS * statistics.stdDev
    low, high = statistics.mean - margin, statistics.mean + margin
    return max(low, statistics.minimumValue), min(high, statistics.maximumValue)
