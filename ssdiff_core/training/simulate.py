"""Scenes of satellites that are known in every pixel, made from imagery that is finer or as fine.

A scene is drawn once (`draw`: sensor, radiometry, sharpness, misregistration, noise; all from one generator) and then
made of as many pictures of one place as one likes (`make`): so what is fitted to the scene is fitted to all of them.
What MS lacks is known, because MS is made from the truth by the sensor's MTF.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..domain.block import Block, SceneStats, whole
from ..domain.kernels import BLUR_REACH, blur, interpolation, mtf_sigma
from ..domain.sensors import Sensor

FACTORS = (1.0, 1.5, 2.0, 2.0, 2.5, 3.0, 4.0)  # source pixels per PAN pixel, drawn from these
SOFT = (1.0, 1.0, 1.0, 2.0)  # where the source is as coarse as a satellite
SHARPEST = 0.6  # standard deviation, in source pixels, below which a blur is left out


@dataclass(frozen=True)
class Picture:
    """A piece of imagery to make scenes from."""

    image: np.ndarray
    "(C, h, w), any number type"
    wavelengths: tuple[float, ...]
    "centre of each band, nm"
    full: float = 255.0
    "counts that map to 1"
    soft: bool = False
    "whether its pixels are as coarse as the satellite's: then it is never made coarser than twofold"


@dataclass(frozen=True)
class Draw:
    """All that is random about a scene but its noise."""

    mix: np.ndarray
    "(bands, source bands) how much of each source band is in each band"
    bend: np.ndarray
    "(bands + 1, source bands) how each band, and at last PAN, bends with the colour of a pixel"
    bent: np.ndarray
    "(bands + 1,) how much"
    gamma: float
    share: np.ndarray
    "(bands,) of each band in PAN"
    factor: float
    "source pixels per PAN pixel"
    origin: tuple[float, float]
    "where the scene begins, in source pixels"
    turn: tuple[int, bool]
    truth_mtf: tuple[float, ...]
    "response of the truth at PAN's Nyquist frequency"
    pan_mtf: float
    crisp: float
    "how much of what a blur takes away is added to PAN again, as vendors do"
    mtf: tuple[float, ...]
    "response of MS at its Nyquist frequency"
    believed_mtf: tuple[float, ...]
    "what whoever fuses the scene takes it to be"
    shift: tuple[float, float]
    "PAN pixels that PAN lies off the truth"
    off: tuple[float, float]
    "PAN pixels that MS lies off the truth"
    shifts: np.ndarray
    "(bands, 2) PAN pixels that each band lies off the others"
    noise: tuple[float, float]
    "standard deviation at mid brightness, of PAN and of MS"
    levels: float
    "counts between dark and bright"
    haze: np.ndarray
    "(bands + 1,) brightness that the air adds"
    saturates: float
    "brightness from which on the sensor is blind"


@dataclass(frozen=True)
class Scene:
    truth: np.ndarray
    "(bands, h, w) what MS would show if it were as fine as PAN"
    block: Block
    "PAN and MS as delivered, in counts"


def draw(sensor: Sensor, wavelengths: tuple[float, ...], soft: bool, coarsest: float, rng: np.random.Generator) -> Draw:
    """A scene of that sensor, from imagery of those wavelengths, at most `coarsest` times as coarse as that."""
    n = len(sensor.bands)
    factor = rng.choice([f for f in (SOFT if soft else FACTORS) if f <= coarsest] or [1.0])
    mtf = np.clip(np.array(sensor.mtf) + rng.normal(0, 0.03) + rng.normal(0, 0.015, n), 0.12, 0.5)
    pan_mtf = rng.uniform(0.08, 0.45)
    sharp = pan_mtf * rng.uniform(0.8, 2.2)  # else an image would have to be as sharp as no PAN tells
    return Draw(
        mix=_mixture(sensor.wavelengths, wavelengths, rng),
        bend=rng.normal(0, 1, (n + 1, len(wavelengths))),
        bent=np.append(rng.normal(0, rng.uniform(0, 0.2), n), rng.normal(0, rng.uniform(0, 0.12))),
        gamma=rng.uniform(0.8, 2.4),
        share=_perturbed(np.array(sensor.pan_weights), rng),
        factor=float(factor),
        origin=tuple(rng.uniform(-0.5, 0.5, 2)),
        turn=(int(rng.integers(4)), bool(rng.integers(2))),
        truth_mtf=tuple(np.clip(sharp + rng.normal(0, 0.02, n), 0.1, 0.6)),
        pan_mtf=float(pan_mtf),
        crisp=float(rng.uniform(0, 0.6) * (rng.uniform() < 0.3)),
        mtf=tuple(mtf),
        believed_mtf=tuple(np.clip(mtf + rng.normal(0, 0.02), 0.12, 0.5)),
        # A little off: nobody can tell what is right, and MS is. Far off: an image is sharp where PAN is.
        shift=tuple(rng.normal(0, 0.2, 2).clip(-0.5, 0.5)),
        off=tuple(rng.uniform(-1, 1, 2) * (rng.uniform() < 0.25)),
        shifts=rng.normal(0, 0.1, (n, 2)).clip(-0.3, 0.3),
        noise=(float(rng.exponential(0.003)), float(rng.exponential(0.002))),
        levels=float(2 ** rng.uniform(7, 12)),
        haze=rng.uniform(0, 0.2) * rng.uniform(0.2, 1, n + 1),
        saturates=float(rng.uniform(0.6, 1.0) if rng.uniform() < 0.15 else np.inf),
    )


def _mixture(wanted: tuple[float, ...], given: tuple[float, ...], rng: np.random.Generator) -> np.ndarray:
    """Weights by nearness in wavelength, blurred at random: a missing band is its neighbours' mixture."""
    if not wanted:  # a sensor that nobody knows: any mixture
        return rng.dirichlet(np.full(len(given), 0.5), len(given))
    far = np.abs(np.subtract.outer(wanted, given)) / rng.uniform(15, 60)
    weights = np.exp(-far) * rng.uniform(0.7, 1.4, far.shape)
    return weights / weights.sum(1, keepdims=True)


