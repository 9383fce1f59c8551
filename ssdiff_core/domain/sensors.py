"""What is known of each sensor (resources/sensors.json), and which one a pair of rasters comes from.

Profiles are a start, not the truth: the MTF gains are those that the toolboxes of the field use, and PAN's weights come
from the published edges of the bands. A sensor that nobody knows is `general`.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..common.errors import ConfigError
from ..common.paths import RESOURCES

FILE = RESOURCES / "sensors.json"
GENERAL = "general"
MTF = 0.30
"MS gain at Nyquist where none is known"
NAMES_A_SATELLITE = ("satid", "satelliteid", "satellite", "spacecraftid", "mission", "sensor", "sensorname", "platform")
"last parts of metadata keys whose value is a satellite, in plain letters: IMD, DIMAP, MTL, GDAL's IMAGERY domain"
NAMES_A_FILE = ("productid", "filename", "datasetname", "landsatproductid", "landsatsceneid")
NEAR = 20.0
"nm that a centre wavelength may lie off a band's and still be that band"
SYNONYMS = {
    "coastalblue": "coastal",
    "coastalaerosol": "coastal",
    "redge": "rededge",
    "nearinfrared": "nir",
    "nearir": "nir",
    "infrared": "nir",
    "nearinfrared1": "nir1",
    "nearinfrared2": "nir2",
    "nearir1": "nir1",
    "nearir2": "nir2",
    **dict(zip("cbgyrn", ("coastal", "blue", "green", "yellow", "red", "nir"))),
    **dict(zip(("re", "n1", "n2"), ("rededge", "nir1", "nir2"))),
}


@dataclass(frozen=True)
class Sensor:
    """A sensor's profile, for the bands of one file in that file's order."""

    id: str
    label: str
    bands: tuple[str, ...]
    wavelengths: tuple[float, ...]
    "centres, nm"
    mtf: tuple[float, ...]
    "gain of each band at the MS Nyquist frequency"
    pan_mtf: float
    ratio: int
    bits: int | None
    "of the counts; None: the scene says"
    pan_weights: tuple[float, ...]
    "about how much of what PAN sees each band sees; they sum to 1"
    source: str
    aliases: tuple[tuple[str, ...], ...] = ()
    "other names of each band"
    products: tuple[tuple[str, ...], ...] = ()
    "what else files of this sensor hold, in their order"
    others: tuple[str, ...] = ()
    "names of what comes with its bands and is none of them"

    @property
    def scale(self) -> int | None:
        "The highest count."
        return None if self.bits is None else 2**self.bits - 1

    def only(self, bands: Sequence[str]) -> Sensor:
        """The same sensor with these of its bands, in this order."""
        at = [self.bands.index(name) for name in bands]
        weights = _share([self.pan_weights[i] for i in at])
        known = [name for name in ("wavelengths", "mtf", "aliases") if getattr(self, name)]
        picked = {name: tuple(getattr(self, name)[i] for i in at) for name in known}
        return replace(self, bands=tuple(bands), pan_weights=weights, **picked)


@dataclass(frozen=True)
class Recognition:
    sensor: Sensor
    why: str
    "one sentence"


def ids() -> tuple[str, ...]:
    return tuple(_profiles())


def get(
    name: str, bands: int | None = None, descriptions: Sequence[str] = (), wavelengths: Sequence[float] = ()
) -> Sensor:
    """A sensor by its id, for so many bands: those that are told, else those of the usual product with so many."""
    if name not in _profiles():
        raise ConfigError(f"there is no sensor '{name}'; there are {', '.join(ids())}")
    sensor = _sensor(name)
    if name == GENERAL:
        return _general(bands or 0, descriptions, wavelengths)
    told = order_bands(descriptions, wavelengths, sensor)
    if told and len(told) == bands:
        return sensor.only(told)
    if bands in (None, len(sensor.bands)):
        return sensor
    for product in sensor.products:
        if len(product) == bands:
            return sensor.only(product)
    counts = " or ".join(str(n) for n in sorted({len(sensor.bands), *map(len, sensor.products)}))
    raise ConfigError(f"{sensor.label} has products of {counts} bands; MS has {bands}. Name its bands, or take general")


def recognise(
    bands: int,
    ratio: float,
    descriptions: Sequence[str] = (),
    metadata: Mapping | None = None,
    bit_depth: int | None = None,
    wavelengths: Sequence[float] = (),
    files: Sequence[str] = (),
) -> Recognition:
    """The sensor of an MS raster: by a satellite its metadata names, its files' names, its bands, in that order.

    metadata is what GDAL hands over, flat or a dictionary for each domain; wavelengths are in nm.
    """
    name, why = satellite(metadata or {}, files)
    if not name and not why:
        name = _by_bands(ratio, descriptions, wavelengths, bit_depth)
        why = f"the bands are those of {_profiles()[name]['label']}" if name else ""
    if name:
        return _confirm(name, why, bands, descriptions, wavelengths)
    why = why or f"nothing tells the sensor of {bands} bands at ratio {ratio:g}"
    return Recognition(_general(bands, descriptions, wavelengths), f"{why}: the general profile is used.")


def satellite(metadata: Mapping, files: Sequence[str] = ()) -> tuple[str | None, str]:
    """The sensor whose satellite is named, and where. None with words: metadata name one that no profile is for."""
    unknown = ""
    for told, text in _evidence(metadata, files):
        name = _named(text)
        if name:
            return name, f"{told} names {_profiles()[name]['label']}"
        if told.startswith("the metadata") and not unknown:
            unknown = f"{told} is '{text}', which no profile is for"
    return None, unknown


def order_bands(descriptions: Sequence[str], wavelengths: Sequence[float], sensor: Sensor) -> tuple[str, ...] | None:
    """Which of the sensor's bands each band of a file is, by description or else by wavelength; None: not told."""
    by_name = [_band_named(text, sensor) for text in descriptions]
    by_wavelength = [_band_at(nm, sensor) for nm in wavelengths]
    for found in (by_name, by_wavelength):
        if found and None not in found and len(set(found)) == len(found):
            return tuple(found)
    return None


