"""Algorithm that measures the shift between PAN and MS."""

from __future__ import annotations

from dataclasses import asdict

from qgis.core import QgsProcessingOutputNumber

from ...ssdiff_core.raster import reader
from ..services.i18n import tr
from .base import Algorithm


class Align(Algorithm):
    """Measures the shift of MS against PAN."""

    ID, LABEL = "align", "Measure shift between PAN and MS"
    ABOUT = (
        "Measures the shift of a multispectral layer against a panchromatic layer with subpixel accuracy, for all "
        "bands together and for each band. From a shift of about one PAN pixel, colours bleed at edges. Pansharpening "
        "can correct the shift."
    )
    SPECTRAL, PANCHROMATIC = "SPECTRAL", "PANCHROMATIC"
    ROWS, COLS, CONFIDENCE, REPORT = "ROWS", "COLS", "CONFIDENCE", "REPORT"

    def initAlgorithm(self, configuration=None):
        self.add_pair(
            self.SPECTRAL,
            self.PANCHROMATIC,
            tr("Any number of bands. The shift is also measured for each band."),
            tr("Layer of the same area with 1.5 to 8 times the resolution. CRS, grid and extent may differ."),
        )
        self.addOutput(QgsProcessingOutputNumber(self.ROWS, tr("Shift down in PAN pixels")))
        self.addOutput(QgsProcessingOutputNumber(self.COLS, tr("Shift right in PAN pixels")))
        self.addOutput(QgsProcessingOutputNumber(self.CONFIDENCE, tr("Confidence from 0 to 1")))
        self.add_json_file(self.REPORT, tr("Shifts of all bands"))

    def checkParameterValues(self, parameters, context):
        problem = self.pair_problem(parameters, self.SPECTRAL, self.PANCHROMATIC, context)
        return (False, problem) if problem else super().checkParameterValues(parameters, context)

    def prepareAlgorithm(self, parameters, context, feedback):
        self.files = [self.file_of(parameters, name, context) for name in (self.PANCHROMATIC, self.SPECTRAL)]
        return all(self.files)

    def work(self, parameters, context, feedback):
        shift = reader.alignment(reader.open_scene(*self.files))
        names = [tr("all bands"), *(tr("band {}").format(number) for number in range(1, len(shift.bands) + 1))]
        for name, measured in zip(names, (shift, *shift.bands)):
            text = tr("{}: {:+.2f} rows, {:+.2f} columns, confidence {:.2f}")
            feedback.pushInfo(text.format(name, measured.rows, measured.cols, measured.confidence))
        numbers = {self.ROWS: shift.rows, self.COLS: shift.cols, self.CONFIDENCE: shift.confidence}
        return {**numbers, **self.write_json(parameters, self.REPORT, context, asdict(shift))}
