import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ssdiff_core.common.errors import GeometryError
from ssdiff_core.domain.grid import (
    Grid,
    Placement,
    apply,
    compose,
    covered,
    cut,
    ground,
    invert,
    lattice,
    place,
    same_ground,
    snapped,
)
from ssdiff_core.domain.window import Window

number = st.floats(-1e6, 1e6)
size = st.floats(0.1, 50)
sides = st.integers(1, 5000)
transforms = st.builds(lambda x, y, dx, dy, a, b: (x, dx, a, y, b, -dy), number, number, size, size, size, size)


def north_up(x=500_000.0, y=4_000_000.0, pixel=0.5, height=400, width=400, **rest) -> Grid:
    return Grid(height, width, (x, pixel, 0.0, y, 0.0, -pixel), **rest)


def close(a, b, within=1e-6):
    return a == pytest.approx(b, rel=1e-9, abs=within)


@given(transforms, number, number)
def test_inverse_undoes_a_transform(t, x, y):
    assume(abs(t[1] * t[5] - t[2] * t[4]) > 1e-2)
    assert close(apply(t, *apply(invert(t), x, y)), (x, y), 1e-2)


@given(transforms, transforms, st.floats(-100, 100), st.floats(-100, 100))
def test_composing_is_applying_one_after_the_other(a, b, column, row):
    assert close(apply(compose(a, b), column, row), apply(a, *apply(b, column, row)), 1e-3)


def test_a_transform_without_area_is_an_error():
    with pytest.raises(GeometryError, match="degenerate"):
        invert((0, 1, 2, 0, 2, 4))


@pytest.mark.parametrize(
    ("shift", "ratio", "at"),
    [
        ((0.0, 0.0), 4, (1.5, 1.5)),  # corner-aligned bundle
        ((0.5, 0.5), 4, (2.0, 2.0)),  # SPOT: 4i + 2
        ((-0.5, -0.5), 2, (0.0, 0.0)),  # Landsat: PAN half a pixel off
        ((3.25, -7.75), 4, (4.75, -6.25)),
    ],
)
def test_phase_comes_from_both_geotransforms(shift, ratio, at):
    """shift: where the corner of MS lies on PAN, in PAN rows and columns."""
    pan = north_up()
    ms = north_up(x=500_000 + shift[1] * 0.5, y=4_000_000 - shift[0] * 0.5, pixel=0.5 * ratio, height=100, width=100)
    placement = place(pan, ms)
    assert close(placement.at, at)
    assert close(placement.ratio, ratio)


@given(st.floats(1.6, 7.9), st.floats(-50, 50), st.floats(-50, 50), st.floats(-200, 200))
def test_a_point_of_ms_is_at_the_same_ground_on_pan(ratio, row, column, i):
    pan = north_up()
    t = (500_000 + column * 0.5, 0.5 * ratio, 0, 4_000_000 - row * 0.5, 0, -0.5 * ratio)
    placement = place(pan, Grid(300, 300, t))
    x, y = apply(t, i + 0.5, i + 0.5)
    column_on_pan, row_on_pan = apply(invert(pan.transform), x, y)
    assert close(placement.at[0] + i * placement.ratio, row_on_pan - 0.5, 1e-4)
    assert close(placement.at[1] + i * placement.ratio, column_on_pan - 0.5, 1e-4)


def test_a_pair_rotated_together_needs_no_warp():
    turned = (0.0, 0.3, 0.4, 0.0, 0.4, -0.3)
    ms = Grid(100, 100, compose(turned, (0, 4, 0, 0, 0, 4)))
    assert close(place(Grid(400, 400, turned), ms).at, (1.5, 1.5))


@pytest.mark.parametrize(
    "t", [(0, 2, 0.01, 0, 0.0, -2), (0, 2, 0, 0, 0, -2.01), (200, -2, 0, 0, 0, -2), (0, 0, 2, 0, -2, 0)]
)
def test_ms_that_leans_or_has_two_ratios_or_is_mirrored_must_be_warped(t):
    assert place(north_up(0, 0, 0.5, 800, 800), Grid(100, 100, t)) is None


