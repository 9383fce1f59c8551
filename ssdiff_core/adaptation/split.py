"""What scenes give to learn from: pieces of each, and a strip of it held out."""

from __future__ import annotations

from collections.abc import Sequence

from ..common.errors import GeometryError
from ..common.notices import Notify
from ..domain.adaptation_job import Job
from ..domain.scene import Scene
from ..domain.sensors import Sensor
from ..metrics.degradation import layout_of
from . import window_selection
from .quality_mask import trusted
from .wald_pair import Piece, read_piece

PIECES = 48
"that are learnt from or judged by, at most"
HELD = 0.2
"share of those that are judged by"
LEAST = 12
"samples of the coarser MS along a side, below which nothing can be learnt: part of it is held out"


def pieces_of(scenes: Sequence[Scene], readers: Sequence, job: Job, notify: Notify) -> tuple[list[Piece], list[Piece]]:
    """What is learnt from, and what is held out: a strip of each scene."""
    most = max(_room(scenes[0], job.memory) // len(scenes), 2)
    train, held = [], []
    for number, (scene, reader) in enumerate(zip(scenes, readers)):
        one, other = _of_scene(scene, reader, job.sensor, most, number, notify)
        train, held = train + one, held + other
    return train, held


def _of_scene(scene: Scene, reader, sensor: Sensor, most: int, number: int, notify: Notify) -> tuple[list, list]:
    layout = layout_of(scene, "adapting", LEAST)
    seen = window_selection.looked_at(reader, scene, layout, sensor.wavelengths)
    if seen.cloud.any():
        notify(f"clouds are left out: {seen.cloud.mean():.0%} of {scene.pan.path}")
    if not seen.good.any():
        raise GeometryError(f"{scene.pan.path} shows no ground to learn from")
    strip = window_selection.held_out(layout.part, seen)
    beside = [
        window for part in window_selection.around(layout.part, strip) for window in window_selection.windows(part)
    ]
    judging = max(round(most * HELD), 1)
    chosen = (
        window_selection.chosen(beside, seen, most - judging),
        window_selection.chosen(window_selection.windows(strip), seen, judging),
    )
    pieces = [read_piece(reader, scene, layout, window, number) for windows in chosen for window in windows]
    pieces = trusted(pieces, sensor, seen.limits)
    return pieces[: len(chosen[0])], pieces[len(chosen[0]) :]


def _room(scene: Scene, memory: int) -> int:
    """How many pieces half the memory holds."""
    size = 4 * window_selection.SIDE**2 * (scene.placement.ratio**2 + 6 * len(scene.ms))
    return int(min(max(memory * 2**20 / 2 / size, 4), PIECES))
