"""Every measure against slow code that follows its definition word by word, and against what must hold of it."""

import functools
import operator
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import sample_scene

from ssdiff_core.classical.engine import ClassicalEngine
from ssdiff_core.classical.resample import take_rows
from ssdiff_core.common.errors import BlockError, ConfigError
from ssdiff_core.domain import methods
from ssdiff_core.domain.block import Block
from ssdiff_core.domain.grid import Placement
from ssdiff_core.domain.window import Window
from ssdiff_core.metrics import arrays
from ssdiff_core.metrics.arrays import with_reference, without_reference
from ssdiff_core.metrics.block_view import Setting, View
from ssdiff_core.metrics.conventions import CONVENTIONS, toolbox_taps
from ssdiff_core.metrics.full_scale import FullScale
from ssdiff_core.metrics.q2n import multiplication_table, q2n
from ssdiff_core.metrics.reference import Referenced, block_cores
from ssdiff_core.metrics.reprojected import Reprojected

conventions = st.sampled_from(sorted(CONVENTIONS))
seeds = st.integers(0, 2**32 - 1)
MTF = (0.34, 0.32, 0.30, 0.22)


def textured(bands, height, width, seed=0, noise=60.0):
    """Counts that are alike in all bands, but not the same."""
    rng = np.random.default_rng(seed)
    r, c = np.mgrid[:height, :width]
    waves = sum(
        rng.uniform(40, 90) * np.sin(r * rng.uniform(0.05, 1) + c * rng.uniform(0.05, 1) + rng.uniform(0, 6))
        for _ in range(6)
    )
    image = 700 + rng.uniform(0.5, 1.5, (bands, 1, 1)) * waves + rng.normal(0, noise, (bands, height, width))
    return np.clip(image, 1, None).astype(np.float32)


def spoiled(image, seed=1, noise=40.0):
    rng = np.random.default_rng(seed)
    return (image * 0.97 + 20 + rng.normal(0, noise, image.shape)).clip(1).astype(np.float32)


# --- slow code -------------------------------------------------------------------------------------------------------

QUATERNIONS = np.array([[1, 2, 3, 4], [2, -1, 4, -3], [3, -4, -1, 2], [4, 3, -2, -1]])
OCTONIONS = np.array(
    [
        [1, 2, 3, 4, 5, 6, 7, 8],
        [2, -1, 4, -3, 6, -5, -8, 7],
        [3, -4, -1, 2, 7, 8, -5, -6],
        [4, 3, -2, -1, 8, -7, 6, -5],
        [5, -6, -7, -8, -1, 2, 3, 4],
        [6, 5, -8, 7, -2, -1, -4, 3],
        [7, 8, 5, -6, -3, 4, -1, -2],
        [8, -7, 6, 5, -4, -3, 2, -1],
    ]
)
"the unit in row i times the unit in column j, counted from 1, with its sign"
TABLES = {1: np.array([[1]]), 2: np.array([[1, 2], [2, -1]]), 4: QUATERNIONS, 8: OCTONIONS}


def product(x, y):
    """Hypercomplex numbers (parts, ...), number by number."""
    answer = np.zeros_like(x)
    for i, row in enumerate(TABLES[len(x)]):
        for j, unit in enumerate(row):
            answer[abs(unit) - 1] += np.sign(unit) * x[i] * y[j]
    return answer


def slow_q2n(reference, image):
    """Of one square, from numbers that are really multiplied."""
    parts = 1 << (len(reference) - 1).bit_length()
    none = np.zeros((parts - len(reference), *reference.shape[1:]))
    x, y = (np.concatenate([a.astype(float), none]) for a in (reference, image))
    for band in range(parts):
        mean, deviation = x[band].mean(), x[band].std(ddof=1) or np.finfo(float).eps
        y[band] = (y[band] - mean) / (1 if mean == 0 else deviation) + 1
        x[band] = (x[band] - mean) / deviation + 1
    y[1:] *= -1
    mean_x, mean_y = x.mean((1, 2)), y.mean((1, 2))
    square_x, square_y = (mean_x**2).sum(), (mean_y**2).sum()
    cov = product(x, y).mean((1, 2)) - product(mean_x, mean_y)
    variation = (x**2).sum(0).mean() + (y**2).sum(0).mean() - square_x - square_y
    means = 2 * np.sqrt(square_x * square_y) / (square_x + square_y)
    return means if variation == 0 else np.linalg.norm(cov) * means * 2 / variation


def slow_q2n_mean(reference, image):
    return np.mean([slow_q2n(x, y) for x, y in zip(cut(reference), cut(image))])


def cut(image):
    """Squares of 32 by 32 pixels; the sides are multiples."""
    h, w = image.shape[-2:]
    return [image[..., r : r + 32, c : c + 32] for r in range(0, h, 32) for c in range(0, w, 32)]


