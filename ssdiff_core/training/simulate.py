"""Simulation of satellite scenes with known truth from imagery of the same or higher resolution.

The random parameters of a scene are drawn once (`draw`: radiometry, sharpness, misregistration, noise) and then applied
to any number of pictures of one place (`make`), which form one scene for the scene statistics. MS is degraded from the
truth with the sensor's MTF, so the truth of its fusion is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..domain.block import Block, SceneStats, whole
from ..domain.kernels import BLUR_REACH, blur, interpolation, mtf_sigma
from ..domain.sensors import Sensor

FACTORS = (1.0, 1.5, 2.0, 2.0, 2.5, 3.0, 4.0)
"source pixels per PAN pixel; one is drawn"
SOFT_FACTORS = (1.0, 1.0, 1.0, 2.0)
"the same for imagery that is as coarse as that of satellites"
TEXTURE = 0.5
"standard deviation of the random part of PAN's own detail, as a share of the part that depends on materials"
MINIMUM_SIGMA = 0.6
"standard deviation in source pixels; a narrower blur is replaced by interpolation"


@dataclass(frozen=True)
class Picture:
    """An image to simulate scenes from."""

    image: np.ndarray
    "(C, h, w) of any number type"
    wavelengths: tuple[float, ...]
    "centre of each band, nm"
    full: float = 255.0
    "count that is scaled to 1"
    soft: bool = False
    "whether the image is as coarse as that of satellites; then it is degraded at most by a factor of 2"


@dataclass(frozen=True)
class Draw:
    """The random parameters of a scene, except its noise."""

    mix: np.ndarray
    "(bands, source bands) weights of the source bands in each band"
    nonlinearity: np.ndarray
    "(bands + 1, source bands) dependence of the gain of each band, and of PAN, on the colour of a pixel"
    nonlinearity_strength: np.ndarray
    "(bands + 1,) strength of that dependence"
    gamma: float
    share: np.ndarray
    "(bands,) weight of each band in PAN"
    factor: float
    "source pixels per PAN pixel"
    origin: tuple[float, float]
    "subpixel origin of the scene, in source pixels"
    rotation: tuple[int, bool]
    "number of quarter turns; whether flipped"
    truth_mtf: tuple[float, ...]
    "MTF of the truth in each band at PAN's Nyquist frequency"
    pan_mtf: float
    sharpening: float
    "strength of the sharpening of PAN that vendors apply; 0: none"
    mtf: tuple[float, ...]
    "MTF of MS at its Nyquist frequency"
    believed_mtf: tuple[float, ...]
    "MTF of MS that the fusion assumes"
    shift: tuple[float, float]
    "offset of PAN against the truth, in PAN pixels"
    off: tuple[float, float]
    "offset of MS against the truth, in PAN pixels"
    shifts: np.ndarray
    "(bands, 2) offset of each band against the others, in PAN pixels"
    noise: tuple[float, float]
    "standard deviation at medium brightness, of PAN and of MS"
    levels: float
    "number of counts between dark and bright"
    haze: np.ndarray
    "(bands + 1,) brightness that the atmosphere adds"
    saturation: float
    "brightness at which the sensor saturates"
    unshared: float = 0.0
    "strength of the detail of PAN that no band shares; 0: none"
    material: np.ndarray = field(default_factory=lambda: np.zeros(0))
    "(source bands,) direction in colour along which PAN's response changes, if `unshared` is not 0"


@dataclass(frozen=True)
class Scene:
    """A simulated scene."""

    truth: np.ndarray
    "(bands, h, w) MS at the resolution of PAN"
    block: Block
    "PAN and MS, in counts"


def draw(
    sensor: Sensor,
    wavelengths: tuple[float, ...],
    soft: bool,
    coarsest: float,
    rng: np.random.Generator,
    unshared: float = 0.0,
) -> Draw:
    """Draws the parameters of a scene of a sensor.

    wavelengths, soft: those of the imagery. coarsest: maximum number of source pixels per PAN pixel. unshared: maximum
    strength of the detail of PAN that no band shares; every second scene has none.
    """
    n = len(sensor.bands)
    factor = rng.choice([f for f in (SOFT_FACTORS if soft else FACTORS) if f <= coarsest] or [1.0])
    mtf = np.clip(np.array(sensor.mtf) + rng.normal(0, 0.03) + rng.normal(0, 0.015, n), 0.12, 0.5)
    pan_mtf = rng.uniform(0.08, 0.45)
    sharp = pan_mtf * rng.uniform(0.8, 2.2)  # the truth is not much sharper than PAN, which must show its detail
    return Draw(
        mix=_mixture(sensor.wavelengths, wavelengths, rng),
        nonlinearity=rng.normal(0, 1, (n + 1, len(wavelengths))),
        nonlinearity_strength=np.append(rng.normal(0, rng.uniform(0, 0.2), n), rng.normal(0, rng.uniform(0, 0.12))),
        gamma=rng.uniform(0.8, 2.4),
        share=_perturbed(np.array(sensor.pan_weights), rng),
        factor=float(factor),
        origin=tuple(rng.uniform(-0.5, 0.5, 2)),
        rotation=(int(rng.integers(4)), bool(rng.integers(2))),
        truth_mtf=tuple(np.clip(sharp + rng.normal(0, 0.02, n), 0.1, 0.6)),
        pan_mtf=float(pan_mtf),
        sharpening=float(rng.uniform(0, 0.6) * (rng.uniform() < 0.3)),
        mtf=tuple(mtf),
        believed_mtf=tuple(np.clip(mtf + rng.normal(0, 0.02), 0.12, 0.5)),
        # Small offsets cannot be measured, so the truth stays with MS. With large ones (off), it stays with PAN.
        shift=tuple(rng.normal(0, 0.2, 2).clip(-0.5, 0.5)),
        off=tuple(rng.uniform(-1, 1, 2) * (rng.uniform() < 0.25)),
        shifts=rng.normal(0, 0.1, (n, 2)).clip(-0.3, 0.3),
        noise=(float(rng.exponential(0.003)), float(rng.exponential(0.002))),
        levels=float(2 ** rng.uniform(7, 12)),
        haze=rng.uniform(0, 0.2) * rng.uniform(0.2, 1, n + 1),
        saturation=float(rng.uniform(0.6, 1.0) if rng.uniform() < 0.15 else np.inf),
        unshared=float(max(rng.uniform(-unshared, unshared), 0.0)) if unshared else 0.0,
        material=rng.normal(0, 1, len(wavelengths)) if unshared else np.zeros(0),
    )


def _mixture(target: tuple[float, ...], source: tuple[float, ...], rng: np.random.Generator) -> np.ndarray:
    """Returns random weights that decrease with distance in wavelength: a missing band is a mixture of its neighbours.

    target, source: the wavelengths of the bands and of the source bands.
    """
    if not target:  # the sensor has no wavelengths: any mixture
        return rng.dirichlet(np.full(len(source), 0.5), len(source))
    far = np.abs(np.subtract.outer(target, source)) / rng.uniform(15, 60)
    weights = np.exp(-far) * rng.uniform(0.7, 1.4, far.shape)
    return weights / weights.sum(1, keepdims=True)


def _perturbed(share: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    weights = (share + 0.02) * np.exp(rng.normal(0, 0.5, len(share)))
    return weights / weights.sum() * rng.uniform(0.7, 1.3)


def make(pictures: list[Picture], drawn: Draw, ratio: int, rng: np.random.Generator, side: int = 16) -> list[Scene]:
    """Simulates the scene with the drawn parameters from each picture of one place.

    rng: generator of the noise. side: the sides of PAN are multiples of it.
    """
    images = [_rotated(np.asarray(p.image, np.float32) / np.float32(p.full), *drawn.rotation) for p in pictures]
    images = [np.clip(image, 0, None) ** np.float32(drawn.gamma) for image in images]
    flat = np.concatenate([image.reshape(len(image), -1)[:, ::7] for image in images], axis=1)
    about = flat.mean(1), flat.std(1) + 1e-6
    return [_scene(image, about, drawn, ratio, rng, side) for image in images]


def _rotated(image: np.ndarray, quarters: int, flipped: bool) -> np.ndarray:
    image = np.rot90(image, quarters, (1, 2))
    return np.ascontiguousarray(image[:, ::-1] if flipped else image)


def _scene(image: np.ndarray, about, drawn: Draw, ratio: int, rng: np.random.Generator, side: int) -> Scene:
    bands, pan = _sensor_bands(image, about, drawn)
    if drawn.unshared:
        pan = pan * _own_detail(image, about, drawn, rng)
    sizes = [
        int((n - 1) // drawn.factor // side * side) or int(n // drawn.factor // side * side) for n in image.shape[1:]
    ]
    truth = np.stack(
        [sampled(band, sizes, drawn, gain, shift) for band, gain, shift in zip(bands, drawn.truth_mtf, drawn.shifts)]
    )
    pan = sampled(pan, sizes, drawn, drawn.pan_mtf, drawn.shift)
    if drawn.sharpening:
        pan = pan + np.float32(drawn.sharpening) * (pan - degraded(pan, 0.35, 1.0))
    at = tuple((ratio - 1) / 2 + off for off in drawn.off)
    ms = np.stack([degraded(band, gain, ratio, at) for band, gain in zip(truth, drawn.mtf)])
    pan, ms = (
        _digitised(i, drawn, s, h, rng)
        for i, s, h in ((pan, drawn.noise[0], drawn.haze[-1:]), (ms, drawn.noise[1], drawn.haze[:-1]))
    )
    truth = (truth + drawn.haze[:-1, None, None].astype(np.float32)) * np.float32(drawn.levels)
    return Scene(truth, whole(pan.astype(np.float32), ms.astype(np.float32), SceneStats()))


def _sensor_bands(image: np.ndarray, about, drawn: Draw) -> tuple[np.ndarray, np.ndarray]:
    """Returns the sensor's bands and PAN at the pixels of the imagery, with gains that depend on the pixel's colour."""
    shape = image.shape[1:]
    flat = image.reshape(len(image), -1)
    colour = np.tanh(drawn.nonlinearity.astype(np.float32) @ ((flat - about[0][:, None]) / about[1][:, None]) / 2)
    factor = np.exp(colour * drawn.nonlinearity_strength[:, None].astype(np.float32))
    bands = (drawn.mix.astype(np.float32) @ flat) * factor[:-1]
    pan = (drawn.share.astype(np.float32) @ bands) * factor[-1]
    return bands.reshape(-1, *shape), pan.reshape(shape)


def _own_detail(image: np.ndarray, about, drawn: Draw, rng: np.random.Generator) -> np.ndarray:
    """Returns a factor for PAN (h, w): its response differs between materials that look alike in all bands.

    Of real pairs, the bands explain 33 to 58 % of the variance of PAN's finest detail at the resolution of MS
    (WorldView-3, Landsat 8); of simulated pairs without this, 95 %.
    """
    normalised = (image - about[0][:, None, None]) / about[1][:, None, None]
    steps = np.tanh(2 * np.tensordot(drawn.material.astype(np.float32), normalised, 1))
    texture = rng.standard_normal(image.shape[1:], np.float32) * np.float32(TEXTURE)
    return np.exp(np.float32(drawn.unshared) * (steps + texture))


def sampled(image: np.ndarray, sizes: list[int], drawn: Draw, gain: float, shift) -> np.ndarray:
    """Resamples an image to PAN's pixels with the MTF `gain` at PAN's Nyquist frequency."""
    sigma = mtf_sigma(gain, drawn.factor)
    matrices = []
    for n, size, origin, off in zip(image.shape, sizes, drawn.origin, shift):
        spare = (n - size * drawn.factor) / 2
        at = spare + (np.arange(size) + 0.5 + off) * drawn.factor - 0.5 + origin
        matrices.append(blur(at, n, sigma, int(np.ceil(4 * sigma))) if sigma > MINIMUM_SIGMA else interpolation(at, n))
    return matrices[0] @ image @ matrices[1].T


def degraded(image: np.ndarray, gain: float, ratio: float, at: tuple[float, float] | None = None) -> np.ndarray:
    """Degrades an image (..., h, w) by the ratio with the MTF `gain` at the Nyquist frequency.

    at: row and column of the centre of the first sample. Default: corner-aligned.
    """
    at = at or ((ratio - 1) / 2,) * 2  # corner-aligned
    down, across = (
        blur(first + np.arange(int(n / ratio)) * ratio, n, mtf_sigma(gain, ratio), round(BLUR_REACH * ratio))
        for first, n in zip(at, image.shape[-2:])
    )
    return down @ image @ across.T


def _digitised(image: np.ndarray, drawn: Draw, sigma: float, haze: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns an image in counts, with noise that grows with brightness, saturation and haze."""
    light = np.clip(image, 0, None)
    noise = rng.standard_normal(image.shape, np.float32) * np.float32(sigma) * np.sqrt(light / 0.3 + 0.1)
    haze = haze.astype(np.float32)[:, None, None] if image.ndim == 3 else np.float32(haze[0])
    signal = np.minimum(image + noise, np.float32(drawn.saturation)) + haze
    return np.rint(signal * np.float32(drawn.levels)).clip(0, None)