def _perturbed(share: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    weights = (share + 0.02) * np.exp(rng.normal(0, 0.5, len(share)))
    return weights / weights.sum() * rng.uniform(0.7, 1.3)


def make(pictures: list[Picture], drawn: Draw, ratio: int, rng: np.random.Generator, side: int = 16) -> list[Scene]:
    """The scene that was drawn, over each of some pictures of one place. Sides are multiples of `side` PAN pixels."""
    seen = [_turned(np.asarray(p.image, np.float32) / np.float32(p.full), *drawn.turn) for p in pictures]
    seen = [np.clip(image, 0, None) ** np.float32(drawn.gamma) for image in seen]
    flat = np.concatenate([image.reshape(len(image), -1)[:, ::7] for image in seen], axis=1)
    about = flat.mean(1), flat.std(1) + 1e-6
    return [_scene(image, about, drawn, ratio, rng, side) for image in seen]


def _turned(image: np.ndarray, quarters: int, flipped: bool) -> np.ndarray:
    image = np.rot90(image, quarters, (1, 2))
    return np.ascontiguousarray(image[:, ::-1] if flipped else image)


def _scene(image: np.ndarray, about, drawn: Draw, ratio: int, rng: np.random.Generator, side: int) -> Scene:
    bands, pan = _as_seen(image, about, drawn)
    sizes = [
        int((n - 1) // drawn.factor // side * side) or int(n // drawn.factor // side * side) for n in image.shape[1:]
    ]
    truth = np.stack(
        [sampled(band, sizes, drawn, gain, shift) for band, gain, shift in zip(bands, drawn.truth_mtf, drawn.shifts)]
    )
    pan = sampled(pan, sizes, drawn, drawn.pan_mtf, drawn.shift)
    if drawn.crisp:
        pan = pan + np.float32(drawn.crisp) * (pan - degraded(pan, 0.35, 1.0))
    at = tuple((ratio - 1) / 2 + off for off in drawn.off)
    ms = np.stack([degraded(band, gain, ratio, at) for band, gain in zip(truth, drawn.mtf)])
    pan, ms = (
        _counts(i, drawn, s, h, rng)
        for i, s, h in ((pan, drawn.noise[0], drawn.haze[-1:]), (ms, drawn.noise[1], drawn.haze[:-1]))
    )
    truth = (truth + drawn.haze[:-1, None, None].astype(np.float32)) * np.float32(drawn.levels)
    return Scene(truth, whole(pan.astype(np.float32), ms.astype(np.float32), SceneStats()))


def _as_seen(image: np.ndarray, about, drawn: Draw) -> tuple[np.ndarray, np.ndarray]:
    """Bands and PAN of the sensor at the imagery's own pixels: mixtures that bend with the colour of each pixel."""
    shape = image.shape[1:]
    flat = image.reshape(len(image), -1)
    colour = np.tanh(drawn.bend.astype(np.float32) @ ((flat - about[0][:, None]) / about[1][:, None]) / 2)
    factor = np.exp(colour * drawn.bent[:, None].astype(np.float32))
    bands = (drawn.mix.astype(np.float32) @ flat) * factor[:-1]
    pan = (drawn.share.astype(np.float32) @ bands) * factor[-1]
    return bands.reshape(-1, *shape), pan.reshape(shape)


def sampled(image: np.ndarray, sizes: list[int], drawn: Draw, gain: float, shift) -> np.ndarray:
    """An image through an instrument of that response at PAN's Nyquist frequency, on PAN's pixels."""
    sigma = mtf_sigma(gain, drawn.factor)
    matrices = []
    for n, size, origin, off in zip(image.shape, sizes, drawn.origin, shift):
        spare = (n - size * drawn.factor) / 2
        at = spare + (np.arange(size) + 0.5 + off) * drawn.factor - 0.5 + origin
        matrices.append(blur(at, n, sigma, int(np.ceil(4 * sigma))) if sigma > SHARPEST else interpolation(at, n))
    return matrices[0] @ image @ matrices[1].T


def degraded(image: np.ndarray, gain: float, ratio: float, at: tuple[float, float] | None = None) -> np.ndarray:
    """An image (..., h, w) through a sensor of that MTF, `ratio` times as coarse; `at`: its first sample's centre."""
    at = at or ((ratio - 1) / 2,) * 2  # corner-aligned
    down, across = (
        blur(first + np.arange(int(n / ratio)) * ratio, n, mtf_sigma(gain, ratio), round(BLUR_REACH * ratio))
        for first, n in zip(at, image.shape[-2:])
    )
    return down @ image @ across.T


def _counts(image: np.ndarray, drawn: Draw, sigma: float, haze: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What the instrument writes down: noise that grows with light, haze, saturation, whole counts."""
    light = np.clip(image, 0, None)
    noise = rng.standard_normal(image.shape, np.float32) * np.float32(sigma) * np.sqrt(light / 0.3 + 0.1)
    haze = haze.astype(np.float32)[:, None, None] if image.ndim == 3 else np.float32(haze[0])
    seen = np.minimum(image + noise, np.float32(drawn.saturates)) + haze
    return np.rint(seen * np.float32(drawn.levels)).clip(0, None)