def slow_uqi(x, y):
    """Of one square."""
    cov = np.cov(x.ravel().astype(float), y.ravel().astype(float))
    mx, my = x.mean(dtype=float), y.mean(dtype=float)
    return 4 * cov[0, 1] * mx * my / (cov[0, 0] + cov[1, 1]) / (mx**2 + my**2)


def slow_uqi_mean(x, y):
    return np.mean([slow_uqi(a, b) for a, b in zip(cut(x), cut(y))])


def slow_correlation(x, y, half):
    """Pixel by pixel; beyond the image all is 0."""

    def at(image, r, c):
        return image[r, c] if 0 <= r < image.shape[0] and 0 <= c < image.shape[1] else 0.0

    def window(image, r, c):
        around = range(1 - half, half + 1)
        return np.array([at(image, r + i, c + j) for i in around for j in around])

    def less_mean(image):
        pixels = np.ndindex(image.shape)
        return np.reshape([image[p] - window(image, *p).mean() for p in pixels], image.shape)

    x, y = less_mean(x.astype(float)), less_mean(y.astype(float))
    answer = np.zeros(x.shape)
    for p in np.ndindex(x.shape):
        a, b = window(x, *p), window(y, *p)
        answer[p] = (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())
    return answer.clip(-1, 1)


def toolbox_kernel(gain, ratio):
    """The toolboxes' filter in two dimensions."""
    n = np.arange(41) - 20
    alpha = np.sqrt((40 / (2 * ratio)) ** 2 / (-2 * np.log(gain)))
    wanted = np.exp(-(n[:, None] ** 2 + n**2) / (2 * alpha**2))
    frequency = np.exp(-2j * np.pi / 41 * np.outer(n, n))
    plain = (frequency.conj() @ wanted @ frequency.conj()).real / 41**2
    radius = np.sqrt(n[:, None] ** 2 + n**2)
    return plain * np.where(radius <= 20, np.interp(radius, n, np.kaiser(41, 0.5)), 0)


def slow_filter(image, kernel):
    """Correlation with a kernel; the image goes on as it ended."""
    reach = len(kernel) // 2
    around = np.pad(image.astype(float), reach, mode="edge")
    h, w = image.shape
    return sum(kernel[i, j] * around[i : i + h, j : j + w] for i, j in np.ndindex(kernel.shape))


