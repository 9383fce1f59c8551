"""Conversion of the dataclasses that both processes exchange to JSON values and back."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

from ..common.notices import Notice
from ..domain.adaptation_job import Job
from ..domain.block import SceneStats
from ..domain.grid import Grid, Placement
from ..domain.options import AssessOptions, SamplingOptions
from ..domain.pixel_type import PixelType
from ..domain.resampling import Resampling
from ..domain.scene import Band, Scene
from ..domain.sensors import Sensor
from ..domain.window import Window

CLASS_KEY = "is a"
"key of the class name in an encoded dataclass"
CLASSES = {
    kind.__name__: kind
    for kind in (
        *(AssessOptions, Band, Grid, Job, Notice, PixelType, Placement),
        *(Resampling, SamplingOptions, Scene, SceneStats, Sensor, Window),
    )
}
"dataclasses that can be decoded, by name; a new field of one of them needs no change here"


def encode(value):
    """Returns the value as dicts, lists, strings and numbers that JSON can hold."""
    if is_dataclass(value):
        encoded = {field.name: encode(getattr(value, field.name)) for field in fields(value)}
        return {CLASS_KEY: type(value).__name__, **encoded}
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    return {key: encode(item) for key, item in value.items()} if isinstance(value, dict) else value


def decode(value):
    """Returns the value that `encode` was given, with tuples for lists."""
    if isinstance(value, list):
        return tuple(decode(item) for item in value)
    if not isinstance(value, dict):
        return value
    decoded = {key: decode(item) for key, item in value.items()}
    name = decoded.pop(CLASS_KEY, None)
    return CLASSES[name](**decoded) if name else decoded