def usual_order(descriptions: Sequence[str], wavelengths: Sequence[float], sensor: Sensor) -> list[int]:
    """The bands of a file in the order of the sensor's product with these bands; as they are where nothing is told."""
    full = _sensor(sensor.id)
    told = order_bands(descriptions, wavelengths, full)
    if not told or len(told) != len(sensor.bands):
        return list(range(len(sensor.bands)))
    product = next((product for product in full.products if set(product) == set(told)), full.bands)
    return sorted(range(len(told)), key=lambda i: product.index(told[i]))


def others(names: Sequence[str], sensor: Sensor) -> list[int]:
    """Which of the bands with these names are none of the sensor's, but what is delivered with them."""
    return [i for i, name in enumerate(names) if any(_is_called(name, other) for other in sensor.others)]


def _confirm(name: str, why: str, bands: int, descriptions, wavelengths) -> Recognition:
    """The sensor with the bands that the file has, if they can be told."""
    try:
        sensor = get(name, bands, descriptions, wavelengths)
    except ConfigError:
        general = _general(bands, descriptions, wavelengths)
        return Recognition(
            general, f"{why}, but nothing tells which its {bands} bands are: the general profile is used."
        )
    if len(order_bands(descriptions, wavelengths, sensor) or ()) == bands:
        return Recognition(sensor, f"{why}.")
    return Recognition(sensor, f"{why}; nothing names its bands, so they are taken as {', '.join(sensor.bands)}.")