def slow_shrink(image, ratio):
    """Cubic, widened by the ratio, mirrored at the edges; pixel i in the middle of ratio pixels."""

    def cubic(d):
        d = abs(d)
        return (1.5 * d**3 - 2.5 * d**2 + 1) if d <= 1 else (-0.5 * d**3 + 2.5 * d**2 - 4 * d + 2) if d <= 2 else 0.0

    def along_rows(image):
        margin = 3 * ratio
        around = np.pad(image, ((margin, margin), (0, 0)), mode="symmetric")
        answer = []
        for i in range(len(image) // ratio):
            centre = i * ratio + (ratio - 1) / 2 + margin
            weights = np.array([cubic((j - centre) / ratio) for j in range(len(around))])
            answer.append(weights @ around / weights.sum())
        return np.array(answer)

    return along_rows(along_rows(image.astype(float)).T).T


HALF_BAND = [0.5, 0.305334091185, 0, -0.072698593239, 0, 0.021809577942, 0, -0.005192756653, 0, 0.000807762146, 0]
HALF_BAND += [-0.000060081482]


def slow_expand(image, ratio):
    """The published 23 taps, round by round; the image goes on as it ended."""
    taps = 2 * np.array([*HALF_BAND[:0:-1], *HALF_BAND])

    def along_rows(image):
        h, image = len(image), np.pad(image.astype(float), ((24, 24), (0, 0)), mode="edge")
        for turn in range(round(np.log2(ratio))):
            spread = np.zeros((2 * len(image), image.shape[1]))
            spread[1 - min(turn, 1) :: 2] = image
            image = np.stack([np.convolve(col, taps, "same") for col in spread.T], 1)
        return image[24 * ratio : (24 + h) * ratio]

    return along_rows(along_rows(image).T).T


# --- with a reference ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bands", [1, 2, 4, 8])
def test_q2n_is_that_of_numbers_really_multiplied(bands):
    reference = textured(bands, 96, 64)
    image = spoiled(reference)
    image[:, :32, :32] = np.roll(image[:, :32, :32], 1, 0)  # mixed bands: what sign each unit has matters
    measured = with_reference(image, reference, 4, rounded=False)["Q2n"]
    assert measured == pytest.approx(slow_q2n_mean(reference, image), abs=1e-9)


@pytest.mark.parametrize("bands", [3, 5])
def test_missing_parts_of_q2n_are_empty_bands(bands):
    reference = textured(bands, 32, 32)
    image = spoiled(reference)
    assert with_reference(image, reference, 4, rounded=False)["Q2n"] == pytest.approx(slow_q2n(reference, image))


@pytest.mark.parametrize("n", [1, 2, 4, 8])
def test_cayley_dickson_numbers_are_complex_numbers_quaternions_and_octonions(n):
    sign, part = multiplication_table(n)
    assert np.array_equal(sign * (part + 1), TABLES[n])


def test_sixteen_parts_are_no_longer_those_of_a_division_algebra_but_still_have_units():
    sign, part = multiplication_table(16)
    assert np.array_equal(np.sort(part, 1), np.broadcast_to(np.arange(16), (16, 16)))
    assert np.array_equal(part.diagonal(), np.zeros(16))
    assert np.array_equal(sign.diagonal(), [1, *[-1] * 15])


def test_q2n_rounds_to_16_bit_counts_as_the_toolboxes_do_and_not_if_told_so():
    reference, image = textured(4, 64, 64), spoiled(textured(4, 64, 64))
    image[0, 0, 0], image[1, 0, 0] = -5, 70000

    def cast(a):
        return np.floor(a.astype(float) + 0.5).clip(0, 65535)

    rounded = with_reference(image, reference, 4, rounded=True)
    plain = with_reference(image, reference, 4, rounded=False)
    assert rounded["Q2n"] == pytest.approx(slow_q2n_mean(cast(reference), cast(image)), abs=1e-9)
    assert plain["Q2n"] == pytest.approx(slow_q2n_mean(reference, image), abs=1e-9)
    assert rounded["rounded"] is True
    assert plain["rounded"] is False
    assert rounded["SAM"] == plain["SAM"]


def test_reflectances_are_not_rounded_by_default():
    reference, image = textured(4, 64, 64) / 10000, spoiled(textured(4, 64, 64)) / 10000
    counts = with_reference(image * 10000, reference * 10000, 4)
    assert with_reference(image, reference, 4)["Q2n"] == pytest.approx(counts["Q2n"], rel=1e-4)
    assert with_reference(image, (reference * 10000).astype(np.uint16), 4)["rounded"]


def test_q2n_mirrors_the_last_squares():
    reference = textured(4, 70, 90)
    image = spoiled(reference)
    longer = [np.pad(a, ((0, 0), (0, 26), (0, 6)), mode="symmetric") for a in (reference, image)]
    assert with_reference(image, reference, 4, rounded=False)["Q2n"] == pytest.approx(slow_q2n_mean(*longer), abs=1e-9)


def test_the_crop_is_that_of_the_toolboxes():
    reference = textured(4, 105, 137)
    image = spoiled(reference)
    by_hand = with_reference(image[:, 20:-21, 20:-21], reference[:, 20:-21, 20:-21], 4)
    cropped = with_reference(image, reference, 4, crop=True)
    assert cropped == {**by_hand, "cropped": True}


def test_sam_and_ergas_agree_with_torchmetrics():
    oracle = pytest.importorskip("torchmetrics.functional.image", reason="torchmetrics is not installed")
    for bands, ratio in ((4, 4), (8, 4), (3, 2)):
        reference = textured(bands, 80, 96, seed=bands)
        image = spoiled(reference)
        given = [torch.from_numpy(a.astype(np.float64))[None] for a in (image, reference)]
        measured = with_reference(image, reference, ratio)
        sam = np.degrees(float(oracle.spectral_angle_mapper(*given)))
        ergas = float(oracle.error_relative_global_dimensionless_synthesis(*given, ratio=ratio))
        assert measured["SAM"] == pytest.approx(sam, abs=1e-6)
        assert measured["ERGAS"] == pytest.approx(ergas, abs=1e-6)


def test_scc_is_the_cosine_of_sobel_edges_beyond_which_all_is_0():
    reference = textured(3, 40, 50)
    image = spoiled(reference)

    def edges(band):
        around = np.pad(band[1:-1, 1:-1].astype(float), 1)
        h, w = band.shape[0] - 2, band.shape[1] - 2
        sobel = np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]])
        sides = [
            sum(k[i, j] * around[i : i + h, j : j + w] for i in range(3) for j in range(3)) for k in (sobel, sobel.T)
        ]
        return np.sqrt(sides[0] ** 2 + sides[1] ** 2)

    a, b = (np.stack([edges(band) for band in x]) for x in (image, reference))
    expected = (a * b).sum() / np.sqrt((a**2).sum()) / np.sqrt((b**2).sum())
    assert with_reference(image, reference, 4)["SCC"] == pytest.approx(expected, abs=1e-9)


def test_uqi_is_the_mean_of_all_windows_of_32():
    reference = textured(2, 40, 37)
    image = spoiled(reference)
    windows = [np.s_[b, r : r + 32, c : c + 32] for b in range(2) for r in range(9) for c in range(6)]
    expected = np.mean([slow_uqi(image[w], reference[w]) for w in windows])
    assert with_reference(image, reference, 4)["UQI"] == pytest.approx(expected, abs=1e-9)


