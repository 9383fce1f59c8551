"""Algorithm that measures the quality of a pansharpened layer."""

from __future__ import annotations

import re
from pathlib import Path

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterRasterLayer,
)

from ...ssdiff_core.common.files import check_targets
from ...ssdiff_core.domain import measures
from ...ssdiff_core.domain.options import AssessOptions
from ...ssdiff_core.raster.input_files import files_read
from ...ssdiff_core.workflows import assess
from ..services import settings
from ..services.i18n import log_notices, tr
from .base import Algorithm, Progress, showing_errors


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
    REPORT, JSON = "REPORT", "JSON"

    def initAlgorithm(self, configuration=None):
        self.add_parameter(
            QgsProcessingParameterRasterLayer(self.INPUT, tr("Pansharpened layer")),
            tr("Layer to assess. If it was made by other software, select its input layers as well."),
        )
        for name, label, text in (
            (self.SPECTRAL, tr("Multispectral layer"), tr("Default: the layer recorded in the pansharpened file.")),
            (self.PANCHROMATIC, tr("Panchromatic layer"), tr("Default: the layer recorded in the pansharpened file.")),
            (self.REFERENCE, tr("Reference layer"), tr("Ideal result of the pansharpening, if known.")),
        ):
            self.add_parameter(QgsProcessingParameterRasterLayer(name, label, optional=True), text)
        self.add_options(AssessOptions, advanced=False)
        self.add_options(AssessOptions, advanced=True)
        self.add_parameter(
            QgsProcessingParameterFileDestination(
                self.REPORT, tr("Report"), tr("HTML files (*.html)"), optional=True, createByDefault=True
            ),
            tr("Self-contained HTML page with the results."),
        )
        for measure in measures.ALL.values():
            self.addOutput(QgsProcessingOutputNumber(output(measure.name), f"{measure.name}: {tr(measure.meaning)}"))
        self.add_json_file(self.JSON, tr("Results"))

    def checkParameterValues(self, parameters, context):
        names = self.INPUT, self.SPECTRAL, self.PANCHROMATIC, self.REFERENCE
        problem = self.unreadable(parameters, names, context)
        return (False, problem) if problem else super().checkParameterValues(parameters, context)

    @showing_errors
    def prepareAlgorithm(self, parameters, context, feedback):
        names = self.INPUT, self.PANCHROMATIC, self.SPECTRAL, self.REFERENCE
        self.files = [self.file_of(parameters, name, context) for name in names]
        self.options = self.read_options(parameters, context, AssessOptions, memory=settings.memory())
        return bool(self.files[0])

    def work(self, parameters, context, feedback):
        page = self.parameterAsFileOutput(parameters, self.REPORT, context)
        fused, pan, ms, reference = self.files
        (study,) = assess.open_studies([Path(fused)], pan, ms, reference, self.options, log_notices(feedback))
        check_targets(page, inputs=files_read([*study.inputs, fused, *filter(None, [reference])]))
        report = assess.assess_and_report(study, self.options, page, Progress(feedback))
        result = report["results"][0]
        for name, value in result["measures"].items():
            feedback.pushInfo(f"{name}: {measures.ALL[name].formatted(value)} ({tr(measures.ALL[name].meaning)})")
        for note in report["notes"]:
            feedback.pushInfo(note)
        outputs = {output(name): value for name, value in result["measures"].items()}
        pages = {self.REPORT: page} if page else {}
        return {**outputs, **pages, **self.write_json(parameters, self.JSON, context, report)}
