"""Profiles of sensors, and recognition of the sensor that a pair of rasters comes from.

To add a sensor, add an entry to resources/sensors.json; no code needs to change. The keys of an entry:

    label       name shown to the user
    ids         regular expressions of the satellite's name in metadata and file names, in capitals, "-" for spaces
    ratio       PAN pixels per MS pixel along one axis
    bits        bits per count; null: the maximum is taken from the scene
    pan         nm: range of wavelengths; mtf: gain at PAN's Nyquist frequency
    bands       in the order of the full product: name, nm, centre (nm), mtf (gain at the MS Nyquist frequency) and
                optionally aliases (regular expressions of other names, such as B4)
    products    other sets of bands that files of this sensor contain, each in its usual order
    others      optional: regular expressions of bands that are delivered too but not pansharpened
    source      where the numbers come from

MTF gains are those of the MATLAB toolbox; the contribution of bands to PAN is computed from the published band edges. A
sensor without a profile gets the profile `general`.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..common.errors import ConfigError
from ..common.notices import Notice, notice
from ..common.paths import RESOURCES

FILE = RESOURCES / "sensors.json"
GENERAL = "general"
DEFAULT_MTF = 0.30
"gain at the MS Nyquist frequency of bands without a known MTF"
SATELLITE_KEYS = ("satid", "satelliteid", "satellite", "spacecraftid", "mission", "sensor", "sensorname", "platform")
"last parts of metadata keys that name a satellite, as letters only: IMD, DIMAP, MTL, GDAL's IMAGERY domain"
PRODUCT_KEYS = ("productid", "filename", "datasetname", "landsatproductid", "landsatsceneid")
"last parts of metadata keys whose value is a product or file name"
WAVELENGTH_TOLERANCE = 20.0
"largest difference between the centre wavelength of a band and that of a sensor's band, nm"
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
    "centre wavelengths, nm"
    mtf: tuple[float, ...]
    "gain of each band at the MS Nyquist frequency"
    pan_mtf: float
    ratio: float
    bits: int | None
    "bits per count; None: the maximum is taken from the scene"
    pan_weights: tuple[float, ...]
    "approximate contribution of each band to PAN; the sum is 1"
    source: str
    aliases: tuple[tuple[str, ...], ...] = ()
    "other names of each band"
    products: tuple[tuple[str, ...], ...] = ()
    "other sets of bands that files of this sensor contain, each in its usual order"
    others: tuple[str, ...] = ()
    "patterns of the names of bands that are delivered too but not pansharpened, such as quality bands"
    identified: bool = field(default=False, compare=False)
    "whether names or wavelengths identify the bands; otherwise the order of the sensor's product is assumed"

    @property
    def scale(self) -> int | None:
        "Highest possible count; None if unknown."
        return None if self.bits is None else 2**self.bits - 1

    def only(self, bands: Sequence[str]) -> Sensor:
        """Returns the sensor restricted to these of its bands, in this order."""
        indices = [self.bands.index(name) for name in bands]
        weights = _normalised([self.pan_weights[i] for i in indices])
        known = [name for name in ("wavelengths", "mtf", "aliases") if getattr(self, name)]
        picked = {name: tuple(getattr(self, name)[i] for i in indices) for name in known}
        return replace(self, bands=tuple(bands), pan_weights=weights, **picked)


@dataclass(frozen=True)
class Recognition:
    """A recognised sensor and the notice that says what it was recognised by."""

    sensor: Sensor
    notice: Notice
    "of a kind that begins with `sensor`"


@dataclass(frozen=True)
class Evidence:
    """A text that may name a satellite."""

    source: str
    "metadata, product or file: see the notices sensor_by_...; bands: the names or wavelengths of the bands"
    key: str = ""
    "metadata key or file name"
    text: str = ""


def ids() -> tuple[str, ...]:
    """Returns the ids of all sensors."""
    return tuple(_profiles())


def get(
    name: str, bands: int | None = None, descriptions: Sequence[str] = (), wavelengths: Sequence[float] = ()
) -> Sensor:
    """Returns a sensor by its id, restricted to the bands of a file.

    bands: number of bands; None: all of the sensor's. Names or wavelengths identify them; otherwise they are those of
    the sensor's product with that number of bands. Raises ConfigError if there is none.
    """
    if name not in _profiles():
        raise ConfigError(notice("unknown_sensor", name=name, known=", ".join(ids())))
    sensor = _sensor(name)
    if name == GENERAL:
        return _general(bands or 0, descriptions, wavelengths)
    identified = order_bands(descriptions, wavelengths, sensor)
    if identified and len(identified) == bands:
        return replace(sensor.only(identified), identified=True)
    if bands in (None, len(sensor.bands)):
        return sensor
    for product in sensor.products:
        if len(product) == bands:
            return sensor.only(product)
    counts = " or ".join(str(n) for n in sorted({len(sensor.bands), *map(len, sensor.products)}))
    raise ConfigError(notice("sensor_products", label=sensor.label, counts=counts, bands=bands))


def recognise(
    bands: int,
    ratio: float,
    descriptions: Sequence[str] = (),
    metadata: Mapping | None = None,
    bit_depth: int | None = None,
    wavelengths: Sequence[float] = (),
    files: Sequence[str] = (),
) -> Recognition:
    """Returns the sensor of an MS raster, by the first of: satellite in the metadata, names of the files, bands.

    metadata: as GDAL returns it, flat or one dictionary for each domain. wavelengths: centres in nm.
    """
    name, evidence = identify_satellite(metadata or {}, files)
    if not evidence:
        name, evidence = _by_bands(ratio, descriptions, wavelengths, bit_depth), Evidence("bands")
    if name:
        return _with_bands(name, evidence, bands, descriptions, wavelengths)
    if evidence.source == "metadata":
        reason = notice("sensor_without_profile", sensor=GENERAL, key=evidence.key, text=evidence.text)
    else:
        reason = notice("sensor_unknown", sensor=GENERAL, count=bands, ratio=ratio)
    return Recognition(_general(bands, descriptions, wavelengths), reason)


def identify_satellite(metadata: Mapping, files: Sequence[str] = ()) -> tuple[str | None, Evidence | None]:
    """Returns the id of the sensor whose satellite is named, and the evidence.

    (None, evidence) if the metadata name a satellite without a profile; (None, None) if no satellite is named.
    """
    without_profile = None
    for evidence in _evidence(metadata, files):
        name = _sensor_named_in(evidence.text)
        if name:
            return name, evidence
        if evidence.source == "metadata":
            without_profile = without_profile or evidence
    return None, without_profile


def order_bands(descriptions: Sequence[str], wavelengths: Sequence[float], sensor: Sensor) -> tuple[str, ...] | None:
    """Returns the sensor's band that each band of a file is, by description or else by wavelength; None if unknown."""
    by_name = [_band_named(text, sensor) for text in descriptions]
    by_wavelength = [_band_at(nm, sensor) for nm in wavelengths]
    for found in (by_name, by_wavelength):
        if found and None not in found and len(set(found)) == len(found):
            return tuple(found)
    return None


