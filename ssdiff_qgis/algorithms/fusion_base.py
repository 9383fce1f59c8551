"""What the algorithms that fuse have in common: inputs, the file they make, and the layer it becomes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsProcessingException,
    QgsProcessingOutputString,
    QgsProcessingParameterBand,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterString,
)

from ...ssdiff_core.domain.block_passes import LEAST
from ...ssdiff_core.domain.methods import ALIGN, DTYPES
from ...ssdiff_core.domain.options import AssessOptions
from ...ssdiff_core.raster import polygon_mask
from ...ssdiff_core.workflows import assess
from ...ssdiff_core.workflows.pansharpen import PansharpenOptions, pansharpen
from ..services import compat, settings
from ..services.i18n import tr
from ..services.styling import FusedStyler, Style, UncertaintyStyler, keep_reference
from .base import Algorithm, Progress, computer, nothing_computes, telling

MEASURING = 0.85
"share of the work after which a report is made"


@dataclass(frozen=True)
class Job:
    """All that a run needs, as plain values: layers belong to the main thread."""

    pan: str
    ms: str
    wishes: PansharpenOptions
    name: str
    "of the MS layer"
    style: Style


class Fusion(Algorithm):
    """Subclasses add what is their own in `own_parameters` and answer it in `own_wishes`."""

    SPECTRAL, PANCHROMATIC = "SPECTRAL", "PANCHROMATIC"
    OUTPUT, UNCERTAINTY, REPORT = "OUTPUT", "UNCERTAINTY", "REPORT"
    SENSOR, EXTENT, MASK, BANDS, ALIGN = "SENSOR", "EXTENT", "MASK", "BANDS", "ALIGN"
    MEMORY, NODATA, DATA_TYPE, CREATION_OPTIONS = "MEMORY", "NODATA", "DATA_TYPE", "CREATION_OPTIONS"
    USED = "USED"

    def initAlgorithm(self, configuration=None):
        self.pair(
            self.SPECTRAL,
            self.PANCHROMATIC,
            tr("Any number of bands. Products with a file for each band: build a virtual raster of them first."),
            tr("Of the same ground, 1.5 to 8 times as fine. CRS, grid and extent may differ."),
        )
        self.sensor(self.SENSOR)
        self.own_parameters()
        self.with_help(
            QgsProcessingParameterExtent(self.EXTENT, tr("Extent"), optional=True),
            tr("Only this part is fused, and fitted to."),
        )
        self.with_help(
            QgsProcessingParameterFeatureSource(self.MASK, tr("Mask"), [compat.VECTOR_POLYGON], optional=True),
            tr("Polygons outside of which nothing is fused."),
        )
        self.with_help(
            QgsProcessingParameterBand(
                self.BANDS, tr("Bands"), parentLayerParameterName=self.SPECTRAL, optional=True, allowMultiple=True
            ),
            tr("Of the multispectral layer, in this order. Default: all that the sensor's products are fused in."),
        )
        self._advanced()
        self.with_help(
            QgsProcessingParameterRasterDestination(self.OUTPUT, tr("Pansharpened")),
            tr("A cloud-optimised GeoTIFF, unless creation options are given."),
        )
        self.with_help(
            QgsProcessingParameterFileDestination(
                self.REPORT, tr("Quality report"), tr("HTML files (*.html)"), optional=True, createByDefault=False
            ),
            tr("How good the result is, with maps and crops, as one page."),
        )
        self.addOutput(QgsProcessingOutputString(self.USED, tr("Method or weights that were used")))

    def _advanced(self) -> None:
        self.choice(
            self.ALIGN,
            tr("Shift between PAN and MS"),
            ALIGN,
            "warn",
            tr("auto measures and corrects it, warn only tells of it, none does not look."),
            advanced=True,
        )
        self.choice(self.DATA_TYPE, tr("Data type"), ("auto", *DTYPES), "auto", tr("auto: that of MS."), advanced=True)
        self.with_help(
            QgsProcessingParameterNumber(self.NODATA, tr("Nodata value"), compat.DOUBLE, optional=True),
            tr("Of pixels without a value. Default: that of the inputs."),
            advanced=True,
        )
        self.with_help(
            QgsProcessingParameterNumber(self.MEMORY, tr("Memory (MB)"), compat.INTEGER, optional=True, minValue=LEAST),
            tr("That QGIS holds for this run at most. Default: that of the settings."),
            advanced=True,
        )
        options = QgsProcessingParameterString(self.CREATION_OPTIONS, tr("Creation options"), "", optional=True)
        options.setMetadata({"widget_wrapper": {"widget_type": "rasteroptions"}})
        self.with_help(
            options,
            tr("Of a plain GeoTIFF, such as COMPRESS=DEFLATE|BIGTIFF=YES; none: cloud-optimised."),
            advanced=True,
        )

    # --- what is asked for -------------------------------------------------------------------------------------------

    def own_parameters(self) -> None:
        raise NotImplementedError

    def own_wishes(self, parameters, context) -> dict:
        raise NotImplementedError

    fetch = None
    "what brings weights that are not here"

    def uncertainty(self, parameters, context) -> str:
        """The file for that, if it is wished and can be had."""
        return ""

    def checkParameterValues(self, parameters, context):
        wrong = self.unfit(parameters, (self.SPECTRAL, self.PANCHROMATIC), context) or nothing_computes()
        return (False, wrong) if wrong else super().checkParameterValues(parameters, context)

    @telling
    def prepareAlgorithm(self, parameters, context, feedback):
        spectral = self.parameterAsRasterLayer(parameters, self.SPECTRAL, context)
        sharp = self.parameterAsRasterLayer(parameters, self.PANCHROMATIC, context)
        for layer, name in ((spectral, self.SPECTRAL), (sharp, self.PANCHROMATIC)):
            if layer is None:
                raise QgsProcessingException(self.invalidRasterError(parameters, name))
        bands = tuple(self.parameterAsInts(parameters, self.BANDS, context))
        options = self.parameterAsString(parameters, self.CREATION_OPTIONS, context)
        kind = self.chosen(parameters, self.DATA_TYPE, context)
        wishes = PansharpenOptions(
            sensor=self.chosen(parameters, self.SENSOR, context),
            bands=bands,
            extent=self._extent(parameters, sharp.crs(), context),
            mask=self._mask(parameters, sharp.crs(), context),
            align=self.chosen(parameters, self.ALIGN, context),
            dtype=None if kind == "auto" else kind,
            nodata=self._number(parameters, self.NODATA, context),
            memory=int(self._number(parameters, self.MEMORY, context) or settings.memory()),
            format="gtiff" if options else "cog",
            options=tuple(option for option in options.split("|") if option),
            **self.own_wishes(parameters, context),
        )
        self.job = Job(
            self.file_of(parameters, self.PANCHROMATIC, context),
            self.file_of(parameters, self.SPECTRAL, context),
            wishes,
            spectral.name(),
            Style.of(spectral),
        )
        return True

    def _number(self, parameters, name: str, context) -> float | None:
        return self.parameterAsDouble(parameters, name, context) if parameters.get(name) is not None else None

    def _extent(self, parameters, crs: QgsCoordinateReferenceSystem, context):
        found = self.parameterAsExtent(parameters, self.EXTENT, context, crs)
        return None if found.isNull() else (found.xMinimum(), found.yMinimum(), found.xMaximum(), found.yMaximum())

    def _mask(self, parameters, crs: QgsCoordinateReferenceSystem, context) -> str:
        """The polygons as one, as WKT in the CRS of PAN."""
        source = self.parameterAsSource(parameters, self.MASK, context)
        if source is None and parameters.get(self.MASK):
            raise QgsProcessingException(self.invalidSourceError(parameters, self.MASK))
        if source is None:
            return ""
        to_pan = QgsCoordinateTransform(source.sourceCrs(), crs, context.transformContext())
        shapes = [feature.geometry() for feature in source.getFeatures() if feature.hasGeometry()]
        for shape in shapes:
            shape.transform(to_pan)
        if not shapes:
            raise QgsProcessingException(tr("The mask holds no polygon."))
        return polygon_mask.united(shape.asWkt() for shape in shapes)

    # --- the work ----------------------------------------------------------------------------------------------------

    def work(self, parameters, context, feedback):
        job, who = self.job, computer(feedback)
        out = self.parameterAsOutputLayer(parameters, self.OUTPUT, context)
        apart = self.uncertainty(parameters, context)
        page = self.parameterAsFileOutput(parameters, self.REPORT, context)
        heard = Progress(feedback, 0.0, MEASURING if page else 1.0)
        wishes = replace(job.wishes, uncertainty=apart)
        made = pansharpen(job.pan, job.ms, out, wishes, feedback.pushInfo, lambda pixels: heard, who, self.fetch)
        results = {self.OUTPUT: out, self.USED: made.provenance.get("weights", made.provenance["method"])}
        if apart:
            results[self.UNCERTAINTY] = apart
        if page:
            self._report(out, page, who, feedback)
            results[self.REPORT] = page
        self.looks = {
            out: (tr("{} pansharpened"), FusedStyler(job.style, made)),
            apart: (tr("{} uncertainty"), UncertaintyStyler(made)),
        }
        return results

    def _report(self, out: str, page: str, who, feedback) -> None:
        job = self.job
        wishes = job.wishes
        asked = AssessOptions(sensor=wishes.sensor, bands=wishes.bands, memory=wishes.memory, align=wishes.align)
        (study,) = assess.open_studies([Path(out)], job.pan, [job.ms], None, asked, lambda sentence: None)
        who.assess(study, asked, Path(page), Progress(feedback, MEASURING))

    def postProcessAlgorithm(self, context, feedback):
        """In the main thread again: what the layers are called, and how they shall look."""
        for path, (name, look) in getattr(self, "looks", {}).items():
            if context.willLoadLayerOnCompletion(path):
                details = context.layerToLoadOnCompletionDetails(path)
                details.name = name.format(self.job.name)
                details.setPostProcessor(keep_reference(look))
        return {}