@pytest.mark.parametrize("ratio", [0.25, 1, 1.4, 8.5, 30])
def test_ratios_that_are_no_pansharpening_name_both_footprints(ratio):
    with pytest.raises(GeometryError, match=r"PAN: 400 x 400 pixels, x 500000 to 500200.*MS: 100 x 100 pixels"):
        place(north_up(), north_up(pixel=0.5 * ratio, height=100, width=100))


def test_rasters_that_do_not_meet_name_both_footprints():
    with pytest.raises(GeometryError, match=r"do not overlap. PAN: .*x 500000.*MS: .*x 600000"):
        place(north_up(), north_up(x=600_000, pixel=2))


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([2, 3, 4]))
def test_ungeoreferenced_rasters_of_a_whole_ratio_share_their_ground(height, width, ratio):
    placement = same_ground(Grid(height * ratio, width * ratio, placed=False), Grid(height, width, placed=False))
    assert placement == Placement(((ratio - 1) / 2,) * 2, ratio)


def test_ungeoreferenced_rasters_of_no_whole_ratio_are_an_error():
    with pytest.raises(GeometryError, match="no whole number of times as large"):
        same_ground(Grid(401, 400, placed=False), Grid(100, 100, placed=False))


@given(st.integers(0, 390), st.integers(0, 390), st.integers(1, 100), st.integers(1, 100))
def test_an_extent_along_pixel_edges_is_those_pixels(row, column, height, width):
    pan = north_up()
    window = Window(row, column, height, width) & pan.window
    assert snapped(pan, cut(pan, window).footprint()) == window


@given(st.floats(0.01, 199), st.floats(0.01, 199), st.floats(0.01, 100), st.floats(0.01, 100))
def test_an_extent_is_snapped_outwards(left, down, width, height):
    pan = north_up()
    extent = 500_000 + left, 4_000_000 - down - height, 500_000 + left + width, 4_000_000 - down
    x0, y0, x1, y1 = cut(pan, snapped(pan, extent)).footprint()
    assert x0 <= extent[0] + 1e-6
    assert y1 >= extent[3] - 1e-6
    assert x1 >= min(extent[2], 500_200) - 1e-6
    assert y0 <= max(extent[1], 3_999_800) + 1e-6
    assert extent[0] - x0 < 0.5 + 1e-6


@pytest.mark.parametrize("extent", [(0, 0, 1, 1), (500_100, 0, 500_100, 4_000_000), (0, 0, math.inf, 1)])
def test_empty_and_distant_extents_are_errors(extent):
    with pytest.raises(GeometryError, match="extent"):
        snapped(north_up(), extent)


@given(sides, sides, st.sampled_from([2, 4]))
def test_corner_aligned_ms_covers_exactly_its_pixels(height, width, ratio):
    assert covered((0, ratio, 0, 0, 0, ratio), Grid(height, width)) == Window(0, 0, height * ratio, width * ratio)


@given(st.floats(1.6, 7.9), st.floats(-60, 60), st.floats(-60, 60), st.integers(30, 80), st.integers(30, 80))
def test_the_ground_is_the_pan_pixels_whose_centres_lie_on_ms(ratio, row, column, height, width):
    pan, ms = Grid(200, 220), Grid(height, width)
    here = ground(pan, ms, Placement((row, column), ratio))
    for axis, (start, n, side) in enumerate(((row, height, 200), (column, width, 220))):
        centres = [p for p in range(side) if start - ratio / 2 < p + 1e-6 < start + (n - 0.5) * ratio]
        if not centres:
            assert not here
            return
        assert (here.row, here.col)[axis] == centres[0]
        assert here.stop[axis] == centres[-1] + 1


@given(
    st.builds(Window, st.integers(0, 300), st.integers(0, 300), st.integers(1, 300), st.integers(1, 300)),
    st.tuples(st.floats(-400, 900), st.floats(-400, 900)),
    st.integers(2, 8),
)
def test_a_lattice_covers_its_window_and_no_more_and_passes_through_its_point(window, through, step):
    t, rows, columns = lattice(window, through, step)
    for start, n, first, stop, point in (
        (t[3], rows, window.row, window.stop[0], through[1]),
        (t[0], columns, window.col, window.stop[1], through[0]),
    ):
        assert start <= first + 1e-5 < start + step + 1e-4
        assert start + (n - 1) * step < stop + 1e-5 <= start + n * step + 1e-4
        cells = (point - start) / step - 0.5
        assert abs(cells - round(cells)) < 1e-6
