"""Names of the QGIS API that differ between versions."""

from __future__ import annotations

from qgis.core import (
    Qgis,
    QgsColorRampShader,
    QgsContrastEnhancement,
    QgsMapLayerProxyModel,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterNumber,
    QgsRasterBandStats,
    QgsWkbTypes,
)


def _first(*candidates):
    """Returns the first existing attribute among pairs of (owner, "Scoped.name"), newest first."""
    for owner, path in candidates:
        found = owner
        for name in path.split("."):
            found = getattr(found, name, None)
        if found is not None:
            return found
    raise AttributeError(f"this version of QGIS has none of {', '.join(path for _, path in candidates)}")


ADVANCED = _first(
    (Qgis, "ProcessingParameterFlag.Advanced"),
    (QgsProcessingParameterDefinition, "Flag.FlagAdvanced"),
    (QgsProcessingParameterDefinition, "FlagAdvanced"),
)
INTEGER = _first(
    (Qgis, "ProcessingNumberParameterType.Integer"),
    (QgsProcessingParameterNumber, "Type.Integer"),
    (QgsProcessingParameterNumber, "Integer"),
)
DOUBLE = _first(
    (Qgis, "ProcessingNumberParameterType.Double"),
    (QgsProcessingParameterNumber, "Type.Double"),
    (QgsProcessingParameterNumber, "Double"),
)
VECTOR_POLYGON = _first(
    (Qgis, "ProcessingSourceType.VectorPolygon"),
    (QgsProcessing, "SourceType.TypeVectorPolygon"),
    (QgsProcessing, "TypeVectorPolygon"),
)
RASTER = _first(
    (Qgis, "ProcessingSourceType.Raster"),
    (QgsProcessing, "SourceType.TypeRaster"),
    (QgsProcessing, "TypeRaster"),
)
SUPPORTS_BATCH = _first(
    (Qgis, "ProcessingAlgorithmFlag.SupportsBatch"),
    (QgsProcessingAlgorithm, "Flag.FlagSupportsBatch"),
    (QgsProcessingAlgorithm, "FlagSupportsBatch"),
)
STRETCH = _first(
    (QgsContrastEnhancement, "ContrastEnhancementAlgorithm.StretchToMinimumMaximum"),
    (QgsContrastEnhancement, "StretchToMinimumMaximum"),
)
LINEAR = _first(
    (Qgis, "ShaderInterpolationMethod.Linear"),
    (QgsColorRampShader, "Type.Interpolated"),
    (QgsColorRampShader, "Interpolated"),
)
CONTINUOUS = _first(
    (Qgis, "ShaderClassificationMethod.Continuous"),
    (QgsColorRampShader, "ClassificationMode.Continuous"),
    (QgsColorRampShader, "Continuous"),
)
_STATISTICS = _first((Qgis, "RasterBandStatistic"), (QgsRasterBandStats, "Stats"))
STORED_STATISTICS = _STATISTICS.Min | _STATISTICS.Max | _STATISTICS.Mean | _STATISTICS.StdDev
"what GeoTIFFs store; for any other statistic, QGIS reads all pixels"
RASTER_LAYERS = _first(
    (Qgis, "LayerFilter.RasterLayer"),
    (QgsMapLayerProxyModel, "Filter.RasterLayer"),
)
POLYGON = _first(
    (Qgis, "GeometryType.Polygon"),
    (QgsWkbTypes, "GeometryType.PolygonGeometry"),
)
