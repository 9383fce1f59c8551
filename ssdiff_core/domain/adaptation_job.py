"""The parameters and scores of an adaptation run, as plain values for the worker process. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from .block_passes import MEMORY
from .sensors import Sensor


@dataclass(frozen=True)
class Job:
    """The parameters of an adaptation run."""

    id: str
    "id of the weights to write"
    sensor: Sensor
    ratio: int = 4
    "ratio of the network"
    base: str = ""
    "file of the initial weights"
    base_fits: bool = True
    "whether the base is for this ratio: then it is the result to improve on, otherwise a classical method is"
    groups: tuple[tuple[int, ...], ...] = ()
    "band groups, if the base takes fewer bands than the scenes have"
    mode: str = "lbaf"
    "one of options.MODES"
    minutes: float = 0.0
    "training time; 0: the default of the device"
    steps: int = 0
    "training steps, whatever time they take; 0: as many as fit into the minutes"
    device: str = "auto"
    seed: int = 1
    memory: int = MEMORY
    working: str = ""
    "file with the best weights so far, once they are better than the initial result"
    checkpoint: str = ""
    key: str = ""
    "digest of the run: a checkpoint with another key is not resumed"
    provenance: dict = field(default_factory=dict)
    "further entries for `training` in the card of the weights"


def best_method(scores: dict[str, dict[str, float]], measure: str = "ERGAS") -> str:
    """Returns the method whose score in a measure is the lowest. scores: those of each method, by measure."""
    return min(scores, key=lambda method: scores[method][measure])