def centres(bands: Sequence[str], wavelengths: Sequence[float] = ()) -> tuple[float, ...]:
    """Returns the centre wavelengths of bands in nm: those given, else the usual ones of their names; () if unknown."""
    if len(wavelengths) == len(bands):
        return tuple(wavelengths)
    usual = [_usual_centres().get(name) for name in bands]
    return () if None in usual else tuple(usual)


def names_a_band(text: str) -> bool:
    """Returns whether a description or file name contains the name of a band, such as blue."""
    return _name_in(text) is not None


def unrelated_bands(names: Sequence[str], sensor: Sensor) -> list[int]:
    """Returns the indices of bands, by their names, that are delivered with the sensor's bands but not pansharpened."""
    return [i for i, name in enumerate(names) if any(_is_called(name, other) for other in sensor.others)]


def _with_bands(name: str, evidence: Evidence, bands: int, descriptions, wavelengths) -> Recognition:
    """Returns the recognised sensor for the file's bands; the general profile if they cannot be identified."""
    kind, values = f"sensor_by_{evidence.source}", {"key": evidence.key, "label": _profiles()[name]["label"]}
    try:
        sensor = get(name, bands, descriptions, wavelengths)
    except ConfigError:
        general = _general(bands, descriptions, wavelengths)
        return Recognition(general, notice(f"{kind}_unknown_bands", sensor=GENERAL, count=bands, **values))
    if sensor.identified:
        return Recognition(sensor, notice(kind, sensor=name, **values))
    return Recognition(sensor, notice(f"{kind}_assumed_order", sensor=name, bands=list(sensor.bands), **values))


