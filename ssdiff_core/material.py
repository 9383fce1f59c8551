"""What scenes give to learn from: pieces of each, a strip of it held out, and what its sensors are taken to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from . import content
from .coarser import layout_of
from .errors import GeometryError
from .job import Job
from .own_scene import PROFILE, SCENE, Looks
from .pieces import Look, Piece, read_piece
from .response import response_of
from .scene import Scene
from .sensors import Sensor
from .trust import trusted

PIECES = 48
"that are learnt from or judged by, at most"
HELD = 0.2
"share of those that are judged by"
LEAST = 12
"samples of the coarser MS along a side, below which nothing can be learnt: part of it is held out"
ALIKE = 0.05
"how far the response that a scene shows may be from the profile's and still be that"

Say = Callable[[str], None]


def pieces_of(scenes: Sequence[Scene], readers: Sequence, job: Job, say: Say) -> tuple[list[Piece], list[Piece]]:
    """What is learnt from, and what is held out: a strip of each scene."""
    most = max(_room(scenes[0], job.memory) // len(scenes), 2)
    train, held = [], []
    for number, (scene, reader) in enumerate(zip(scenes, readers)):
        one, other = _of_scene(scene, reader, job.sensor, most, number, say)
        train, held = train + one, held + other
    return train, held


def _of_scene(scene: Scene, reader, sensor: Sensor, most: int, number: int, say: Say) -> tuple[list, list]:
    layout = layout_of(scene, "adapting", LEAST)
    seen = content.looked_at(reader, scene, layout, sensor.wavelengths)
    if seen.cloud.any():
        say(f"clouds are left out: {seen.cloud.mean():.0%} of {scene.pan.path}")
    if not seen.good.any():
        raise GeometryError(f"{scene.pan.path} shows no ground to learn from")
    strip = content.held_out(layout.part, seen)
    beside = [window for part in content.around(layout.part, strip) for window in content.windows(part)]
    judging = max(round(most * HELD), 1)
    chosen = content.chosen(beside, seen, most - judging), content.chosen(content.windows(strip), seen, judging)
    pieces = [read_piece(reader, scene, layout, window, number) for windows in chosen for window in windows]
    pieces = trusted(pieces, sensor, seen.limits)
    return pieces[: len(chosen[0])], pieces[len(chosen[0]) :]


def _room(scene: Scene, memory: int) -> int:
    """How many pieces half the memory holds."""
    size = 4 * content.SIDE**2 * (scene.placement.ratio**2 + 6 * len(scene.ms))
    return int(min(max(memory * 2**20 / 2 / size, 4), PIECES))


def looks_of(pieces: Sequence[Piece], scenes: int, sensor: Sensor, say: Say) -> Looks:
    """What the sensors of each scene may be: what the profile says, and what the scene shows, if that differs."""
    plain = Look(sensor.mtf, sensor.pan_mtf)
    usual = sum(sensor.mtf) / len(sensor.mtf)
    own = []
    for scene in range(scenes):
        gain = response_of([piece for piece in pieces if piece.scene == scene])
        own.append(plain if gain is None or abs(gain - usual) < ALIKE else Look((gain,) * len(sensor.mtf), gain))
    looks = {PROFILE: [plain] * scenes}
    if own == looks[PROFILE]:
        return looks
    told = ", ".join(f"{look.mtf[0]:.2f}" for look in own)
    say(f"MS shows {told} of what PAN shows at its Nyquist frequency, and not {usual:.2f}: both are learnt from")
    return {**looks, SCENE: own}
