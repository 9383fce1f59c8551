"""Base class of the algorithms: parameters from options, errors, progress, and the backend that computes."""

from __future__ import annotations

import contextlib
import functools
import json
import re
import time
from dataclasses import fields
from pathlib import Path

import qgis.utils
from qgis.core import (
    QgsCoordinateTransform,
    QgsExpressionContext,
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingParameterBand,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtGui import QIcon

from ...ssdiff_core.common.errors import Cancelled, NoPythonError
from ...ssdiff_core.common.failures import debugging, traceback_of
from ...ssdiff_core.common.files import check_targets, write_whole
from ...ssdiff_core.common.notices import Notice
from ...ssdiff_core.common.paths import RESOURCES
from ...ssdiff_core.common.progress import duration
from ...ssdiff_core.domain import options as kinds
from ...ssdiff_core.domain import sensors
from ...ssdiff_core.domain.options import DEFAULT_PRESET, Option, options_of, with_preset
from ...ssdiff_core.raster import polygon_mask
from ...ssdiff_core.weights import catalogue
from ...ssdiff_core.worker.client.backend import WorkerBackend
from ...ssdiff_core.workflows.classical_backend import ClassicalBackend
from ..panel.layer_pairs import pair_of_project
from ..services import compat, runtime, settings, threads
from ..services.i18n import log_notices, tr, tr_error

ICON = RESOURCES / "icon.svg"
HELP = RESOURCES / "help"
"pages of the documentation, which the zip contains (scripts/help_pages.py)"
ESTIMATE_AFTER = 5.0
"seconds after which the time left is shown"
ESTIMATE_INTERVAL = 30.0
"seconds between two estimates"
DEVICES = ("auto", "cpu", "cuda", "mps")


def showing_errors(method):
    """Decorates a method of an algorithm to raise all errors as one sentence that QGIS shows."""

    @functools.wraps(method)
    def wrapped(self, parameters, context, feedback):
        try:
            return method(self, parameters, context, feedback)
        except QgsProcessingException:
            raise
        except Exception as error:
            feedback.pushDebugInfo(getattr(error, "log", ""))
            if debugging():
                feedback.pushDebugInfo(traceback_of(error))
            raise QgsProcessingException(tr_error(error, self.input_files(parameters, context))) from None

    return wrapped


class Algorithm(QgsProcessingAlgorithm):
    """Base class of the algorithms.

    Subclasses define ID, LABEL, TAGS, ABOUT and PAGE, add parameters with a help text each, and implement `work` (QGIS
    uses the names run and processAlgorithm itself).
    """

    ID = LABEL = ABOUT = ""
    TAGS = ("pansharpen", "fusion", "ssdiff")
    PAGE = "qgis.md"
    "page of the documentation that the Help button opens"

    def name(self):
        return self.ID

    def displayName(self):
        return tr(self.LABEL)

    def tags(self):
        return list(self.TAGS)

    def icon(self):
        return QIcon(str(ICON))

    def shortDescription(self):
        return re.split(r"\. |。", tr(self.ABOUT))[0]

    def shortHelpString(self):
        """Returns the help beside the dialog; without windows, qgis_process prints it, so it has no HTML then."""
        described = [parameter for parameter in self.parameterDefinitions() if parameter.help()]
        if not qgis.utils.iface:
            return "\n\n".join([tr(self.ABOUT), *(f"{each.description()}: {each.help()}" for each in described)])
        helps = "".join(f"<p><b>{each.description()}</b><br>{each.help()}</p>" for each in described)
        return f"<p>{tr(self.ABOUT)}</p>{helps}"

    def helpUrl(self):
        page = HELP / Path(self.PAGE).with_suffix(".html")
        if page.is_file():
            return QUrl.fromLocalFile(str(page)).toString()
        return f"{catalogue.repository()}/blob/HEAD/docs/{self.PAGE}"

    def createInstance(self):
        return type(self)()

    # --- parameters ----------------------------------------------------------------------------------------------

    def add_parameter(self, parameter: QgsProcessingParameterDefinition, text: str, advanced: bool = False) -> None:
        """Adds a parameter with its help text."""
        parameter.setHelp(text)
        if advanced:
            parameter.setFlags(parameter.flags() | compat.ADVANCED)
        self.addParameter(parameter)

    def add_choice(
        self, name: str, label: str, choices, default: str, text: str, advanced: bool = False, metadata=None
    ) -> None:
        """Adds a choice whose values are texts, so that scripts and models stay valid when the list grows."""
        parameter = QgsProcessingParameterEnum(name, label, list(choices), defaultValue=default, usesStaticStrings=True)
        parameter.setMetadata(metadata or {})
        self.add_parameter(parameter, text, advanced)

    def add_pair(
        self, spectral: str, panchromatic: str, spectral_text: str, panchromatic_text: str, optional: bool = False
    ) -> None:
        """Adds the two layers to fuse, with their help texts."""
        in_window = qgis.utils.iface and threads.is_main()
        pair = (pair_of_project() if in_window else None) or (None, None)
        for name, label, text, layer in (
            (spectral, tr("Multispectral layer"), spectral_text, pair[1]),
            (panchromatic, tr("Panchromatic layer"), panchromatic_text, pair[0]),
        ):
            parameter = QgsProcessingParameterRasterLayer(name, label, optional=optional)
            if layer:  # otherwise QGIS would preselect the same layer twice
                parameter.setGuiDefaultValueOverride(layer)
            self.add_parameter(parameter, text)

    def pair_problem(self, parameters, spectral: str, panchromatic: str, context) -> str | None:
        """Returns why two layers cannot be fused: if they are unreadable or the same one; None if they can."""
        ms, pan = (self.file_of(parameters, name, context) for name in (spectral, panchromatic))
        if ms and ms == pan:
            return tr("Select two different layers: a panchromatic and a multispectral one.")
        return self.unreadable(parameters, (spectral, panchromatic), context)

    def add_json_file(self, name: str, label: str) -> None:
        """Adds an optional JSON file with all results, which scripts and models can read."""
        self.add_parameter(
            QgsProcessingParameterFileDestination(
                name, label, tr("JSON files (*.json)"), optional=True, createByDefault=False
            ),
            tr("JSON file with all results, for scripts and models."),
            advanced=True,
        )

    def write_json(self, parameters, name: str, context, values: object) -> dict[str, str]:
        """Writes the values into the JSON file, if one is requested; returns it as an output."""
        path = self.parameterAsFileOutput(parameters, name, context)
        if not path:
            return {}
        check_targets(path)
        write_whole(path, json.dumps(values, indent=2) + "\n")
        return {name: path}

    def pair_layers(self, parameters, context, spectral: str, panchromatic: str) -> list[QgsRasterLayer]:
        """Returns the two layers to fuse."""
        layers = []
        for name in (spectral, panchromatic):
            layers.append(self.parameterAsRasterLayer(parameters, name, context))
            if layers[-1] is None:
                raise QgsProcessingException(self.invalidRasterError(parameters, name))
        return layers

    def add_options(self, options: type, advanced: bool, skip=()) -> None:
        """Adds a parameter for each basic, or each advanced, option that has a label."""
        defaults = {item.name: item.default for item in fields(options)}
        for name, option in options_of(options).items():
            if option.label and option.advanced == advanced and name not in skip:
                self.add_option(name, option, defaults[name])

    def add_option(self, field: str, option: Option, default) -> None:
        """Adds the parameter of an option."""
        name, label, text = parameter_name(field, option), tr(option.label), tr(option.help)
        if option.kind == kinds.CHOICE:
            choices = option.choices if default else ("auto", *option.choices)
            self.add_choice(name, label, choices, default or "auto", text, option.advanced)
        elif option.kind == kinds.SENSOR:
            self.add_choice(name, label, ("auto", *sensors.ids()), default, text, option.advanced, widget_of("Sensor"))
        elif option.kind == kinds.DEVICE:
            self.add_choice(name, label, DEVICES, default, text, option.advanced)
        elif option.kind == kinds.WEIGHTS:
            ids = ", ".join(entry.id for entry in catalogue.known())
            parameter = QgsProcessingParameterString(name, label, default)
            parameter.setMetadata(widget_of("Weights"))
            self.add_parameter(parameter, f"{text} " + tr("Known weights: {}").format(ids), option.advanced)
        else:
            self.add_parameter(PARAMETERS[option.kind](name, label, option, default), text, option.advanced)

    def read_options(self, parameters, context, options: type, crs=None, preset: str = DEFAULT_PRESET, **given):
        """Returns the options that the parameters set, and those of the preset that they do not set.

        crs: CRS of PAN; given: values that replace parameters.
        """
        values = {}
        for name, option in options_of(options).items():
            parameter = parameter_name(name, option)
            if name not in given and option.label and self.parameterDefinition(parameter):
                values[name] = self._read_option(parameters, context, parameter, option, crs)
        values = {name: value for name, value in (values | given).items() if value is not UNSET}
        return options(**with_preset(preset, values))

    def _read_option(self, parameters, context, name: str, option: Option, crs):
        """Returns the value of an option; UNSET if its default applies."""
        if option.kind in (kinds.CHOICE, kinds.SENSOR):
            value = self.chosen(parameters, name, context)
            return UNSET if value == "auto" and "auto" not in option.choices else value
        if option.kind == kinds.DEVICE:
            return device(self.chosen(parameters, name, context))
        if option.kind in (kinds.INTEGER, kinds.NUMBER):
            if parameters.get(name) is None and self.parameterDefinition(name).defaultValue() is None:
                return settings.memory() if option is kinds.MEMORY_OPTION else UNSET
            value = self.parameterAsDouble(parameters, name, context)
            return int(value) if option.kind == kinds.INTEGER else value
        if option.kind == kinds.FLAG:
            return self.parameterAsBool(parameters, name, context)
        if option.kind == kinds.BANDS:
            return tuple(self.parameterAsInts(parameters, name, context))
        if option.kind == kinds.EXTENT:
            return self._extent(parameters, name, crs, context)
        if option.kind == kinds.POLYGONS:
            return self._polygons(parameters, name, crs, context)
        text = self.parameterAsString(parameters, name, context)
        if option.kind == kinds.CREATION:
            return tuple(part for part in text.split("|") if part)
        return text or UNSET

    def _extent(self, parameters, name: str, crs, context):
        extent = self.parameterAsExtent(parameters, name, context, crs)
        if extent.isNull():
            return None
        return extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()

    def _polygons(self, parameters, name: str, crs, context) -> str:
        """Returns the union of a layer's polygons as WKT in the CRS."""
        source = self.parameterAsSource(parameters, name, context)
        if source is None and parameters.get(name):
            raise QgsProcessingException(self.invalidSourceError(parameters, name))
        if source is None:
            return ""
        to_crs = QgsCoordinateTransform(source.sourceCrs(), crs, context.transformContext())
        shapes = [feature.geometry() for feature in source.getFeatures() if feature.hasGeometry()]
        for shape in shapes:
            shape.transform(to_crs)
        if not shapes:
            raise QgsProcessingException(tr("The mask layer contains no polygons."))
        return polygon_mask.united(shape.asWkt() for shape in shapes)

    def chosen(self, parameters, name: str, context) -> str:
        return self.parameterAsEnumString(self._with_names(parameters), name, context)

    def checkParameterValues(self, parameters, context):
        return super().checkParameterValues(self._with_names(parameters), context)

    def _with_names(self, parameters) -> dict:
        """Returns the parameters with the names of choices that are given by their numbers, as qgis_process lists."""
        named = dict(parameters)
        for parameter in self.parameterDefinitions():
            value, name = str(parameters.get(parameter.name())), parameter.name()
            if isinstance(parameter, QgsProcessingParameterEnum) and value.isdigit():
                named[name] = dict(enumerate(parameter.options())).get(int(value), value)
        return named

    def file_of(self, parameters, name: str, context) -> str | None:
        """Returns the path of a raster layer that GDAL reads; None if no layer is given."""
        layer = self.parameterAsRasterLayer(parameters, name, context)
        return None if layer is None else path_of(layer)

    def input_files(self, parameters, context) -> list[str]:
        """Returns the sources of the raster layers that are parameters."""
        rasters = [each for each in self.parameterDefinitions() if isinstance(each, QgsProcessingParameterRasterLayer)]
        layers = [self.parameterAsRasterLayer(parameters, each.name(), context) for each in rasters]
        return [path_of(layer) for layer in layers if layer is not None]

    def unreadable(self, parameters, names, context) -> str | None:
        """Returns why one of these layers cannot be read as pixels, None if all can be."""
        for name in names:
            layer = self.parameterAsRasterLayer(parameters, name, context)
            if layer is not None and layer.providerType() != "gdal":
                message = tr("{} is a layer of type {}, whose pixels cannot be read. Export it as a GeoTIFF first.")
                return message.format(layer.name(), layer.providerType())
        return None

    def output_layer(self, parameters, name: str, context) -> str:
        """Returns the path of an optional output layer; empty if none is requested."""
        return "" if self.is_skipped(parameters, name) else self.parameterAsOutputLayer(parameters, name, context)

    def is_skipped(self, parameters, name: str) -> bool:
        """Returns whether an optional output layer is not requested.

        Batch processing passes a definition with an empty path, which QGIS would try to load.
        """
        value = parameters.get(name)
        if isinstance(value, QgsProcessingOutputLayerDefinition):
            return not value.sink.valueAsString(QgsExpressionContext())[0]
        return not value

    # --- the work ------------------------------------------------------------------------------------------------

    @showing_errors
    def processAlgorithm(self, parameters, context, feedback):
        with contextlib.ExitStack() as self._resources:
            try:
                return threads.responsive(lambda: self.work(parameters, context, feedback))
            except Cancelled:
                feedback.pushInfo(tr("Cancelled."))
                return {}

    def run_name(self) -> str:
        """Returns the name by which other runs are told that they wait for this one."""
        return self.displayName()

    def worker_backend(self, feedback) -> WorkerBackend:
        """Returns the backend that computes in a worker process until the algorithm ends, and logs to its feedback."""
        preview = getattr(feedback, "is_preview", False)
        worker = self._resources.enter_context(runtime.use(self.run_name(), preview))
        feedback.pushInfo(tr("Python interpreter in use: {}").format(worker.python))
        return WorkerBackend(worker, log_notices(feedback), feedback.isCanceled, self.run_name())


def widget_of(name: str) -> dict:
    """Returns the metadata of a parameter that is shown with one of the widgets of parameter_widgets."""
    return {"widget_wrapper": {"class": f"{__package__}.parameter_widgets.{name}"}}


UNSET = object()
"value of an option whose default applies"


def parameter_name(field: str, option: Option) -> str:
    """Returns the name of the parameter for an option."""
    return option.parameter or field.upper()


def _number(name: str, label: str, option: Option, default) -> QgsProcessingParameterNumber:
    kind = compat.INTEGER if option.kind == kinds.INTEGER else compat.DOUBLE
    unset = (
        default is None or option is kinds.MEMORY_OPTION or (option.minimum is not None and default < option.minimum)
    )
    parameter = QgsProcessingParameterNumber(name, label, kind, None if unset else default, unset)
    if option.minimum is not None:
        parameter.setMinimum(option.minimum)
    if option.maximum is not None:
        parameter.setMaximum(option.maximum)
    return parameter


def _creation_options(name: str, label: str, option: Option, default) -> QgsProcessingParameterString:
    parameter = QgsProcessingParameterString(name, label, "", optional=True)
    parameter.setMetadata({"widget_wrapper": {"widget_type": "rasteroptions"}})
    return parameter


def _bands(name: str, label: str, option: Option, default) -> QgsProcessingParameterBand:
    return QgsProcessingParameterBand(
        name, label, parentLayerParameterName="SPECTRAL", optional=True, allowMultiple=True
    )


PARAMETERS = {
    kinds.INTEGER: _number,
    kinds.NUMBER: _number,
    kinds.TEXT: lambda name, label, option, default: QgsProcessingParameterString(
        name, label, "" if option.by_preset else default, optional=True
    ),
    kinds.FLAG: lambda name, label, option, default: QgsProcessingParameterBoolean(name, label, default),
    kinds.BANDS: _bands,
    kinds.EXTENT: lambda name, label, option, default: QgsProcessingParameterExtent(name, label, optional=True),
    kinds.POLYGONS: lambda name, label, option, default: QgsProcessingParameterFeatureSource(
        name, label, [compat.VECTOR_POLYGON], optional=True
    ),
    kinds.CREATION: _creation_options,
}
"builds the parameter of an option, by its kind"


def path_of(layer: QgsRasterLayer) -> str:
    """Returns the source that GDAL opens, without the layer's open options."""
    return layer.source().split("|")[0]


def classical_backend(feedback) -> ClassicalBackend:
    """Returns the backend that computes classical methods in QGIS's process until the user cancels."""

    def tick() -> None:
        if feedback.isCanceled():
            raise Cancelled("cancelled")

    return ClassicalBackend(tick)


def missing_runtime() -> str | None:
    """Returns why no Python with PyTorch is available, None if one is."""
    try:
        runtime.interpreter()
    except NoPythonError as error:
        return tr_error(error)
    return None


def device(name: str) -> str:
    """Returns the device; for auto the one chosen in the settings."""
    return settings.device() if name == "auto" else name


class Progress:
    """Shows the progress of a part of the work, its speed and the time left; raises Cancelled if the user cancels."""

    def __init__(self, feedback, start: float = 0.0, end: float = 1.0, pixels: int = 0, until: float | None = None):
        """start, end: shares of the bar. pixels: of the part; 0: no speed is shown.

        until: share to which the time left is told; default: the end of the part.
        """
        self._feedback, self._begin, self._end, self._pixels = feedback, start, end, pixels
        self._until = end if until is None else until
        self._start: tuple[float, float] | None = None
        self._estimated = 0.0

    def __call__(self, share: float) -> None:
        if self._feedback.isCanceled():
            raise Cancelled("cancelled")
        done = self._begin + (self._end - self._begin) * share
        self._feedback.setProgress(100 * done)
        now = time.monotonic()
        self._start = self._start or (now, share)
        elapsed, gained = now - self._start[0], (share - self._start[1]) * (self._end > self._begin)
        if gained > 0 and share < 1 and elapsed > ESTIMATE_AFTER and now - self._estimated > ESTIMATE_INTERVAL:
            self._estimated = now
            left = duration((self._until - done) / (self._end - self._begin) * elapsed / gained)
            self._feedback.setProgressText(self._text(done, left, gained * self._pixels / elapsed))

    def _text(self, done: float, left: str, speed: float) -> str:
        if not speed:
            return tr("{:.0%} done, about {} left").format(done, left)
        return tr("{:.0%} done, {:.3g} million pixels a second, about {} left").format(done, speed / 1e6, left)


class RunProgress:
    """The progress of a pansharpening run: adapting and fusing share the bar by their estimated times."""

    def __init__(self, feedback, end: float = 1.0):
        """end: share of the bar at the end of the run."""
        self._feedback, self._end, self._adapted = feedback, end, 0.0

    def receive(self, notice: Notice) -> None:
        """Takes the estimate among the notices of the run."""
        if "total" in notice.values:
            self._adapted = self._end * notice.values["adapting"] / notice.values["total"]

    def __call__(self, pixels: int) -> Progress:
        """Returns the progress of a part of the run: adapting if there are no pixels, else fusing them."""
        if pixels:
            return Progress(self._feedback, self._adapted, self._end, pixels)
        return Progress(self._feedback, 0.0, self._adapted, until=self._end)
