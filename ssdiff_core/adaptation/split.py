"""Splits scenes into training pieces and held-out pieces: a strip across each scene is held out."""

from __future__ import annotations

from collections.abc import Sequence

from ..common.errors import GeometryError
from ..common.notices import Notify, notice
from ..domain.adaptation_job import Job
from ..domain.scene import Scene
from ..domain.sensors import Sensor
from ..metrics.degradation import layout_of
from . import window_selection
from .quality_mask import with_quality_masks
from .wald_pair import Piece, read_piece

MAX_PIECES = 48
"maximum number of training and held-out pieces of all scenes"
HELD_OUT_SHARE = 0.2
"share of the pieces that is held out"
MINIMUM_SIDE = 12
"minimum size of a scene in samples of the degraded MS along a side"


def split_scenes(
    scenes: Sequence[Scene], readers: Sequence, job: Job, notify: Notify
) -> tuple[list[Piece], list[Piece]]:
    """Returns the training pieces and the held-out pieces of all scenes.

    readers: one for each scene, to read its blocks.
    """
    max_pieces = max(_max_pieces(scenes[0], job.memory) // len(scenes), 2)
    train, held_out = [], []
    for number, (scene, reader) in enumerate(zip(scenes, readers)):
        scene_train, scene_held_out = _split_scene(scene, reader, job.sensor, max_pieces, number, notify)
        train, held_out = train + scene_train, held_out + scene_held_out
    return train, held_out


def _split_scene(
    scene: Scene, reader, sensor: Sensor, max_pieces: int, number: int, notify: Notify
) -> tuple[list[Piece], list[Piece]]:
    layout = layout_of(scene, MINIMUM_SIDE)
    cells = window_selection.survey_cells(reader, scene, layout, sensor.wavelengths)
    if cells.cloud.any():
        notify(notice("clouds_excluded", share=float(cells.cloud.mean()), path=str(scene.pan.path)))
    if not cells.usable.any():
        raise GeometryError(notice("all_masked", path=str(scene.pan.path)))
    strip = window_selection.choose_strip(layout.part, cells)
    parts = window_selection.remaining_parts(layout.part, strip)
    train_windows = [window for part in parts for window in window_selection.windows(part)]
    held_out_count = max(round(max_pieces * HELD_OUT_SHARE), 1)
    chosen = (
        window_selection.choose_windows(train_windows, cells, max_pieces - held_out_count),
        window_selection.choose_windows(window_selection.windows(strip), cells, held_out_count),
    )
    if not all(chosen):  # all content is in the strip, or none
        raise GeometryError(notice("all_masked", path=str(scene.pan.path)))
    pieces = [read_piece(reader, scene, layout, window, number) for windows in chosen for window in windows]
    pieces = with_quality_masks(pieces, sensor, cells.limits)
    return pieces[: len(chosen[0])], pieces[len(chosen[0]) :]


def _max_pieces(scene: Scene, memory: int) -> int:
    """Returns how many pieces fit into half of the memory, in MiB."""
    size = 4 * window_selection.WINDOW_SIDE**2 * (scene.placement.ratio**2 + 6 * len(scene.ms))
    return int(min(max(memory * 2**20 / 2 / size, 4), MAX_PIECES))