def test_psnr_is_over_all_bands_with_the_peak_that_it_names():
    reference = textured(3, 40, 40)
    image = spoiled(reference)
    error = ((image - reference).astype(float) ** 2).mean()
    assert with_reference(image, reference, 4, peak=2047)["PSNR"] == pytest.approx(10 * np.log10(2047**2 / error))
    measured = with_reference(image, reference, 4)
    assert measured["peak"] == reference.max()
    assert measured["PSNR"] == pytest.approx(10 * np.log10(float(reference.max()) ** 2 / error))


def test_pixels_without_light_have_no_angle():
    reference = textured(3, 40, 40)
    image = spoiled(reference)
    dark = image.copy()
    dark[:, 3, 4] = 0
    keep = np.ones((40, 40), bool)
    keep[3, 4] = False
    assert with_reference(dark, reference, 4)["SAM"] == with_reference(image, reference, 4, mask=keep)["SAM"]


@given(seeds, st.sampled_from([1, 2, 3, 4, 8]), st.integers(33, 45), st.integers(33, 45))
@settings(max_examples=8)
def test_an_image_has_the_best_scores_against_itself(seed, bands, height, width):
    image = textured(bands, height, width, seed)
    measured = with_reference(image, image, 4)
    assert measured["SAM"] == pytest.approx(0, abs=1e-5)
    assert measured["ERGAS"] == 0
    assert measured["PSNR"] == np.inf
    assert [measured[name] for name in ("Q2n", "SCC", "UQI")] == pytest.approx([1, 1, 1], abs=1e-9)


@given(seeds, st.floats(0.01, 100), st.floats(1.5, 8))
@settings(max_examples=15)
def test_ergas_falls_with_the_ratio_and_is_independent_of_the_unit(seed, unit, ratio):
    reference = textured(4, 40, 40, seed).astype(float)
    image = spoiled(reference).astype(float)
    one = with_reference(image, reference, 1)["ERGAS"]
    assert with_reference(image, reference, ratio)["ERGAS"] == pytest.approx(one / ratio)
    assert with_reference(image * unit, reference * unit, 1)["ERGAS"] == pytest.approx(one)


@given(seeds)
@settings(max_examples=15)
def test_sam_is_independent_of_brightness(seed):
    reference = textured(4, 40, 40, seed).astype(float)
    image = spoiled(reference).astype(float)
    gain = np.random.default_rng(seed).uniform(0.1, 9, (40, 40))
    assert with_reference(image * gain, reference, 4)["SAM"] == pytest.approx(
        with_reference(image, reference, 4)["SAM"]
    )


@given(seeds)
@settings(max_examples=15)
def test_sam_scc_and_uqi_are_symmetric(seed):
    one, other = textured(4, 40, 45, seed), textured(4, 40, 45, seed + 1)
    there, back = with_reference(one, other, 4), with_reference(other, one, 4)
    for name in ("SAM", "SCC", "UQI"):
        assert there[name] == pytest.approx(back[name], abs=1e-12)


@given(seeds)
@settings(max_examples=15)
def test_q2n_of_one_band_is_uqi_at_the_references_mean_and_deviation(seed):
    reference = textured(1, 32, 32, seed).astype(float)
    image = spoiled(reference, seed).astype(float)
    mean, deviation = reference.mean(), reference.std(ddof=1)
    x, y = ((a - mean) / deviation + 1 for a in (reference, image))
    assert q2n(reference, image).item() == pytest.approx(abs(slow_uqi(x, y)), abs=1e-9)


def test_flat_images_are_compared_by_their_means():
    flat = np.full((3, 64, 64), 300, np.uint16)
    same, brighter = with_reference(flat, flat, 4), with_reference(flat * 2, flat, 4)
    assert same["UQI"] == same["Q2n"] == 1
    assert brighter["UQI"] == pytest.approx(2 * 300 * 600 / (300**2 + 600**2))
    assert np.isnan(same["SCC"]) or same["SCC"] == pytest.approx(1)


def test_images_of_different_shapes_are_refused():
    with pytest.raises(BlockError, match="must be equal"):
        with_reference(np.zeros((3, 40, 40)), np.zeros((3, 40, 41)), 4)


@pytest.mark.parametrize("masked", [False, True])
def test_the_division_into_blocks_does_not_matter_with_a_reference(masked):
    reference = textured(3, 201, 170)
    image = spoiled(reference)
    mask = holes(reference.shape[1:]) if masked else None
    scene = Window(5, 9, 190, 150)
    measure = Referenced(scene, 4, False)
    whole = Window(0, 0, 201, 170)

    def measured(side):
        sums = []
        for core in measure.cores(side):
            window = core.grow(measure.reach) & whole
            part = (slice(None), *window.within(whole))
            ok = None if mask is None else mask[part[1:]]
            sums.append(measure.gather(image[part], reference[part], window, core, ok))
        return measure.values(functools.reduce(operator.add, sums))

    once, often = measured(512), measured(64)
    assert often == pytest.approx(once, rel=1e-9)
    cropped = (slice(None), slice(5, 195), slice(9, 159))
    alone = with_reference(
        image[cropped], reference[cropped], 4, mask=None if mask is None else mask[cropped[1:]], rounded=False
    )
    assert {**once, "cropped": False} == pytest.approx(alone, rel=1e-9)


