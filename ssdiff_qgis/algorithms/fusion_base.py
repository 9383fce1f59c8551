"""Base class of the algorithms that fuse: their inputs, the file they write, and the layer it becomes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from qgis.core import (
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterRasterDestination,
    QgsProcessingUtils,
)

from ...ssdiff_core.common.files import check_targets
from ...ssdiff_core.common.notices import Notice
from ...ssdiff_core.domain.methods import LABELS, NETWORK
from ...ssdiff_core.domain.options import DEFAULT_PRESET, AssessOptions, PansharpenOptions
from ...ssdiff_core.raster.input_files import files_read
from ...ssdiff_core.workflows import assess
from ...ssdiff_core.workflows.pansharpen import pansharpen
from ..services.i18n import log_notices, tr
from ..services.styling import FusedStyler, UncertaintyStyler, keep_reference
from .base import Algorithm, Progress, RunProgress, classical_backend, missing_runtime, showing_errors
from .delivery import DELIVERY, Inputs, add_delivery, delivered_inputs, layer_inputs, missing_inputs

FUSED_SHARE = 0.85
"share of the progress bar for fusing if a report follows"


@dataclass(frozen=True)
class Job:
    """Inputs and options of a run."""

    inputs: Inputs
    options: PansharpenOptions


class Fusion(Algorithm):
    """Base class of the algorithms that fuse PAN and MS."""

    SPECTRAL, PANCHROMATIC = "SPECTRAL", "PANCHROMATIC"
    OUTPUT, UNCERTAINTY, REPORT = "OUTPUT", "UNCERTAINTY", "REPORT"
    DISCARD = "DISCARD"
    USED = "USED"
    SKIPPED_OPTIONS: tuple[str, ...] = ()
    "options that the algorithm does not offer"
    fetch = None
    "downloads missing weights"

    def initAlgorithm(self, configuration=None):
        self.add_pair(
            self.SPECTRAL,
            self.PANCHROMATIC,
            tr("Any number of bands. If there is one file for each band, build a virtual raster first."),
            tr("Layer of the same area with 1.5 to 8 times the resolution. CRS, grid and extent may differ."),
            optional=True,
        )
        add_delivery(self)
        self.add_own_parameters()
        self.add_options(PansharpenOptions, advanced=False, skip=self.SKIPPED_OPTIONS)
        self.add_options(PansharpenOptions, advanced=True, skip=self.SKIPPED_OPTIONS)
        self.add_parameter(
            QgsProcessingParameterBoolean(self.DISCARD, tr("Discard a cancelled run"), False),
            tr(
                "Start again from the beginning. By default, a run with the same inputs, options and output file goes "
                "on where it was cancelled. Working files that are not used for 30 days are removed."
            ),
            advanced=True,
        )
        self.add_parameter(
            QgsProcessingParameterRasterDestination(self.OUTPUT, tr("Pansharpened")),
            tr("Cloud-optimised GeoTIFF, unless creation options are given."),
        )
        self.add_parameter(
            QgsProcessingParameterFileDestination(
                self.REPORT, tr("Quality report"), tr("HTML files (*.html)"), optional=True, createByDefault=False
            ),
            tr("Self-contained HTML page with quality measures, maps and crops of the result."),
        )
        self.addOutput(QgsProcessingOutputString(self.USED, tr("Method or weights used")))

    # --- for subclasses ------------------------------------------------------------------------------------------

    def add_own_parameters(self) -> None:
        """Adds parameters that are not options of pansharpening."""

    def own_options(self, parameters, context) -> dict:
        """Returns the options that those parameters set."""
        return {}

    def uncertainty(self, parameters, context) -> str:
        """Returns the uncertainty file to write; empty: none."""
        return ""

    def preset(self, parameters, context) -> str:
        """Returns the preset of the options."""
        return DEFAULT_PRESET

    def needs_runtime(self, parameters, context) -> bool:
        """Returns whether a run with these parameters needs PyTorch."""
        return False

    # --- preparation ---------------------------------------------------------------------------------------------

    def checkParameterValues(self, parameters, context):
        problem = missing_inputs(self, parameters)
        if not problem and not parameters.get(DELIVERY):
            problem = self.pair_problem(parameters, self.SPECTRAL, self.PANCHROMATIC, context)
        if self.needs_runtime(parameters, context):
            problem = problem or missing_runtime()
        return (False, problem) if problem else super().checkParameterValues(parameters, context)

    @showing_errors
    def prepareAlgorithm(self, parameters, context, feedback):
        self._place = self.parameterAsString(parameters, DELIVERY, context)
        self._layers = None if self._place else layer_inputs(self, parameters, context)
        return True

    # --- the work ------------------------------------------------------------------------------------------------

    def run_name(self):
        return f"{self.displayName()}, {self.job.inputs.name}"

    def _job(self, parameters, context, feedback) -> Job:
        """Returns the run that the parameters describe. A delivery is searched here, in the background."""
        inputs = self._layers or delivered_inputs(self._place, feedback)
        own = self.own_options(parameters, context)
        own["uncertainty"] = "" if self.is_skipped(parameters, self.UNCERTAINTY) else str(parameters[self.UNCERTAINTY])
        preset = self.preset(parameters, context)
        options = self.read_options(parameters, context, PansharpenOptions, inputs.crs, preset, **own)
        sensor = inputs.sensor if options.sensor == "auto" else options.sensor
        return Job(inputs, replace(options, sensor=sensor, format="gtiff" if options.options else "cog"))

    def work(self, parameters, context, feedback):
        self.job = job = self._job(parameters, context, feedback)
        pan, ms = job.inputs.pan, job.inputs.ms
        backend = self.worker_backend(feedback) if job.options.method == NETWORK else classical_backend(feedback)
        out = self.parameterAsOutputLayer(parameters, self.OUTPUT, context)
        uncertainty = self.uncertainty(parameters, context)
        page = self.parameterAsFileOutput(parameters, self.REPORT, context)
        progress, log = RunProgress(feedback, FUSED_SHARE if page else 1.0), log_notices(feedback)

        def notify(notice: Notice) -> None:
            progress.receive(notice)
            log(notice)

        resume = not is_temporary(out) and not self.parameterAsBool(parameters, self.DISCARD, context)
        options = replace(job.options, uncertainty=uncertainty, resume=resume)
        check_targets(page, inputs=[out, *files_read([pan, ms])])
        result = pansharpen(pan, ms, out, options, notify, progress, backend, self.fetch)
        results = {self.OUTPUT: out, self.USED: result.provenance.get("weights", result.provenance["method"])}
        if uncertainty:
            results[self.UNCERTAINTY] = uncertainty
        if page:
            self._report(out, page, feedback)
            results[self.REPORT] = page
        self.stylers = {
            out: (tr("{} pansharpened ({})"), FusedStyler(job.inputs.style, result)),
            uncertainty: (tr("{} uncertainty ({})"), UncertaintyStyler(result)),
        }
        return results

    def _report(self, out: str, page: str, feedback) -> None:
        job = self.job
        names = ("sensor", "bands", "memory", "align")
        options = AssessOptions(**{name: getattr(job.options, name) for name in names})
        pan, ms = job.inputs.pan, job.inputs.ms
        (study,) = assess.open_studies([Path(out)], pan, [ms], None, options, lambda message: None)
        assess.assess_and_report(study, options, page, Progress(feedback, FUSED_SHARE))

    def postProcessAlgorithm(self, context, feedback):
        """Names and styles the layers, in the main thread."""
        for path, (name, styler) in getattr(self, "stylers", {}).items():
            if context.willLoadLayerOnCompletion(path):
                details = context.layerToLoadOnCompletionDetails(path)
                details.name = name.format(self.job.inputs.name, LABELS[self.job.options.method])
                details.setPostProcessor(keep_reference(styler))
        return {}


def is_temporary(path: str) -> bool:
    """Returns whether an output is in the temporary folder of Processing, where no later run can resume it."""
    return Path(QgsProcessingUtils.tempFolder()) in Path(path).parents
