"""Algorithm that measures the quality of a pansharpened layer."""

from __future__ import annotations

import json
import re
from pathlib import Path

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
)

from ...ssdiff_core.domain import measures
from ...ssdiff_core.domain.methods import ALIGN, CONVENTIONS
from ...ssdiff_core.domain.options import SAMPLE, AssessOptions
from ...ssdiff_core.workflows import assess
from ..services import compat, settings
from ..services.i18n import tr
from .base import Algorithm, Progress, computer, nothing_computes, telling


def output(measure: str) -> str:
    """Returns the name of the output for a measure, such as R_SAM for R-SAM."""
    return re.sub(r"\W", "_", measure).upper()


class Assess(Algorithm):
    """Measures the quality of a pansharpened layer."""

    ID, LABEL = "assess", "Assess pansharpened layer"
    ABOUT = (
        "Measures the quality of a pansharpened layer, against the PAN and MS that it was made from or against a "
        "reference. For comparison, interpolated MS and a classical method are measured as well. The report shows "
        "maps, spectra and crops."
    )
    TAGS = ("quality", "HQNR", "QNR", "SAM", "ERGAS", "pansharpen", "ssdiff")
    INPUT, SPECTRAL, PANCHROMATIC, REFERENCE = "INPUT", "SPECTRAL", "PANCHROMATIC", "REFERENCE"
    SENSOR, CONVENTION, CROP, ALIGN, SAMPLE = "SENSOR", "CONVENTION", "CROP", "ALIGN", "SAMPLE"
    REPORT, JSON = "REPORT", "JSON"

    def initAlgorithm(self, configuration=None):
        self.with_help(
            QgsProcessingParameterRasterLayer(self.INPUT, tr("Pansharpened layer")),
            tr("Layer to assess. If it was made by other software, select its input layers as well."),
        )
        for name, label, text in (
            (self.SPECTRAL, tr("Multispectral layer"), tr("Default: the layer recorded in the pansharpened file.")),
            (self.PANCHROMATIC, tr("Panchromatic layer"), tr("Default: the layer recorded in the pansharpened file.")),
            (self.REFERENCE, tr("Reference layer"), tr("Ideal result of the pansharpening, if known.")),
        ):
            self.with_help(QgsProcessingParameterRasterLayer(name, label, optional=True), text)
        self.sensor(self.SENSOR, tr("Whose blur the measures reckon with."))
        self.choice(
            self.CONVENTION,
            tr("Convention"),
            CONVENTIONS,
            "geometric",
            tr("geometric: MS where it lies. toolbox: as the figures of papers are."),
            advanced=True,
        )
        self.with_help(
            QgsProcessingParameterBoolean(self.CROP, tr("Leave out the rim"), False),
            tr("Against a reference: about 21 pixels on each side do not count, as in the toolboxes if asked."),
            advanced=True,
        )
        self.choice(
            self.ALIGN,
            tr("Shift between PAN and MS"),
            ALIGN,
            "warn",
            tr("auto corrects it before measuring."),
            advanced=True,
        )
        self.with_help(
            QgsProcessingParameterNumber(self.SAMPLE, tr("Megapixels"), compat.DOUBLE, SAMPLE, False, 0),
            tr("Of a larger scene so many are measured, in blocks drawn at random; 0: all."),
            advanced=True,
        )
        self.with_help(
            QgsProcessingParameterFileDestination(
                self.REPORT, tr("Report"), tr("HTML files (*.html)"), optional=True, createByDefault=True
            ),
            tr("Self-contained HTML page with the results."),
        )
        for measure in measures.ALL.values():
            self.addOutput(QgsProcessingOutputNumber(output(measure.name), f"{measure.name}: {tr(measure.meaning)}"))
        self.addOutput(QgsProcessingOutputString(self.JSON, tr("All results (JSON)")))

    def checkParameterValues(self, parameters, context):
        names = self.INPUT, self.SPECTRAL, self.PANCHROMATIC, self.REFERENCE
        wrong = self.unfit(parameters, names, context) or nothing_computes()
        return (False, wrong) if wrong else super().checkParameterValues(parameters, context)

    @telling
    def prepareAlgorithm(self, parameters, context, feedback):
        names = self.INPUT, self.PANCHROMATIC, self.SPECTRAL, self.REFERENCE
        self.files = [self.file_of(parameters, name, context) for name in names]
        self.asked = AssessOptions(
            sensor=self.chosen(parameters, self.SENSOR, context),
            convention=self.chosen(parameters, self.CONVENTION, context),
            align=self.chosen(parameters, self.ALIGN, context),
            sample=self.parameterAsDouble(parameters, self.SAMPLE, context),
            memory=settings.memory(),
            crop=self.parameterAsBool(parameters, self.CROP, context),
        )
        return bool(self.files[0])

    def work(self, parameters, context, feedback):
        page = self.parameterAsFileOutput(parameters, self.REPORT, context)
        fused, pan, ms, reference = self.files
        (study,) = assess.open_studies([Path(fused)], pan, ms, reference, self.asked, feedback.pushInfo)
        said = computer(feedback).assess(study, self.asked, Path(page) if page else None, Progress(feedback))
        result = said["results"][0]
        for name, value in result["measures"].items():
            feedback.pushInfo(f"{name}: {measures.ALL[name].shown(value)} ({tr(measures.ALL[name].meaning)})")
        for note in said["notes"]:
            feedback.pushInfo(note)
        found = {output(name): value for name, value in result["measures"].items()}
        return {**found, **({self.REPORT: page} if page else {}), self.JSON: json.dumps(said)}