def _evidence(metadata: Mapping, files: Sequence[str]) -> Iterator[Evidence]:
    """Yields texts that may name a satellite, the most reliable first."""
    entries = list(_flat(metadata))
    for key, text in entries:
        if _last_part(key) in SATELLITE_KEYS:
            index = dict(entries).get(f"{key}_INDEX", "")  # DIMAP: MISSION "SPOT", MISSION_INDEX "6"
            yield Evidence("metadata", key, f"{text} {index}".strip())
    for key, text in entries:
        if _last_part(key) in PRODUCT_KEYS:
            yield Evidence("product", key, Path(text).name)
    for file in files:
        yield Evidence("file", Path(file).name, Path(file).name)


def _flat(metadata: Mapping) -> Iterator[tuple[str, str]]:
    for key, value in metadata.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        elif value:
            yield str(key), str(value).strip("\"' ")


def _last_part(key: str) -> str:
    "Returns the last part of a metadata key in lower case, letters only."
    return re.sub("[^a-z]", "", key.split(".")[-1].lower())


def _sensor_named_in(text: str) -> str | None:
    """Returns the id of the sensor whose satellite is named in a text as a separate word."""
    text = re.sub(r"[\s_]", "-", text.upper().replace("É", "E"))
    for name, profile in _profiles().items():
        if any(re.search(f"(?<![A-Z0-9])(?:{word})(?![A-Z0-9])", text) for word in profile["ids"]):
            return name
    return None


def _by_bands(ratio: float, descriptions, wavelengths, bit_depth: int | None) -> str | None:
    """Returns the id of the only sensor with these bands; None if several have them, as with four common names."""
    sensors = [_sensor(name) for name in ids() if name != GENERAL]
    sensors = [s for s in sensors if abs(s.ratio - ratio) < 0.1]
    off = sorted((_distance(wavelengths, s), s.id) for s in sensors)
    if off and off[0][0] < 3 and (len(off) == 1 or off[1][0] > off[0][0] + 1):
        return off[0][1]
    fits = [s for s in sensors if len(s.bands) > 4 and set(order_bands(descriptions, (), s) or ()) == set(s.bands)]
    fits = fits if len(fits) < 2 else [s for s in fits if s.bits == bit_depth]
    return fits[0].id if len(fits) == 1 else None


def _distance(wavelengths, sensor: Sensor) -> float:
    "Returns the mean distance of these wavelengths from those of the sensor's bands, in nm."
    bands = order_bands((), wavelengths, sensor)
    centres = dict(zip(sensor.bands, sensor.wavelengths))
    return sum(abs(centres[band] - nm) for band, nm in zip(bands, wavelengths)) / len(bands) if bands else float("inf")


