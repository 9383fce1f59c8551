"""Values of our own as plain ones that JSON can hold, and back: what two processes tell each other."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

from ..domain.adaptation_job import Job
from ..domain.block import SceneStats
from ..domain.grid import Grid, Placement
from ..domain.scene import Band, Scene
from ..domain.sensors import Sensor
from ..domain.options import AssessOptions
from ..domain.window import Window

KIND = "is a"
KINDS = {kind.__name__: kind for kind in (AssessOptions, Band, Grid, Job, Placement, Scene, SceneStats, Sensor, Window)}


def plain(value):
    """As dicts, lists, texts and numbers."""
    if is_dataclass(value):
        held = {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        return {KIND: type(value).__name__, **held}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def meant(value):
    """What `plain` was told; lists are tuples."""
    if isinstance(value, list):
        return tuple(meant(item) for item in value)
    if not isinstance(value, dict):
        return value
    held = {key: meant(item) for key, item in value.items()}
    kind = held.pop(KIND, None)
    return KINDS[kind](**held) if kind else held
