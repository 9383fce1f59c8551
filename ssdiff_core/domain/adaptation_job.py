"""What adapting weights to scenes is told: plain values, that another process may be told too. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from .block_passes import MEMORY
from .sensors import Sensor

MODES = ("lbaf", "full", "scratch")
"one branch after the other, all at once, or a network that has learnt nothing yet"


@dataclass(frozen=True)
class Job:
    id: str
    "of the weights to be"
    sensor: Sensor
    ratio: int = 4
    "of the network"
    base: str = ""
    "the file of the weights to begin with"
    fuses: bool = True
    "whether the base is for this ratio: then it is what is to be bettered, else a classical method"
    groups: tuple[tuple[int, ...], ...] = ()
    "in which the base takes the bands, if it takes fewer"
    mode: str = "lbaf"
    minutes: float = 0.0
    "0: as many as the device needs"
    steps: int = 0
    "to take instead, however long that is; 0: what the minutes allow"
    device: str = "auto"
    seed: int = 1
    memory: int = MEMORY
    working: str = ""
    "the file that holds the best so far, once there is any that is better than what there was"
    checkpoint: str = ""
    key: str = ""
    "of the work: a checkpoint of any other is not gone on from"
    told: dict = field(default_factory=dict)
    "what the weights shall say of how they were made, besides"
