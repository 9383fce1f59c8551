from __future__ import annotations

import json
from dataclasses import asdict

from qgis.core import QgsProcessingOutputNumber, QgsProcessingOutputString, QgsProcessingParameterRasterLayer

from ...ssdiff_core.raster import reader
from ..services.i18n import tr
from .base import Algorithm


class Align(Algorithm):
    """How far MS lies off PAN."""

    ID, LABEL = "align", "Measure the shift between PAN and MS"
    ABOUT = (
        "Measures how far a multispectral layer lies off a panchromatic one, all bands together and each alone, to a "
        "small part of a PAN pixel. Colours bleed at edges from about one pixel on; pansharpening can correct it."
    )
    SPECTRAL, PANCHROMATIC = "SPECTRAL", "PANCHROMATIC"
    ROWS, COLS, CONFIDENCE, REPORT = "ROWS", "COLS", "CONFIDENCE", "REPORT"

    def initAlgorithm(self, configuration=None):
        self.with_help(
            QgsProcessingParameterRasterLayer(self.SPECTRAL, tr("Multispectral layer")),
            tr("Any number of bands; each is also measured alone."),
        )
        self.with_help(
            QgsProcessingParameterRasterLayer(self.PANCHROMATIC, tr("Panchromatic layer")),
            tr("Of the same ground, 1.5 to 8 times as fine. CRS, grid and extent may differ."),
        )
        self.addOutput(QgsProcessingOutputNumber(self.ROWS, tr("Shift down, in PAN pixels")))
        self.addOutput(QgsProcessingOutputNumber(self.COLS, tr("Shift right, in PAN pixels")))
        self.addOutput(QgsProcessingOutputNumber(self.CONFIDENCE, tr("Confidence, from 0 to 1")))
        self.addOutput(QgsProcessingOutputString(self.REPORT, tr("All bands (JSON)")))

    def checkParameterValues(self, parameters, context):
        wrong = self.unfit(parameters, (self.SPECTRAL, self.PANCHROMATIC), context)
        return (False, wrong) if wrong else super().checkParameterValues(parameters, context)

    def prepareAlgorithm(self, parameters, context, feedback):
        self.files = [self.file_of(parameters, name, context) for name in (self.PANCHROMATIC, self.SPECTRAL)]
        return all(self.files)

    def work(self, parameters, context, feedback):
        shift = reader.alignment(reader.open_scene(*self.files))
        for name, one in [("", shift), *((number, band) for number, band in enumerate(shift.bands, 1))]:
            who = tr("band {}").format(name) if name else tr("all bands")
            feedback.pushInfo(
                tr("{}: {:+.2f} rows, {:+.2f} columns, confidence {:.2f}").format(
                    who, one.rows, one.cols, one.confidence
                )
            )
        numbers = {self.ROWS: shift.rows, self.COLS: shift.cols, self.CONFIDENCE: shift.confidence}
        return {**numbers, self.REPORT: json.dumps(asdict(shift))}
