import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssdiff_core.fusion.tiles import ORIENTATIONS, Cells, Grid, Window, blend, rotate, rotate_back, split, taper

grids = st.sampled_from([Grid(64, 48), Grid(64, 16), Grid(64, 64), Grid(32, 24), Grid(64, 32), Grid(8, 2)])


def windows(most: int = 300):
    side = st.integers(1, most)
    return st.builds(Window, st.integers(-most, most), st.integers(-most, most), side, side)


def tile_window(grid: Grid, row: int, col: int) -> Window:
    return Cells(grid.tile, grid.stride, row, col, 1, 1).window


@given(windows(), windows())
def test_common_ground_is_inside_both(a, b):
    both = a & b
    assert both == b & a
    if both:
        assert both in a
        assert both in b


@given(windows(40), st.integers(0, 9))
def test_slices_cut_a_window_out_of_a_larger_one(inner, by):
    outer = inner.grow(by)
    rows = torch.arange(outer.row, outer.stop[0])[:, None].expand(outer.shape)
    cut = rows[inner.within(outer)]
    assert tuple(cut.shape) == inner.shape
    assert int(cut[0, 0]) == inner.row


@settings(max_examples=60)
@given(grids, windows(150), windows(200))
def test_touching_finds_exactly_the_tiles_that_matter(grid, window, scene):
    window = window & scene
    if not window:
        return
    cells = grid.touching(window, scene)
    found = {(cells.row + i, cells.col + j) for i in range(cells.rows) for j in range(cells.cols)}
    around = range(-20 - 200 // grid.stride * 2, 20 + 400 // grid.stride)
    rows = [i for i in around if tile_window(grid, i, cells.col) & Window(window.row, -(10**4), window.height, 10**5)]
    cols = [j for j in around if tile_window(grid, cells.row, j) & Window(-(10**4), window.col, 10**5, window.width)]
    rows = [i for i in rows if scene.row < (i + 1) * grid.stride and i * grid.stride < scene.stop[0]]
    cols = [j for j in cols if scene.col < (j + 1) * grid.stride and j * grid.stride < scene.stop[1]]
    assert found == {(i, j) for i in rows for j in cols}


@given(grids, windows(150), windows(200))
def test_every_pixel_lies_in_the_cell_of_a_tile(grid, window, scene):
    window = window & scene
    if not window:
        return
    cells = grid.touching(window, scene)
    assert cells.row * grid.stride <= window.row
    assert cells.col * grid.stride <= window.col
    assert (cells.row + cells.rows) * grid.stride >= window.stop[0]
    assert (cells.col + cells.cols) * grid.stride >= window.stop[1]
    assert window in cells.window


@given(grids, windows(), st.integers(1, 200))
def test_pieces_cover_the_ground_once_along_cell_edges(grid, window, side):
    pieces = grid.cover(window, side)
    assert sum(piece.height * piece.width for piece in pieces) == window.height * window.width
    for piece in pieces:
        assert piece in window
        assert piece.row % grid.stride == 0 or piece.row == window.row
        assert piece.stop[1] % grid.stride == 0 or piece.stop[1] == window.stop[1]


@settings(max_examples=40)
@given(grids, st.integers(1, 5), st.integers(1, 5), st.integers(-3, 3))
def test_splitting_and_blending_gives_the_image_back(grid, rows, cols, row):
    cells = Cells(grid.tile, grid.stride, row, -row, rows, cols)
    image = torch.rand(3, *cells.window.shape)
    tiles = split(image, cells)
    assert tiles.shape == (rows, cols, 3, grid.tile, grid.tile)
    assert (blend(tiles, cells) - image).abs().max() < 1e-6


@settings(max_examples=20)
@given(st.integers(1, 4), st.integers(1, 4))
def test_ms_is_cut_along_with_pan(rows, cols):
    cells = Cells(64, 48, 0, 0, rows, cols)
    ms = torch.rand(2, *(n // 4 for n in cells.window.shape))
    fine = ms.repeat_interleave(4, 1).repeat_interleave(4, 2)
    assert torch.equal(split(ms, cells), split(fine, cells)[..., ::4, ::4])


@pytest.mark.parametrize(("tile", "stride"), [(64, 48), (64, 32), (32, 24)])
def test_neighbouring_tapers_sum_to_one(tile, stride):
    weight = taper(tile, stride)
    shared = tile - stride
    assert weight[:shared] + weight[-shared:] == pytest.approx(torch.ones(shared), abs=1e-6)
    assert (weight > 0).all()


def test_blending_makes_a_seam_gradual():
    cells = Cells(64, 48, 0, 0, 1, 2)
    tiles = torch.stack([torch.zeros(1, 64, 64), torch.ones(1, 64, 64)])[None]
    line = blend(tiles, cells)[0, 32]
    assert line[:48].max() == 0
    assert line[64:].min() == 1
    assert (line[48:64].diff() > 0).all()
    assert line.diff().max() < 0.1


def test_a_stride_that_leaves_no_equal_margins_is_refused():
    for stride in (0, 65, 47):
        with pytest.raises(ValueError, match="stride"):
            Grid(64, stride)


def test_the_eight_orientations_of_a_tile_differ_and_can_be_undone():
    image = torch.arange(2.0 * 9).reshape(2, 3, 3)
    seen = {tuple(rotate(image, orientation).flatten().tolist()) for orientation in ORIENTATIONS}
    assert len(seen) == len(ORIENTATIONS) == 8
    assert torch.equal(rotate(image, ORIENTATIONS[0]), image)
    for orientation in ORIENTATIONS:
        assert torch.equal(rotate_back(rotate(image, orientation), orientation), image)