def _band_named(text: str, sensor: Sensor) -> str | None:
    """Returns the sensor's band that a description names: 'Blue', 'Red Edge', 'Band 8 - NIR2', '..._B4.TIF'."""
    for band, others in zip(sensor.bands, sensor.aliases):
        if any(_is_called(text, other) for other in others):
            return band
    name = _name_in(text)
    if name not in sensor.bands:
        name = {"nir": "nir1", "nir1": "nir"}.get(name, "")
    return name if name in sensor.bands else None


def _is_called(text: str, pattern: str) -> bool:
    "Returns whether a description or file name ends with the pattern as a separate word."
    return bool(re.search(f"(?i)(?<![a-z0-9])(?:{pattern})(?:\\.[a-z0-9]+)?$", text.strip()))


def _name_in(text: str) -> str | None:
    """Returns the longest band name in a text, so that 'red edge' is not red; single letters only as the whole text."""
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
    """Returns the sensor's band with the nearest centre wavelength within the tolerance."""
    if not sensor.wavelengths:
        return None
    off, band = min((abs(centre - nm), band) for centre, band in zip(sensor.wavelengths, sensor.bands))
    return band if off <= WAVELENGTH_TOLERANCE else None


@functools.cache
def _profiles() -> dict:
    return json.loads(FILE.read_text(encoding="utf-8"))


@functools.cache
def _band_names() -> set[str]:
    return {band["name"] for profile in _profiles().values() for band in profile["bands"]}


def _usual_name(nm: float) -> str | None:
    """Returns the name of the band with the nearest usual wavelength within the tolerance; several sensors have it."""
    off, name = min((abs(centre - nm), name) for name, centre in _usual_centres().items())
    return name if off <= WAVELENGTH_TOLERANCE else None


@functools.cache
def _usual_centres() -> dict[str, float]:
    """Returns the median of the centre wavelengths of each band name, in nm."""
    found: dict[str, list[float]] = {}
    for profile in _profiles().values():
        for band in profile["bands"]:
            found.setdefault(band["name"], []).append(float(band["centre"]))
    return {name: float(np.median(of_name)) for name, of_name in found.items()}


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
        pan_weights=_pan_weights([band["centre"] for band in bands], profile["pan"]["nm"]) if bands else (),
        source=profile["source"],
        aliases=tuple(tuple(band.get("aliases", ())) for band in bands),
        products=tuple(tuple(product) for product in profile["products"]),
        others=tuple(profile.get("others", ())),
    )


def _general(bands: int, descriptions: Sequence[str] = (), wavelengths: Sequence[float] = ()) -> Sensor:
    by_name, by_wavelength = map(_name_in, descriptions), map(_usual_name, wavelengths)
    found = (tuple(names) for names in (by_name, by_wavelength))
    names = next((names for names in found if None not in names and len(set(names)) == len(names) == bands), ())
    return replace(
        _sensor(GENERAL),
        bands=names or tuple(f"b{i + 1}" for i in range(bands)),
        wavelengths=tuple(map(float, wavelengths)) if len(wavelengths) == bands else (),
        identified=bool(names) or len(wavelengths) == bands > 0,
        mtf=(DEFAULT_MTF,) * bands,
        pan_weights=_normalised([1.0] * bands),
        aliases=((),) * bands,
    )


def _pan_weights(centres: Sequence[float], pan: Sequence[float]) -> tuple[float, ...]:
    """Returns the share of PAN's range that is nearest to each band's centre; gaps are split between neighbours."""
    ordered = sorted(centres)
    borders = [pan[0], *((a + b) / 2 for a, b in zip(ordered, ordered[1:])), pan[1]]
    borders = [min(max(nm, pan[0]), pan[1]) for nm in borders]
    width = {nm: b - a for nm, a, b in zip(ordered, borders, borders[1:])}
    return _normalised([width[nm] for nm in centres])


def _normalised(parts: Sequence[float]) -> tuple[float, ...]:
    total = sum(parts)
    return tuple(part / total for part in parts) if total > 0 else tuple(1 / len(parts) for _ in parts)
