"""The bundled weights on varied scenes: better than the classical methods on the sample, never worse than EXP."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from checkerboard import pattern_energy

from ssdiff_core.classical.engine import ClassicalEngine
from ssdiff_core.classical.scene_statistics import Survey
from ssdiff_core.domain.band_groups import groups
from ssdiff_core.domain.block import Block, SceneStats, whole
from ssdiff_core.domain.methods import ALL
from ssdiff_core.domain.options import SamplingOptions
from ssdiff_core.fusion.engine import Engine
from ssdiff_core.fusion.grouped_engine import Grouped
from ssdiff_core.training.simulate import degraded

SAMPLE = Path(__file__).parents[3] / "resources" / "sample" / "eureka.npz"
SIDE = 144
PARTS = {"pan": SIDE, "ms": SIDE // 4, "truth": SIDE}
PAN_SHARE = np.array([0.16, 0.28, 0.32, 0.24])
WHITE = 2047.0
SAM_TOLERANCE = 0.12
"tolerance of SAM in degrees, for scenes that contain nothing but noise"


@pytest.fixture(scope="module")
def sample():
    """Returns PAN (h, w), MS and the truth (bands, h, w) of a part of the sample, and the MTF of MS."""
    with np.load(SAMPLE) as file:
        pan, ms, truth = (file[name][-n:, -n:].astype(np.float32) for name, n in PARTS.items())
        return pan, ms.transpose(2, 0, 1), truth.transpose(2, 0, 1), tuple(map(float, file["mtf"]))


def unchanged(pan, ms, truth, mtf, rng):
    return pan, ms, truth


def pan_one_pixel_off(pan, ms, truth, mtf, rng):
    return np.roll(pan, 1, axis=1), ms, truth


def pan_one_pixel_off_both_ways(pan, ms, truth, mtf, rng):
    return np.roll(pan, (1, 1), axis=(0, 1)), ms, truth


def ms_of_other_units(pan, ms, truth, mtf, rng):
    return pan, np.rint(0.25 * ms), 0.25 * truth


def eight_bits(pan, ms, truth, mtf, rng):
    return (*(np.rint(image * 255 / 1600).clip(0, 255) for image in (pan, ms)), truth * 255 / 1600)


def holes(pan, ms, truth, mtf, rng):
    """A third of the scene is masked, in squares of 16 PAN pixels."""
    here = rng.uniform(size=(9, 9)) > 0.3
    fine, coarse = (np.kron(here, np.ones((n, n))) for n in (16, 4))
    return np.where(fine, pan, np.nan), np.where(coarse, ms, np.nan), truth


def water(pan, ms, truth, mtf, rng):
    """Dark, darker in the near infrared, with waves below the noise of PAN."""
    rows, cols = np.mgrid[:SIDE, :SIDE] / SIDE
    ground = np.stack([300 + 40 * cols + 30 * rows, 220 + 30 * rows, 120 + 10 * cols, 60 + 5 * rows])
    return simulated(ground + rng.normal(0, 1, (SIDE, SIDE)) * np.array([3, 3, 2, 2])[:, None, None], mtf, rng)


def cloud_over_a_third(pan, ms, truth, mtf, rng):
    """A cloud that covers a third of the scene and saturates the sensors."""
    rows, cols = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    cover = np.clip(1.6 - 4 * np.hypot(rows, cols), 0, 1)
    return simulated(truth * (1 - cover) + 1.1 * WHITE * cover, mtf, rng)


def cloud_everywhere(pan, ms, truth, mtf, rng):
    return simulated(0.9 * WHITE + rng.normal(0, 20, truth.shape), mtf, rng)


def simulated(truth, mtf, rng):
    """Simulates PAN and MS in integer counts, with noise; returns them with the truth."""
    truth = np.clip(truth, 0, WHITE)
    pan = np.tensordot(PAN_SHARE, truth, 1) + rng.normal(0, 2, truth.shape[1:])
    ms = np.stack([degraded(band, gain, 4) for band, gain in zip(truth, mtf)])
    ms += rng.normal(0, 1, ms.shape)
    return (*(np.rint(image).clip(0, WHITE) for image in (pan, ms)), truth)


def fused(block: Block, method: str, mtf, weights) -> np.ndarray:
    if method == "ssdiff":
        of_bands = () if len(block.ms) == 4 else tuple(groups(len(block.ms), 4))
        survey = Survey("mtf-glp-fs", mtf, 4, "cubic", views=weights.card.arch.views, groups=of_bands)
        engine = Engine(weights, SamplingOptions("cpu", samples=1), notify=lambda sentence: None)
        engine = Grouped(engine, of_bands) if of_bands else engine
        return engine.fuse(replace(block, stats=survey.stats(survey.gather(block))))
    engine = ClassicalEngine(method, 4)
    survey = engine.survey(mtf, 0.15)
    return engine.fuse(replace(block, stats=survey.stats(survey.gather(block))))


def scores(scene, methods, mtf, weights) -> dict[str, dict[str, float]]:
    pan, ms, truth = (np.asarray(image, np.float32) for image in scene)
    block = whole(pan, ms, SceneStats())
    images = {method: fused(block, method, mtf, weights) for method in methods}
    ok = np.isfinite([image.sum(0) for image in images.values()]).all(0)
    assert ok.mean() > 0.5
    return {method: errors(image[:, ok], truth[:, ok]) for method, image in images.items()}


def errors(image, truth) -> dict[str, float]:
    """Returns ERGAS and SAM of pixels (bands, n)."""
    share = ((image - truth) ** 2).mean(1) / truth.mean(1) ** 2
    cosine = (image * truth).sum(0) / np.sqrt((image**2).sum(0) * (truth**2).sum(0))
    return {"ERGAS": float(25 * np.sqrt(share.mean())), "SAM": float(np.degrees(np.arccos(cosine.clip(-1, 1))).mean())}


@pytest.mark.parametrize(
    "scene",
    [
        unchanged,
        pan_one_pixel_off,
        pan_one_pixel_off_both_ways,
        ms_of_other_units,
        eight_bits,
        holes,
        water,
        cloud_over_a_third,
        cloud_everywhere,
    ],
)
def test_the_bundled_weights_are_never_worse_than_exp(scene, sample, patch_network):
    *images, mtf = sample
    made = scene(*images, mtf, np.random.default_rng(1))
    found = scores(made, ("exp", "ssdiff"), mtf, patch_network)
    assert found["ssdiff"]["ERGAS"] <= found["exp"]["ERGAS"], found
    assert found["ssdiff"]["SAM"] <= found["exp"]["SAM"] + SAM_TOLERANCE, found


@pytest.mark.parametrize("bands", [1, 2, 3, 6, 13])
def test_the_bundled_weights_fuse_any_number_of_bands(bands, sample, patch_network):
    """The bands are mixtures of those of the sample, from short to long wavelengths."""
    pan, ms, truth, mtf = sample
    mixture = np.maximum(1 - np.abs(np.linspace(0, 3, bands)[:, None] - np.arange(4)), 0).astype(np.float32)
    mixed = (np.tensordot(mixture, image, 1) for image in (ms, truth))
    own = tuple(map(float, mixture @ mtf))
    found = scores((pan, *mixed), ("ssdiff", "exp", "mtf-glp-fs"), own, patch_network)
    assert found["ssdiff"]["ERGAS"] < (0.9 if bands > 2 else 1.1) * found["mtf-glp-fs"]["ERGAS"], found
    assert found["ssdiff"]["SAM"] <= (1.05 if bands > 2 else 1.15) * found["exp"]["SAM"], found


@pytest.mark.parametrize("patches", [True, False])
def test_the_bundled_weights_are_better_than_every_classical_method_on_the_sample(
    patches, sample, patch_network, sample_weights
):
    *images, mtf = sample
    methods = ALL
    found = scores(images, methods, mtf, patch_network if patches else sample_weights)
    own = found.pop("ssdiff")
    for method, value in found.items():
        assert own["ERGAS"] < 0.85 * value["ERGAS"], (method, own, value)
        assert own["SAM"] < 0.9 * value["SAM"], (method, own, value)


def test_the_network_on_patches_is_better_than_the_one_on_pixels_on_the_sample(sample, patch_network, sample_weights):
    *images, mtf = sample
    own, other = (scores(images, ("ssdiff",), mtf, each)["ssdiff"] for each in (patch_network, sample_weights))
    assert own["ERGAS"] < 0.95 * other["ERGAS"]
    assert own["SAM"] < 0.95 * other["SAM"]


def test_the_network_on_patches_leaves_no_pattern_of_its_patches(patch_network):
    """Errors repeat with the patches no more than those of MTF-GLP-FS; a pattern of one count would be seen."""
    with np.load(SAMPLE) as file:
        pan, ms, truth = (file[name].astype(np.float32) for name in PARTS)
        mtf = tuple(map(float, file["mtf"]))
    ms, truth = ms.transpose(2, 0, 1), truth.transpose(2, 0, 1)
    block = whole(pan, ms, SceneStats())
    errors_of = {method: fused(block, method, mtf, patch_network) - truth for method in ("ssdiff", "mtf-glp-fs")}
    energy = {method: pattern_energy(error, 4) for method, error in errors_of.items()}
    assert energy["ssdiff"] < 1.5 * energy["mtf-glp-fs"] + 1, energy
    pattern = np.tile(np.random.default_rng(0).normal(0, 1, (4, 4)), (64, 64))
    assert pattern_energy(errors_of["ssdiff"] + pattern, 4) > 3 * energy["ssdiff"]