def _evidence(metadata: Mapping, files: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Texts that may name a satellite, and where they are from; the surest first."""
    entries = list(_flat(metadata))
    for key, text in entries:
        if _plain(key) in NAMES_A_SATELLITE:
            index = dict(entries).get(f"{key}_INDEX", "")  # DIMAP: MISSION "SPOT", MISSION_INDEX "6"
            yield f"the metadata entry {key}", f"{text} {index}".strip()
    for key, text in entries:
        if _plain(key) in NAMES_A_FILE:
            yield f"the entry {key}", Path(text).name
    for file in files:
        yield f"the file name {Path(file).name}", Path(file).name


def _flat(metadata: Mapping) -> Iterator[tuple[str, str]]:
    for key, value in metadata.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        elif value:
            yield str(key), str(value).strip("\"' ")


def _plain(key: str) -> str:
    "The last part of a metadata key, in small letters alone."
    return re.sub("[^a-z]", "", key.split(".")[-1].lower())


def _named(text: str) -> str | None:
    """The sensor whose satellite a text names, as a word of its own."""
    text = re.sub(r"[\s_]", "-", text.upper().replace("É", "E"))
    for name, profile in _profiles().items():
        if any(re.search(f"(?<![A-Z0-9])(?:{word})(?![A-Z0-9])", text) for word in profile["ids"]):
            return name
    return None


def _by_bands(ratio: float, descriptions, wavelengths, bit_depth: int | None) -> str | None:
    """The one sensor that has these bands; None where several might. Four common names fit too many to tell."""
    sensors = [_sensor(name) for name in ids() if name != GENERAL]
    sensors = [s for s in sensors if abs(s.ratio - ratio) < 0.1]
    off = sorted((_distance(wavelengths, s), s.id) for s in sensors)
    if off and off[0][0] < 3 and (len(off) == 1 or off[1][0] > off[0][0] + 1):
        return off[0][1]
    fits = [s for s in sensors if len(s.bands) > 4 and set(order_bands(descriptions, (), s) or ()) == set(s.bands)]
    fits = fits if len(fits) < 2 else [s for s in fits if s.bits == bit_depth]
    return fits[0].id if len(fits) == 1 else None


def _distance(wavelengths, sensor: Sensor) -> float:
    "How far, on average, these wavelengths lie off the bands that they are, in nm."
    told = order_bands((), wavelengths, sensor)
    centres = dict(zip(sensor.bands, sensor.wavelengths))
    return sum(abs(centres[band] - nm) for band, nm in zip(told, wavelengths)) / len(told) if told else float("inf")


def _band_named(text: str, sensor: Sensor) -> str | None:
    """The band a description names: 'Blue', 'Red Edge', 'Band 8 - NIR2', '..._B4.TIF'."""
    for band, others in zip(sensor.bands, sensor.aliases):
        if any(_is_called(text, other) for other in others):
            return band
    name = _name_in(text)
    if name not in sensor.bands:
        name = {"nir": "nir1", "nir1": "nir"}.get(name, "")
    return name if name in sensor.bands else None


def _is_called(text: str, pattern: str) -> bool:
    "Whether a description or a file's name ends so, as a word of its own."
    return bool(re.search(f"(?i)(?<![a-z0-9])(?:{pattern})(?:\\.[a-z0-9]+)?$", text.strip()))


def _name_in(text: str) -> str | None:
    """The longest name of a band in a text, so that 'red edge' is not red; a letter only where it stands alone."""
    words = re.findall(r"[a-z]+\d*|\d+", text.lower())
    if len(words) == 1 and words[0] in SYNONYMS:
        return SYNONYMS[words[0]]
    for length in (3, 2, 1):
        for start in range(len(words) - length + 1):
            joined = "".join(words[start : start + length])
            name = SYNONYMS.get(joined, joined) if len(joined) > 2 else joined
            if name in _band_names():
                return name
    return None


def _band_at(nm: float, sensor: Sensor) -> str | None:
    if not sensor.wavelengths:
        return None
    off, band = min((abs(centre - nm), band) for centre, band in zip(sensor.wavelengths, sensor.bands))
    return band if off <= NEAR else None


@functools.cache
def _profiles() -> dict:
    return json.loads(FILE.read_text(encoding="utf-8"))


@functools.cache
def _band_names() -> set[str]:
    return {band["name"] for profile in _profiles().values() for band in profile["bands"]}


@functools.cache
def _sensor(name: str) -> Sensor:
    profile = _profiles()[name]
    bands = profile["bands"]
    return Sensor(
        id=name,
        label=profile["label"],
        bands=tuple(band["name"] for band in bands),
        wavelengths=tuple(float(band["centre"]) for band in bands),
        mtf=tuple(band["mtf"] for band in bands),
        pan_mtf=profile["pan"]["mtf"],
        ratio=profile["ratio"],
        bits=profile["bits"],
        pan_weights=_weights([band["centre"] for band in bands], profile["pan"]["nm"]) if bands else (),
        source=profile["source"],
        aliases=tuple(tuple(band.get("aliases", ())) for band in bands),
        products=tuple(tuple(product) for product in profile["products"]),
        others=tuple(profile.get("others", ())),
    )


def _general(bands: int, descriptions: Sequence[str] = (), wavelengths: Sequence[float] = ()) -> Sensor:
    names = [_name_in(text) for text in descriptions]
    told = len(names) == bands and None not in names and len(set(names)) == bands
    return replace(
        _sensor(GENERAL),
        bands=tuple(names) if told else tuple(f"b{i + 1}" for i in range(bands)),
        wavelengths=tuple(map(float, wavelengths)) if len(wavelengths) == bands else (),
        mtf=(MTF,) * bands,
        pan_weights=_share([1.0] * bands),
        aliases=((),) * bands,
    )


def _weights(centres: Sequence[float], pan: Sequence[float]) -> tuple[float, ...]:
    """What part of PAN's range lies nearest to each band: gaps between bands go to the bands beside them."""
    ordered = sorted(centres)
    borders = [pan[0], *((a + b) / 2 for a, b in zip(ordered, ordered[1:])), pan[1]]
    borders = [min(max(nm, pan[0]), pan[1]) for nm in borders]
    width = {nm: b - a for nm, a, b in zip(ordered, borders, borders[1:])}
    return _share([width[nm] for nm in centres])


def _share(parts: Sequence[float]) -> tuple[float, ...]:
    total = sum(parts)
    return tuple(part / total for part in parts) if total > 0 else tuple(1 / len(parts) for _ in parts)
