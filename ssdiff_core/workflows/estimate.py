"""How long a run will take on this computer, and what would be faster: plain values for the log, a dialog or a panel.

    found = estimate(pan, ms, PansharpenOptions())
    found.seconds, found.device, found.weights, found.adapting, found.classical

The time has three parts: what precedes the first block, adapting to the scene, and fusing. Their speeds are measured by
each finished run (see `speeds`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..common.notices import Notice, notice
from ..common.progress import rounded_duration
from ..domain.methods import LABELS, NETWORK
from ..domain.options import PRESETS, UNCERTAINTY_SAMPLES, PansharpenOptions, with_preset
from ..domain.scene import Scene
from ..domain.sensors import Sensor
from ..raster.open_pair import align_pair, open_pair
from ..runtime import wheels
from ..weights import catalogue
from ..weights.card import Card, read_card
from ..weights.catalogue import Entry
from .band_order import as_weights_see, groups_for, with_names
from .scene_learning import adaptation_ahead, kept_shift
from .speeds import CPU, Device, Kind, device_called, record, speed
from .weights_ratio import at_ratio

FASTER_METHOD = "mtf-glp-fs"
"classical method whose time is told next to that of the network"
ON_PATCHES, ON_PATCHES_RATIO_2, AT_PAN = 1_700_000, 600_000, 100_000
"pixels that networks fuse in a second of one processor, for each sample and group of bands (docs/performance.md)"
CLASSICAL_VALUES = 8_000_000
"pixels of one band that a classical method fuses and writes in a second of one processor, compressed"
ADAPTING = Kind("adapting", 0.7, parallel=False)
"seconds of adapting that are asked for, in a second"
SMALL_SECONDS = 1.0
"assumed seconds of fusing below which a run is mostly preparation, and tells nothing of the speed"
START = {NETWORK: Kind("start of the network", 0.25, parallel=False), "": Kind("start", 2.0, parallel=False)}
"runs that are prepared in a second: importing torch, opening files, measuring the shift"
ROUGH_SECONDS = 10.0
"duration up to which it is not told that the estimate is rough"
SAMPLES_AT_PAN = 4
"samples of networks at PAN's resolution by default, if the card is not on this computer"


@dataclass(frozen=True)
class Estimate:
    """What a run will do, and how long that takes."""

    method: str
    weights: str
    "id of the weights; empty: a classical method"
    device: Device
    adapting: float
    "seconds of adapting to the scene; 0: none"
    adapted: bool
    "whether weights adapted to this scene are kept from an earlier run"
    seconds: float
    "duration of the run, adapting included"
    measured: bool
    "whether a run on this computer has measured the speed"
    classical: float | None = None
    "duration with FASTER_METHOD; None: the run itself is classical"
    gpu: str | None = None
    "NVIDIA GPU of this computer that the run does not use; empty: there is none; None: it does not matter"

    @property
    def notice(self) -> Notice:
        """The estimate as a line of the log. Its values `total` and `adapting` are in seconds."""
        values = {"duration": rounded_duration(self.seconds), "device": str(self.device), "total": self.seconds}
        if self.classical is None:
            return notice("estimate_classical", **values, method=LABELS[self.method], adapting=0.0)
        parts = {"adapting_part": self._adapting_part, "faster_part": self._faster_part, "gpu_part": self._gpu_part}
        return notice("estimate", **values, weights=self.weights, adapting=self.adapting, **parts)

    @property
    def _adapting_part(self) -> Notice | str:
        if self.adapted:
            return notice("estimate_part_adapted")
        return notice("estimate_part_adapting", duration=rounded_duration(self.adapting)) if self.adapting else ""

    @property
    def _faster_part(self) -> Notice | str:
        if self.classical >= self.seconds:  # small scenes with kept weights
            return ""
        duration = rounded_duration(self.classical)
        return notice("estimate_part_faster", method=LABELS[FASTER_METHOD], duration=duration)

    @property
    def _gpu_part(self) -> Notice | str:
        if self.gpu is None:
            return ""
        return notice("estimate_part_other_gpu", gpu=self.gpu) if self.gpu else notice("estimate_part_no_gpu")

    @property
    def notices(self) -> Iterator[Notice]:
        """The estimate as lines of the log."""
        yield self.notice
        if self.seconds > ROUGH_SECONDS and not self.measured:
            yield notice("estimate_rough")


def estimate(pan, ms, options: PansharpenOptions, device: Device | None = None) -> Estimate:
    """Returns the estimate of a run on files. It reads headers and some rows, and downloads nothing.

    device: default: what `options.device` has meant in the last run.
    """
    scene, sensor = open_pair(pan, ms, options, _quiet)
    return estimate_scene(scene, sensor, options, device)


def estimate_scene(scene: Scene, sensor: Sensor, options: PansharpenOptions, device: Device | None = None) -> Estimate:
    """Returns the estimate of a run on an open scene."""
    if options.method != NETWORK:
        return estimate_run(Run(scene, sensor, options, Device(CPU)))
    found = catalogue.selected(options.weights, sensor.id, len(scene.ms), scene.placement.ratio)
    path = found.path if isinstance(found, Entry) else found
    shift = kept_shift(scene) if options.align == "auto" else None
    if shift:
        scene = align_pair(scene, "auto", _quiet, lambda _: shift)
    entry = found if isinstance(found, Entry) else None
    scene, sensor = at_ratio(with_names(scene, sensor), sensor, (entry or read_card(path)).ratio, _quiet)
    run = Run(scene, sensor, options, device or device_called(options.device), path, entry)
    return estimate_run(run, adaptation(run))


def estimate_presets(
    pan, ms, given: Mapping[str, object] | None = None, device: Device | None = None
) -> dict[str, Estimate]:
    """Returns the estimate of a run for each preset. given: options that win over the preset, by their names."""
    options = {preset: PansharpenOptions(**with_preset(preset, given or {})) for preset in PRESETS}
    scene, sensor = open_pair(pan, ms, next(iter(options.values())), _quiet)
    return {preset: estimate_scene(scene, sensor, each, device) for preset, each in options.items()}


def _quiet(message) -> None:
    pass


# --- the work of a run ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """A run whose time is estimated, or was measured."""

    scene: Scene
    sensor: Sensor
    options: PansharpenOptions
    device: Device
    path: Path | None = None
    "weights file; None: a classical method, or weights that must be downloaded"
    entry: Entry | None = None
    "weights in the catalogue, if the file is not here"

    @property
    def pixels(self) -> int:
        height, width = self.scene.window.shape
        return height * width

    @property
    def is_network(self) -> bool:
        return self.options.method == NETWORK

    @property
    def card(self) -> Card | None:
        return read_card(self.path) if self.path else None

    @property
    def weights(self) -> str:
        """The id of the weights; empty: a classical method."""
        found = self.card or self.entry
        return found.id if found else ""

    @property
    def start(self) -> Kind:
        return START[NETWORK if self.is_network else ""]

    def as_classical(self) -> Run:
        """Returns the run with the classical method that is told as faster."""
        return replace(self, options=replace(self.options, method=FASTER_METHOD), device=Device(CPU))


def fusing(run: Run) -> tuple[Kind, float]:
    """Returns the kind of computation of a run, and its work."""
    options, bands = run.options, len(run.scene.ms)
    if not run.is_network:
        return Kind(f"{options.method}, {options.format}", CLASSICAL_VALUES), run.pixels * bands
    card = run.card
    if card:
        patches, samples, steps = card.arch.blocks > 0, card.samples, card.steps
    else:
        patches, samples, steps = run.entry.patches, 1 if run.entry.patches else SAMPLES_AT_PAN, 1
    made_for = card or run.entry
    assumed = (ON_PATCHES if made_for.ratio > 2 else ON_PATCHES_RATIO_2) if patches else AT_PAN
    drawn = options.samples or (max(UNCERTAINTY_SAMPLES, samples) if options.uncertainty else samples)
    passes = drawn * (options.steps or steps) * math.ceil(bands / len(made_for.bands))
    return Kind(made_for.id, assumed), run.pixels * passes


def adaptation(run: Run, seen: Sequence[tuple[int, ...]] | None = None) -> tuple[float, bool]:
    """Returns the seconds for which the weights are adapted to the scene, and whether adapted ones are kept.

    seen: the groups of bands that the weights see; found if not given.
    """
    if not (run.is_network and run.path):
        return 0.0, False
    if seen is None:
        seen = groups_for(run.scene, run.sensor, run.card, run.options, _quiet)
    return adaptation_ahead(*as_weights_see(run.scene, run.sensor, seen), run.path, run.options)


def record_run(run: Run, before: float, fused: float, adapted: tuple[float, float] | None) -> None:
    """Keeps the speeds of a finished run.

    before, fused: seconds before fusing and of fusing. adapted: seconds that adapting was to take, and took.
    """
    kind, work = fusing(run)
    if work / kind.assumed_on(run.device) < SMALL_SECONDS:
        record(run.start, run.device, 1, before + fused)
    else:
        record(run.start, run.device, 1, before)
        record(kind, run.device, work, fused)
    if adapted:
        record(ADAPTING, run.device, *adapted)


@functools.cache
def _gpu() -> str:
    """Returns the name of an NVIDIA GPU of this computer, empty if there is none; asking the driver takes long."""
    return next((each.name for each in wheels.gpus()), "")


def estimate_run(run: Run, ahead: tuple[float, bool] = (0.0, False)) -> Estimate:
    """Returns the estimate of a run. ahead: from `adaptation`."""
    kind, work = fusing(run)
    fused, (asked, kept) = speed(kind, run.device), ahead
    adapting = asked / speed(ADAPTING, run.device).rate
    seconds = 1 / speed(run.start, run.device).rate + adapting + work / fused.rate
    values = run.options.method, run.weights, run.device, adapting, kept, seconds, fused.measured
    if not run.is_network:
        return Estimate(*values)
    gpu = _gpu() if run.device.is_processor else None
    return Estimate(*values, estimate_run(run.as_classical()).seconds, gpu)
