"""The options of the commands: one definition for the command line, PyQGIS, the worker process and QGIS's dialogs.

A field of an options class has its name, type and default here, and an `Option` that says how it is read and shown.
`cli.arguments` builds the arguments of a command from it, and `ssdiff_qgis.algorithms.base` the parameters of an
algorithm. A new option needs its field here, the code that uses it, and the translations of its label and help.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace

from .block_passes import MEMORY, MINIMUM_MEMORY
from .methods import ALIGN, CLASSICAL, CONVENTIONS, DTYPES

INTEGER, NUMBER, TEXT, CHOICE, FLAG = "integer", "number", "text", "choice", "flag"
FILE, BANDS, EXTENT, POLYGONS, CREATION = "file", "bands", "extent", "polygons", "creation options"
SENSOR, WEIGHTS, DEVICE = "sensor", "weights", "device"
MODES = ("auto", "full", "lbaf", "scratch")
"what adapting trains: what suits the network, all of it, one branch after the other, or a new network"
AUTO, NONE = "auto", "none"
MINIMUM_SECONDS, MAXIMUM_SECONDS = 2.0, 3600.0
"limits of the time for adapting to a scene"
BASELINES = ("exp", "mtf-glp-fs")
"classical methods that every assessed image is compared with"
UNCERTAINTY_SAMPLES = 8
"samples of an uncertainty by default: one for each of the eight orientations of a tile (docs/study.md)"
SAMPLE = 40.0
"megapixels that are measured of a larger scene"


@dataclass(frozen=True)
class Option:
    """How an option is read and shown."""

    help: str
    "full sentences; the command line adds the default. If that is None, 0 or empty, the text says what it means"
    label: str = ""
    "noun phrase that QGIS shows; empty: QGIS does not offer the option"
    kind: str = TEXT
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    finite: bool = True
    "whether a number must be neither NaN nor infinite"
    metavar: str | None = None
    "placeholder of the value in the help of the command line"
    flag: str = ""
    "name on the command line, if it is not that of the field"
    parameter: str = ""
    "name of QGIS's parameter, if it is not that of the field in capitals"
    advanced: bool = False
    "whether QGIS shows it among the advanced parameters"
    network: bool = False
    "whether only the network uses it; classical methods do without"
    by_preset: bool = False
    "whether a preset may set it; QGIS then shows no default"
    lasting: bool = True
    "whether a run with another value must not resume an interrupted one"

    def field(self, default) -> dataclasses.Field:
        """Returns the dataclass field of an option with this default."""
        return dataclasses.field(default=default, metadata={"option": self})


def options_of(kind: type) -> dict[str, Option]:
    """Returns the options of a class by the names of their fields."""
    return {item.name: item.metadata["option"] for item in dataclasses.fields(kind) if "option" in item.metadata}


PRESETS: dict[str, dict[str, object]] = {
    "fast": {"samples": 1, "steps": 1, "adapt": NONE},
    "balanced": {},
    "best": {"samples": 4, "adapt": "60"},
    "classical": {"method": "mtf-glp-fs"},
}
"options of pansharpening that a preset sets, instead of their defaults; docs/performance.md has the reasons"
DEFAULT_PRESET = "balanced"
PRESET_OPTION = Option(
    "How much time the run may take. fast: one sample, the weights as they are; balanced: the defaults of the weights, "
    "adapted to the scene for a short time; best: four samples, adapted for longer; classical: the classical method "
    "MTF-GLP-FS. Options that are given win over the preset.",
    "Preset",
    CHOICE,
    tuple(PRESETS),
)


def with_preset(preset: str, given: Mapping[str, object]) -> dict[str, object]:
    """Returns the given options, and those of the preset that are not given; None: not given."""
    values = dict(PRESETS[preset])
    if given.get("uncertainty"):
        values.pop("samples", None)  # the uncertainty sets it
    return values | {name: value for name, value in given.items() if value is not None}


def fingerprint(options) -> dict[str, object]:
    """Returns the values of all options that a resumed run must share with the interrupted one."""
    return {name: getattr(options, name) for name, option in options_of(type(options)).items() if option.lasting}


DEVICE_OPTION = Option(
    "Device to run on: auto, cpu, cuda, cuda:N or mps. auto: the device chosen in the settings of QGIS, otherwise the "
    "fastest that works.",
    "Device",
    DEVICE,
    advanced=True,
    network=True,
    lasting=False,
)
SEED_OPTION = Option(
    "Random seed. The same seed gives the same pixels.", "Seed", INTEGER, minimum=0, advanced=True, network=True
)
SENSOR_OPTION = Option(
    "Sensor of the scene, such as wv3, gf2 or landsat89. auto recognises it from metadata, file names and bands.",
    "Sensor",
    SENSOR,
)
BANDS_OPTION = Option(
    "MS bands to fuse, in output order. Default: all bands that products of the sensor are pansharpened with.",
    "Bands",
    BANDS,
    metavar="1,2,3",
)
EXTENT_OPTION = Option(
    "Restrict the output to this extent, in the CRS of PAN. Its pixels are those of the whole scene.",
    "Extent",
    EXTENT,
    metavar="XMIN,YMIN,XMAX,YMAX",
)
NODATA_IN_OPTION = Option(
    "Value of pixels of PAN and MS that have no data, besides the nodata values of the files. Default: fill is "
    "recognised where it is certain. nan: only the nodata values of the files.",
    "Input nodata value",
    NUMBER,
    finite=False,
    advanced=True,
)
ALIGN_OPTION = Option(
    "Shift between PAN and MS. auto: measure and correct; warn: measure and report; none: skip.",
    "Shift between PAN and MS",
    CHOICE,
    ALIGN,
    advanced=True,
)
MEMORY_OPTION = Option(
    f"Memory for image blocks in MB, at least {MINIMUM_MEMORY}. QGIS takes it from the settings if it is not given.",
    "Memory (MB)",
    INTEGER,
    minimum=MINIMUM_MEMORY,
    metavar="MB",
    advanced=True,
    lasting=False,
)


@dataclass(frozen=True)
class SamplingOptions:
    """How a network is sampled, and on which device."""

    device: str = DEVICE_OPTION.field("auto")
    steps: int | None = Option(
        "Number of sampling steps. Default: set by the weights. More steps are seldom better.",
        "Sampling steps",
        INTEGER,
        minimum=1,
        maximum=1000,
        advanced=True,
        network=True,
        by_preset=True,
    ).field(None)
    samples: int | None = Option(
        "Number of samples to average. Default: set by the weights, or 8 with an uncertainty. 1 is fastest and "
        "slightly less accurate.",
        "Samples",
        INTEGER,
        minimum=1,
        maximum=1000,
        advanced=True,
        network=True,
        by_preset=True,
    ).field(None)
    seed: int = SEED_OPTION.field(0)


@dataclass(frozen=True)
class PansharpenOptions(SamplingOptions):
    """Options of a pansharpening run."""

    method: str = Option(
        "Fusion method: ssdiff, or a classical method: " + ", ".join(CLASSICAL) + ".", by_preset=True
    ).field("ssdiff")
    sensor: str = SENSOR_OPTION.field("auto")
    weights: str = Option(
        "Weights of the network: an ID, a file, or auto for those that fit sensor and bands best. Missing weights are "
        "downloaded on first use.",
        "Weights",
        WEIGHTS,
        network=True,
    ).field("auto")
    extent: tuple[float, float, float, float] | None = EXTENT_OPTION.field(None)
    mask: str = Option(
        "Polygons to fuse. Pixels outside of them become nodata.", "Mask", POLYGONS, metavar="FILE"
    ).field("")
    "polygons as WKT in the CRS of PAN"
    bands: tuple[int, ...] = BANDS_OPTION.field(())
    uncertainty: str = Option(
        "Also write the standard deviation of the network's samples, in counts, for each band. It hints at where the "
        "image is likely to be wrong and is no bound on its error. Unless --samples is given, 8 samples are drawn, "
        "which takes longer.",
        kind=FILE,
        metavar="FILE",
        network=True,
    ).field("")
    nodata_in: float | None = NODATA_IN_OPTION.field(None)
    align: str = ALIGN_OPTION.field("auto")
    adapt: str = Option(
        "Adapt the network to the scene before fusing it: auto, none, or a number of processor seconds. auto: for a "
        "tenth of the expected time of fusing the scene, from 18 to 60 s, if the scene is large enough to learn from "
        "and the weights are on patches. The result is kept for further runs. Default: set by the preset, auto in "
        "balanced.",
        "Adapt to the scene",
        metavar="auto|none|SECONDS",
        network=True,
        by_preset=True,
    ).field(AUTO)
    dtype: str | None = Option(
        "Data type of the output. Default: that of MS.",
        "Data type",
        CHOICE,
        DTYPES,
        parameter="DATA_TYPE",
        advanced=True,
    ).field(None)
    nodata: float | None = Option(
        "Value written where there is no data. Default: taken from the inputs.",
        "Nodata value",
        NUMBER,
        finite=False,
        advanced=True,
    ).field(None)
    memory: int = MEMORY_OPTION.field(MEMORY)
    options: tuple[str, ...] = Option(
        "Creation option of the output's GDAL driver, such as COMPRESS=DEFLATE. In QGIS creation options give a plain "
        "GeoTIFF instead of a cloud-optimised one.",
        "Creation options",
        CREATION,
        metavar="KEY=VALUE",
        flag="co",
        parameter="CREATION_OPTIONS",
        advanced=True,
    ).field(())
    format: str = Option(
        "Output format: a cloud-optimised GeoTIFF or a plain one.", kind=CHOICE, choices=("cog", "gtiff")
    ).field("cog")
    resume: bool = Option("Continue an interrupted run of the same command.", kind=FLAG, lasting=False).field(False)


@dataclass(frozen=True)
class AdaptOptions:
    """Options of adapting weights to scenes."""

    id: str = Option(
        "Name of the new weights, by which Pansharpen finds them: letters, digits and . _ + -. Default: the name of "
        "the weights file, in QGIS that of the multispectral layer.",
        "Name of the new weights",
    ).field("")
    base: str = Option(
        "Weights to start from: an ID, a file, or auto for those that fit the scene best.", "Initial weights", WEIGHTS
    ).field("auto")
    minutes: float = Option(
        "Maximum training time in minutes. Default: 1 for weights on patches, 20 for others; on a GPU 0.5 and 3.",
        "Maximum training time (minutes)",
        NUMBER,
        minimum=0.1,
    ).field(0.0)
    sensor: str = SENSOR_OPTION.field("auto")
    bands: tuple[int, ...] = replace(BANDS_OPTION, label="").field(())
    nodata_in: float | None = replace(NODATA_IN_OPTION, label="").field(None)
    align: str = Option(
        "Shift between PAN and MS. auto: measure and correct; none: skip.", kind=CHOICE, choices=("auto", "none")
    ).field("auto")
    mode: str = Option(
        "What is trained. full: all layers of the network; lbaf: one branch of it after the other; scratch: a new "
        "network; auto: full for weights on patches, otherwise lbaf.",
        "Training mode",
        CHOICE,
        MODES,
        advanced=True,
    ).field("auto")
    device: str = DEVICE_OPTION.field("auto")
    steps: int = Option(
        "Number of training steps, instead of a training time.", "Training steps", INTEGER, minimum=1, advanced=True
    ).field(0)
    seed: int = replace(SEED_OPTION, help="Random seed. The same seed gives the same weights.").field(1)
    memory: int = replace(MEMORY_OPTION, label="").field(MEMORY)


@dataclass(frozen=True)
class AssessOptions:
    """Options of an assessment."""

    sensor: str = replace(SENSOR_OPTION, help="Sensor whose MTF the measures assume. auto recognises it.").field("auto")
    bands: tuple[int, ...] = replace(BANDS_OPTION, help="MS bands, in the order of the fused image.", label="").field(
        ()
    )
    extent: tuple[float, float, float, float] | None = replace(
        EXTENT_OPTION, help="Restrict the assessment to this extent, in the CRS of PAN.", label=""
    ).field(None)
    convention: str = Option(
        "Position of MS on PAN. geometric: as the georeferencing gives it; toolbox: as in published figures.",
        "Convention",
        CHOICE,
        CONVENTIONS,
        advanced=True,
    ).field("geometric")
    crop: bool = Option(
        "With a reference: exclude the border that the MATLAB toolbox excludes, about 21 pixels on each side.",
        "Exclude border",
        FLAG,
        advanced=True,
    ).field(False)
    nodata_in: float | None = replace(NODATA_IN_OPTION, label="").field(None)
    align: str = replace(
        ALIGN_OPTION,
        help="Shift between PAN and MS. auto: measure and correct; warn: measure and report, and correct it if it was "
        "corrected in the image; none: skip.",
    ).field("warn")
    sample: float = Option(
        "Megapixels to measure of a larger scene, in random blocks. 0: all.",
        "Megapixels to measure",
        NUMBER,
        minimum=0,
        metavar="MPX",
        advanced=True,
    ).field(SAMPLE)
    seed: int = replace(
        SEED_OPTION, help="Random seed of the measured blocks, and of ssdiff with wald.", label=""
    ).field(0)
    memory: int = replace(MEMORY_OPTION, label="").field(MEMORY)
    baselines: tuple[str, ...] = BASELINES
    "methods that every image is compared with"
