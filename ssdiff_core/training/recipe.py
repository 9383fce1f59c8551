"""What a person writes to have weights made: a TOML text, read whole or refused in one sentence."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields

from ..common.errors import ConfigError
from ..model.ssnet import BRANCHES
from ..weights.model_config import Config

KINDS = {"int": int, "float": (int, float), "str": str, "tuple": (list, tuple), "dict": dict, "None": type(None)}
"what may stand for each kind that a field names"
WORDS = {"int": "a whole number", "float": "a number", "str": "a text", "tuple": "a list", "dict": "a table"}
MAY_BE_NOTHING = ("seed", "steps", "warmup", "patience", "ms_phase", "noisiest")
"entries that may be 0; all other numbers are more"
NET = [item.name for item in fields(Config) if item.name not in ("bands", "ratio", "tile", "guides", "views")]
"what of a network its table may say; the rest follows from other entries"


@dataclass(frozen=True)
class Stage:
    """A stretch of training at one tile side."""

    tile: int = 32
    steps: int = 10000
    batch: int = 32
    rate: float = 1e-3
    "learning rate at its highest"
    warmup: int = 300
    branch: str | None = None
    "spatial or spectral: that branch alone learns (L-BAF)"


@dataclass(frozen=True)
class Recipe:
    id: str
    sensors: tuple[str, ...]
    "scenes are drawn of these in turn"
    bands: tuple[str, ...]
    wavelengths_nm: tuple[float, ...] = ()
    ratio: int = 4
    stages: tuple[Stage, ...] = (Stage(),)
    seed: int = 1
    base: str = "mtf-glp-fs"
    scale: float | str = "moments"
    interpolation: str = "cubic"
    ms_phase: float | None = None
    "where the network expects its first MS sample, as in a card"
    guides: int = 2
    views: tuple[str, ...] = ()
    samples: int = 1
    "that an image shall be the mean of, unless somebody says otherwise"
    residual_sigma: float | None = None
    "None: measured on the first scenes"
    noisiest: float = 0.7
    "share of the samples that are taken at the noisiest step, where few-step sampling starts"
    held_out: tuple[str, ...] = ("santa_monica", "eureka", "liverpool", "landsat7_37", "landsat7_39")
    "places that are never trained on"
    pool: int = 24
    "scenes whose tiles are shuffled together"
    most: int = 24
    "tiles taken of one scene"
    validate: int = 500
    "steps between two looks at what is held out"
    patience: int = 0
    "looks that saw nothing better after which a stage ends, and what did best is kept; 0: all is learnt to the end"
    net: dict = field(default_factory=dict)
    "what else the network's Config shall say"

    def config(self, tile: int) -> Config:
        return Config(
            bands=len(self.bands), ratio=self.ratio, tile=tile, guides=self.guides, views=self.views, **self.net
        )


def read_recipe(text: str) -> Recipe:
    """A recipe from TOML."""
    try:
        import tomllib
    except ImportError:  # Python before 3.11
        import tomli as tomllib
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the recipe cannot be understood: {error}") from None
    stages = values.pop("stages", [{}])
    if not (isinstance(stages, list) and all(isinstance(stage, dict) for stage in stages)):
        raise _fault("stages is no list of tables")
    recipe = _filled(Recipe, {**values, "stages": tuple(_filled(Stage, stage) for stage in stages)})
    strange = [name for name in recipe.net if name not in NET]
    if strange:
        raise _fault(f"net has an entry {strange[0]!r}; it may have {', '.join(NET)}")
    return recipe


def _fault(told: str) -> ConfigError:
    return ConfigError(f"the recipe cannot be understood: {told}")


def _filled(kind: type, values: dict):
    """A dataclass with these values, lists as tuples, if they are such as it wants."""
    wanted = {item.name: item for item in fields(kind)}
    for name, value in values.items():
        if name not in wanted:
            raise _fault(f"there is no entry {name!r}; there are {', '.join(wanted)}")
        _check(name, value, wanted[name].type)
    for name, item in wanted.items():
        if item.default is MISSING and item.default_factory is MISSING and name not in values:
            raise _fault(f"it does not say {name}")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def _check(name: str, value, kinds: str) -> None:
    """That a value is of the kinds that a field names, and a number none that is too small."""
    whole, _, of = kinds.partition("[")
    allowed = tuple(KINDS[kind] for kind in whole.split(" | "))
    if isinstance(value, bool) or not isinstance(value, allowed):
        raise _fault(f"{name} is {value!r}; {WORDS[whole.split(' | ')[0]]} is needed")
    if isinstance(value, list):
        for item in value:
            _check(f"what {name} lists", item, of.split(",")[0])
    if isinstance(value, (int, float)) and not (value > 0 or (value == 0 and name in MAY_BE_NOTHING)):
        raise _fault(f"{name} is {value}; it must be more")
    if name == "branch" and value not in BRANCHES:
        raise _fault(f"branch is {value!r}; these are: {', '.join(BRANCHES)}")
