"""Training recipes: TOML files that define the weights to train, the simulated sensors and the training schedule."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields

from ..common.errors import ConfigError
from ..model.ssnet import BRANCHES
from ..weights.card import NAMING, is_id
from ..weights.model_config import Config

TYPES = {"int": int, "float": (int, float), "str": str, "tuple": (list, tuple), "dict": dict, "None": type(None)}
"Python types that are valid for each type in the annotation of a field"
TYPE_NAMES = {"int": "a whole number", "float": "a number", "str": "a text", "tuple": "a list", "dict": "a table"}
ZERO_ALLOWED = (
    "seed",
    "steps",
    "warmup",
    "patience",
    "ms_phase",
    "noisiest",
    "quiet",
    "unshared",
    "validate",
    "distilled",
)
"entries that may be 0; all other numbers must be positive"
OWN_KEYS = ("bands", "ratio", "tile", "guides", "views", "quiet")
"entries of the network's Config that follow from other entries of the recipe"
NET_KEYS = [item.name for item in fields(Config) if item.name not in OWN_KEYS]
"entries of `net`"


@dataclass(frozen=True)
class Stage:
    """A stage of training, with its own tile size and learning rate."""

    tile: int = 32
    steps: int = 10000
    batch: int = 32
    rate: float = 1e-3
    "maximum learning rate"
    warmup: int = 300
    final: float = 0.01
    "learning rate at the end of the stage, as a share of the maximum; 1: it stays constant after the warm-up"
    branch: str | None = None
    "spatial or spectral: only this branch is trained (L-BAF); None: all layers"


@dataclass(frozen=True)
class Recipe:
    """A training recipe. The entries of the TOML file have the names of these fields."""

    id: str
    sensors: tuple[str, ...]
    "sensors to simulate; each scene is of one of them, chosen at random"
    bands: tuple[str, ...]
    wavelengths_nm: tuple[float, ...] = ()
    ratio: int = 4
    stages: tuple[Stage, ...] = (Stage(),)
    seed: int = 1
    base: str = "mtf-glp-fs"
    scale: float | str = "moments"
    interpolation: str = "cubic"
    ms_phase: float | None = None
    "position of the first MS sample that the network expects, as in a card; None: corner-aligned"
    guides: int = 2
    views: tuple[str, ...] = ()
    samples: int = 1
    "default number of samples that an image is the mean of"
    residual_sigma: float | None = None
    "None: measured on the first scenes"
    quiet: float = 0.0
    "share of the training steps without noise, at the noisiest step; above 0, a single sample of one step needs none"
    reuse: int = 1
    "number of times that the samples of a pool are used, rotated or mirrored at random from the second time on"
    noisiest: float = 0.7
    "share of training samples at the noisiest step, where few-step sampling starts"
    unshared: float = 0.0
    "maximum strength of the detail of PAN that no band shares (see simulate.Draw); 0: none"
    held_out: tuple[str, ...] = ("santa_monica", "eureka", "liverpool", "landsat7_37", "landsat7_39")
    "parts of the names of places that are held out"
    pool: int = 24
    "number of scenes, or of consecutive images of a set, whose tiles are shuffled together"
    most: int = 24
    "maximum number of tiles from one scene"
    validate: int = 500
    "steps between two evaluations on what is held out; 0: after each epoch of a set of images"
    sampling_steps: int = 1
    "default number of sampling steps of the weights"
    ema: float = 0.9995
    "decay of the moving average of the parameters, which the weights are; it is lower at the beginning"
    patience: int = 0
    "evaluations without improvement after which a stage ends with its best weights; 0: no early stopping"
    distilled: float = 0.0
    "share of the target that is the answer of a teacher (see distillation); the rest is the truth"
    net: dict = field(default_factory=dict)
    "further entries of the network's Config"

    def config(self, tile: int) -> Config:
        """Returns the architecture of the network."""
        return Config(
            bands=len(self.bands),
            ratio=self.ratio,
            tile=tile,
            guides=self.guides,
            views=self.views,
            quiet=self.quiet > 0,
            **self.net,
        )


def read_recipe(text: str) -> Recipe:
    """Reads a recipe from TOML.

    Raises ConfigError if an entry is unknown, missing or invalid.
    """
    try:
        import tomllib
    except ImportError:  # Python before 3.11
        import tomli as tomllib
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"invalid recipe: {error}") from None
    stages = values.pop("stages", [{}])
    if not (isinstance(stages, list) and all(isinstance(stage, dict) for stage in stages)):
        raise _error("stages must be a list of tables, each written as [[stages]]")
    recipe = _build(Recipe, {**values, "stages": tuple(_build(Stage, stage) for stage in stages)})
    if not is_id(recipe.id):
        raise _error(f"{recipe.id!r} is not a valid id of weights: {NAMING}")
    unknown = [name for name in recipe.net if name not in NET_KEYS]
    if unknown:
        raise _error(f"net has no entry {unknown[0]!r}; its entries are {', '.join(NET_KEYS)}")
    return recipe


def _error(reason: str) -> ConfigError:
    return ConfigError(f"invalid recipe: {reason}")


def _build(kind: type, values: dict):
    """Returns a dataclass with these values, with lists as tuples, after checking them against its annotations."""
    entries = {item.name: item for item in fields(kind)}
    for name, value in values.items():
        if name not in entries:
            raise _error(f"there is no entry {name!r}; the entries are {', '.join(entries)}")
        _check(name, value, entries[name].type)
    for name, item in entries.items():
        if item.default is MISSING and item.default_factory is MISSING and name not in values:
            raise _error(f"the entry {name} is missing")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def _check(name: str, value, annotation: str) -> None:
    """Raises ConfigError if a value does not have the annotated type, or a number is not positive."""
    outer, _, inner = annotation.partition("[")
    allowed = tuple(TYPES[kind] for kind in outer.split(" | "))
    if isinstance(value, bool) or not isinstance(value, allowed):
        raise _error(f"{name} must be {TYPE_NAMES[outer.split(' | ')[0]]}, not {value!r}")
    if isinstance(value, list):
        for item in value:
            _check(f"each item of {name}", item, inner.split(",")[0])
    if isinstance(value, (int, float)) and not (value > 0 or (value == 0 and name in ZERO_ALLOWED)):
        minimum = "0 or more" if name in ZERO_ALLOWED else "more than 0"
        raise _error(f"{name} must be {minimum}, not {value}")
    if name == "branch" and value not in BRANCHES:
        raise _error(f"branch must be one of {', '.join(BRANCHES)}, not {value!r}")