def test_masked_pixels_have_no_influence_with_a_reference():
    reference = textured(3, 128, 96)
    image = spoiled(reference)
    mask = holes(reference.shape[1:])
    other = np.where(mask, image, np.float32(1e6))
    other[:, ~mask & (np.arange(96) % 2 == 0)] = np.nan
    assert with_reference(other, reference, 4, mask) == with_reference(image, reference, 4, mask)


def test_a_masked_half_has_no_influence():
    reference = textured(3, 64, 128)
    image = spoiled(reference)
    mask = np.arange(128) < np.full((64, 1), 64)
    half, alone = with_reference(image, reference, 4, mask), with_reference(image[..., :64], reference[..., :64], 4)
    for name in ("SAM", "ERGAS", "Q2n", "PSNR", "UQI"):
        assert half[name] == pytest.approx(alone[name], rel=1e-9)


def test_a_scene_of_nothing_but_nodata_has_no_measures():
    nothing = np.full((3, 64, 64), np.nan)
    measured = with_reference(nothing, nothing, 4)
    assert all(np.isnan(measured[name]) for name in ("SAM", "ERGAS", "Q2n", "SCC", "PSNR", "UQI"))


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([32, 64, 100]))
def test_pieces_cover_a_scene_and_leave_no_rest_to_mirror_beyond(height, width, side):
    seen = np.zeros((height, width), int)
    for piece in block_cores(Window(7, 9, height, width), side):
        seen[piece.within(Window(7, 9, height, width))] += 1
        assert (piece.row - 7) % 32 == (piece.col - 9) % 32 == 0
        assert piece.height >= min(32, height)
        assert piece.width >= min(32, width)
    assert (seen == 1).all()


# --- without a reference ---------------------------------------------------------------------------------------------


def holes(shape):
    ok = np.ones(shape, bool)
    ok[40:61, 60:64] = ok[:9, :] = ok[70:74, 20:29] = False
    return ok


def scene(height=96, width=128, ratio=4, bands=4, seed=0):
    """PAN, MS and a fused image that has some faults."""
    truth = textured(bands, height, width, seed, noise=15)
    ms = truth.reshape(bands, height // ratio, ratio, width // ratio, ratio).mean((2, 4))
    return spoiled(truth, noise=10), truth.mean(0) + textured(1, height, width, 9, 3)[0] / 9, ms


def setting(pan, ms, name="toolbox", ratio=4.0, ms_at=(1.5, 1.5), window=None, rounded=True):
    window = window or Window(0, 0, *pan.shape)
    return Setting(window, ms_at, ms.shape[1:], ratio, MTF[: len(ms)], CONVENTIONS[name], rounded)


def measured(fused, pan, ms, convention="toolbox", ratio=4, ms_at=None, **how):
    at = ms_at or ((ratio - 1) / 2,) * 2
    return without_reference(fused, pan, ms, Placement(at, ratio), MTF[: len(ms)], convention, **how)


@pytest.mark.parametrize("ratio", [2, 4])
def test_d_lambda_khan_agrees_with_the_direct_implementation(ratio):
    fused, pan, ms = scene(ratio=ratio)
    lms = np.stack([slow_expand(band, ratio) for band in ms])
    seen = np.stack([slow_filter(band, toolbox_kernel(gain, ratio)) for band, gain in zip(fused, MTF)])
    plain, rounded = (measured(fused, pan, ms, ratio=ratio, rounded=r)["D_lambda_K"] for r in (False, True))
    assert plain == pytest.approx(1 - slow_q2n_mean(lms, seen), abs=2e-6)
    lms, seen = (np.floor(a + 0.5) for a in (lms, seen))
    assert rounded == pytest.approx(1 - slow_q2n_mean(lms, seen), abs=2e-5)  # a few pixels round the other way


@pytest.mark.parametrize("ratio", [2, 4])
def test_d_s_and_d_lambda_agree_with_the_direct_implementation(ratio):
    fused, pan, ms = scene(ratio=ratio)
    lms = [slow_expand(band, ratio) for band in ms]
    low = slow_expand(slow_shrink(pan, ratio), ratio)
    spatial = np.mean([abs(slow_uqi_mean(f, pan) - slow_uqi_mean(m, low)) for f, m in zip(fused, lms)])
    pairs = [(i, j) for i in range(4) for j in range(i)]
    spectral = np.mean([abs(slow_uqi_mean(fused[i], fused[j]) - slow_uqi_mean(lms[i], lms[j])) for i, j in pairs])
    found = measured(fused, pan, ms, ratio=ratio)
    assert found["D_s"] == pytest.approx(spatial, abs=1e-6)
    assert found["D_lambda"] == pytest.approx(spectral, abs=1e-6)
    assert found["HQNR"] == pytest.approx((1 - found["D_lambda_K"]) * (1 - spatial), abs=1e-6)
    assert found["QNR"] == pytest.approx((1 - spectral) * (1 - spatial), abs=1e-6)


@pytest.mark.parametrize(("ratio", "half"), [(2, 1), (4, 2), (5, 3)])
def test_d_rho_agrees_with_the_direct_implementation(ratio, half):
    fused, pan, ms = scene(20 * ratio // 2, 8 * ratio, ratio, bands=2)
    rho = np.stack([slow_correlation(band, pan, half) for band in fused])
    if ratio != 5:
        assert measured(fused, pan, ms, ratio=ratio)["D_rho"] == pytest.approx(1 - rho.mean(), abs=1e-9)
    inner = rho[:, 2 * half - 2 : -2 * half, 2 * half - 2 : -2 * half]  # the geometric one leaves out the rim
    found = measured(fused, pan, ms, "geometric", ratio=ratio)["D_rho"]
    assert found == pytest.approx(1 - inner.mean(), abs=1e-9)


def test_the_map_behind_d_rho_is_nan_where_masked():
    fused, pan, ms = scene()
    mask = holes(pan.shape)
    whole = Window(0, 0, *pan.shape)
    block = Block(pan, ms, (1.5, 1.5), 4, whole, whole, mask)
    found = FullScale(setting(pan, ms)).correlation_map(block, fused)
    assert found.shape == fused.shape
    assert np.isnan(found[:, ~mask]).all()
    expected = measured(fused, pan, ms, mask=mask)["D_rho"]
    assert 1 - np.nanmean(found.astype(float), (1, 2)).mean() == pytest.approx(expected, abs=1e-6)


def test_the_maps_behind_sam_and_psnr_are_nan_where_masked():
    reference = textured(4, 80, 90)
    image, mask = spoiled(reference), holes((80, 90))
    whole = Window(0, 0, 80, 90)
    angle, error = Referenced(whole, 4).maps(image, reference, whole, whole, mask)
    expected = with_reference(image, reference, 4, mask)
    for found in (angle, error):
        assert np.array_equal(np.isnan(found), ~mask)
    assert np.nanmean(angle.astype(float)) == pytest.approx(expected["SAM"], rel=1e-5)
    squared = np.nanmean(error.astype(float) ** 2)
    assert 10 * np.log10(expected["peak"] ** 2 / squared) == pytest.approx(expected["PSNR"], rel=1e-5)


def test_the_map_behind_r_sam_has_one_angle_for_each_sample_of_ms():
    fused, pan, ms = scene()
    whole = Window(0, 0, *pan.shape)
    block = Block(pan, ms, (1.5, 1.5), 4, whole, whole, holes(pan.shape))
    measure = Reprojected(setting(pan, ms))
    shifts = measure.shifts(measure.correlations(block))
    found = measure.angle_map(block, fused, shifts)
    assert found.shape == ms.shape[1:]
    assert np.isnan(found[12, 15])  # under a hole
    expected = measured(fused, pan, ms, mask=block.valid)
    assert np.nanmean(found.astype(float)) == pytest.approx(expected["R-SAM"], rel=1e-5)


@pytest.mark.parametrize("ratio", [2, 4])
def test_the_reprojected_measures_agree_with_the_direct_implementation(ratio):
    fused, pan, ms = scene(24 * ratio, 20 * ratio, ratio, bands=3)
    pan = np.roll(pan, (1, -1), (0, 1))  # MS lies beside its place
    fused = np.roll(fused, (1, -1), (1, 2))
    low = slow_filter(pan, toolbox_kernel(MTF[0], ratio))
    places = [(i, j) for i in range(ratio) for j in range(ratio)]
    best = [
        max(places, key=lambda at, b=b: slow_correlation(b, low[at[0] :: ratio, at[1] :: ratio], ratio // 2).mean())
        for b in ms
    ]
    seen = [slow_filter(band, toolbox_kernel(gain, ratio)) for band, gain in zip(fused, MTF)]
    seen = np.stack([band[i::ratio, j::ratio] for band, (i, j) in zip(seen, best)])
    found, expected = measured(fused, pan, ms, ratio=ratio), with_reference(seen, ms, ratio)
    assert [(r + ratio / 2, c + ratio / 2) for r, c in found["shifts"]] == best
    for name in ("SAM", "ERGAS", "Q2n"):
        assert found[f"R-{name}"] == pytest.approx(expected[name], rel=2e-5)


def test_a_shift_of_ms_is_found_and_does_not_affect_the_measures():
    truth = textured(4, 160, 160, noise=3)
    pan = truth.mean(0)
    ms = truth.reshape(4, 40, 4, 40, 4).mean((2, 4))
    straight = measured(truth, pan, ms, "geometric")
    moved = measured(np.roll(truth, (2, -1), (1, 2)), np.roll(pan, (2, -1), (0, 1)), ms, "geometric")
    assert straight["shifts"] == ((0, 0),) * 4
    assert moved["shifts"] == ((2, -1),) * 4
    assert moved["R-SAM"] < 1.2 * straight["R-SAM"]


@pytest.mark.parametrize(
    ("name", "at", "peak"), [("toolbox", 1.5, [22]), ("geometric", 1.5, [21, 22]), ("geometric", 2, [22])]
)
def test_a_sample_of_ms_peaks_where_its_convention_puts_it(name, at, peak):
    ms = np.zeros((1, 12, 12), np.float32)
    ms[0, 5, 5] = 1
    whole = Window(0, 0, 48, 48)
    block = Block(np.zeros((48, 48), np.float32), ms, (at, at), 4, whole, whole)
    lms = View(setting(block.pan, ms, name, ms_at=(at, at)), block, np.zeros((1, 48, 48), np.float32)).interpolated()[
        0
    ][0]
    tops = np.argwhere(lms > lms.max() - 1e-6)
    assert sorted({int(r) for r, _ in tops}) == sorted({int(c) for _, c in tops}) == peak


@given(conventions, st.floats(0.1, 0.45), st.sampled_from([2, 4]))
def test_a_filter_has_the_sensors_gain(name, gain, ratio):
    """At the MS Nyquist frequency; the toolboxes' has it a little below."""
    frequency = 1 / (2 * ratio) if name == "geometric" else 20 / (41 * ratio)
    wave = np.cos(2 * np.pi * frequency * (np.arange(201) - 100)).astype(np.float32)[:, None]
    response = take_rows(CONVENTIONS[name].blur(np.array([100.0]), gain, ratio), wave)
    assert response.item() == pytest.approx(gain, abs=1e-3)


@pytest.mark.parametrize("ratio", [2, 4])
@pytest.mark.parametrize("gain", [0.11, 0.22, 0.36])
def test_the_toolboxes_filter_is_very_nearly_a_product_of_two_axes(gain, ratio):
    taps, kernel = toolbox_taps(gain, ratio), toolbox_kernel(gain, ratio)
    assert np.abs(np.outer(taps, taps) - kernel).sum() < 2e-5


def at_a_ratio(ratio):
    """A scene whose ratio is no whole number, and whose MS begins outside PAN."""
    pan = textured(1, 150, 170, 4)[0]
    ms = textured(4, round(150 / ratio) + 3, round(170 / ratio) + 3, 5)
    return spoiled(textured(4, 150, 170, 6)), pan, ms, (-1.3, 0.4)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("name", "ratio"), [("toolbox", 4), ("geometric", 4), ("geometric", 2.5)])
def test_the_division_into_blocks_does_not_matter_without_a_reference(name, ratio, masked):
    if ratio == 4:
        fused, pan, ms, at = *scene(232, 268), (1.5, 1.5)
    else:
        fused, pan, ms, at = at_a_ratio(ratio)
    window = Window(3, 5, pan.shape[0] - 3, pan.shape[1] - 5)
    whole = Window(0, 0, *pan.shape)
    block = Block(pan, ms, at, ratio, whole, whole, holes(pan.shape) if masked else None)
    common = setting(pan, ms, name, ratio, at, window, rounded=False)
    full, low = FullScale(common), Reprojected(common)

    def values(side):
        seen = over(low, side, low.correlations)
        shifts = low.shifts(seen)
        again = functools.partial(low.gather, shifts=shifts)
        alike = {f"alike at {at}": value for at, value in np.ndenumerate(seen.value)}
        found = full.values(over(full, side, full.gather, fused))
        return {**found, **low.values(over(low, side, again, fused), shifts), **alike}

    def over(measure, side, gather, *images):
        parts = [block.crop(core, measure.reach, measure.ms_halo) for core in measure.cores(side)]
        cut = [[image[(slice(None), *p.window.within(whole))] for image in images] for p in parts]
        return functools.reduce(operator.add, (gather(p, *of) for p, of in zip(parts, cut)))

    once, often = values(4096), values(130)
    assert len(full.cores(130)) > 1
    assert once.pop("shifts") == often.pop("shifts")
    assert once.pop("convention") == often.pop("convention") == name
    assert often == pytest.approx(once, rel=1e-5, abs=1e-6)
    assert all(np.isfinite(value) for value in once.values())


@pytest.mark.parametrize("name", CONVENTIONS)
def test_within_its_reach_a_block_sees_all_that_its_core_depends_on(name):
    fused, pan, ms = scene(320, 320)
    common = setting(pan, ms, name)
    whole = Block(pan, ms, (1.5, 1.5), 4, common.scene, common.scene)
    core = Window(128, 128, 64, 64)
    whole = replace(whole, core=core)
    part = whole.crop(core, FullScale(common).reach, FullScale.ms_halo)
    assert part.window in common.scene.grow(-1)
    views = [View(common, block, fused[(slice(None), *block.window.within(common.scene))]) for block in (whole, part)]
    for one, other in zip(*((*view.interpolated(), view.blurred_by_mtf(), *view.correlation()) for view in views)):
        np.testing.assert_allclose(one, other, rtol=2e-6, atol=1e-6)


def test_where_ms_is_nodata_nothing_is_measured():
    fused, pan, ms = scene(160, 160)
    mask = np.ones(pan.shape, bool)
    mask[20:32, 120:144] = False
    empty = ms.copy()
    empty[1, 5:8, 30:36] = np.nan
    by_mask, by_ms = measured(fused, pan, ms, mask=mask), measured(fused, pan, empty)
    assert by_ms["D_rho"] == by_mask["D_rho"]
    assert by_ms["D_s"] == pytest.approx(by_mask["D_s"], abs=5e-4)
    assert by_ms["D_s"] != measured(fused, pan, ms)["D_s"]


@pytest.mark.parametrize("name", CONVENTIONS)
def test_masked_pixels_have_no_influence_without_a_reference(name):
    fused, pan, ms = scene(160, 160)
    mask = holes(pan.shape)
    ms[1, 5:8, 30:36] = np.nan
    one = measured(fused, pan, ms, name, mask=mask)
    other_ms = ms.copy()
    other_ms[[0, 2, 3], 5:8, 30:36] = 9e6
    noisy = np.where(mask, fused, np.nan)
    two = measured(noisy, np.where(mask, pan, 1e6), other_ms, name, mask=mask)
    assert two == one
    assert np.isfinite(one["HQNR"])


@given(seeds, st.floats(0.01, 100), conventions)
@settings(max_examples=6)
def test_measures_without_a_reference_are_independent_of_the_unit(seed, unit, name):
    fused, pan, ms = scene(96, 96, seed=seed)
    one = measured(fused, pan, ms, name, rounded=False)
    two = measured(fused * np.float32(unit), pan * np.float32(unit), ms * np.float32(unit), name, rounded=False)
    assert one.pop("shifts") == two.pop("shifts")
    assert one.pop("convention") == two.pop("convention") == name
    assert two == pytest.approx(one, rel=1e-4, abs=1e-5)


def test_an_image_of_pan_in_all_bands_correlates_with_pan():
    _, pan, ms = scene()
    fused = np.stack([pan * 0.5 + 100] * 4)
    assert measured(fused, pan, ms, "geometric")["D_rho"] == pytest.approx(0, abs=1e-6)


def test_one_band_has_no_pairs():
    fused, pan, ms = scene(bands=1)
    found = measured(fused, pan, ms)
    assert found["D_lambda"] == 0
    assert found["QNR"] == pytest.approx(1 - found["D_s"])


def test_the_measures_distinguish_interpolation_from_fusion_on_a_real_scene():
    block = sample_scene()
    side = Window(0, 0, 512, 512) & block.window
    block = block.crop(side, 0, 2)
    block = replace(block, window=side, core=side)
    exp, fused = (
        measured(ClassicalEngine(m).fuse(block), block.pan, block.ms, ms_at=block.ms_at) for m in ("exp", "mtf-glp-fs")
    )
    assert fused["D_rho"] < 0.5 * exp["D_rho"]
    assert fused["R-ERGAS"] < 10
    assert 0 < exp["HQNR"] < 1


def test_the_toolbox_convention_refuses_a_ratio_of_2_5():
    fused, pan, ms, at = at_a_ratio(2.5)
    with pytest.raises(ConfigError, match="use the geometric convention"):
        without_reference(fused, pan, ms, Placement(at, 2.5), MTF)
    with pytest.raises(ConfigError, match="choose toolbox or geometric"):
        without_reference(fused, pan, ms, Placement(at, 2.5), MTF, "galactic")


@pytest.mark.parametrize("name", CONVENTIONS)
@pytest.mark.parametrize("at", [1.5, 2.0])
@pytest.mark.parametrize("off", [-1e-9, 1e-9])
def test_the_last_digits_of_a_geotransform_do_not_matter(name, at, off):
    fused, pan, ms = scene()
    exact = measured(fused, pan, ms, name, ms_at=(at, at))
    nearly = without_reference(fused, pan, ms, Placement((at + off, at - off), 4 + off), MTF, name)
    assert exact.pop("shifts") == nearly.pop("shifts")
    assert exact.pop("convention") == nearly.pop("convention")
    assert nearly == pytest.approx(exact, abs=1e-6)


def test_an_image_smaller_than_the_crop_is_refused():
    with pytest.raises(BlockError, match="too small"):
        with_reference(np.ones((3, 41, 60)), np.ones((3, 41, 60)), 4, crop=True)


def test_images_that_do_not_fit_are_refused():
    fused, pan, ms = scene()
    with pytest.raises(BlockError, match="MTF gains"):
        arrays.without_reference(fused, pan, ms, Placement((1.5, 1.5), 4), MTF[:3])


def test_users_may_choose_every_convention_that_there_is():
    assert set(methods.CONVENTIONS) == set(CONVENTIONS)
