import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ssdiff_core.domain.fill import fill_masked
from ssdiff_core.fusion.masks import fill_nearest, nearest_valid

masks = arrays(bool, st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 12)))


@given(masks)
def test_nearest_valid_pixel_is_the_nearest(ok):
    index = nearest_valid(torch.from_numpy(ok)).numpy().reshape(ok.shape)
    for mask, found in zip(ok, index):
        if not mask.any():
            continue
        valid = np.argwhere(mask)
        for (r, c), flat in np.ndenumerate(found):
            row, col = divmod(flat, mask.shape[1])
            assert mask[row, col]
            assert (row - r) ** 2 + (col - c) ** 2 == ((valid - (r, c)) ** 2).sum(1).min()


@given(masks)
def test_filling_changes_only_masked_pixels_and_uses_only_valid_ones(ok):
    ok = torch.from_numpy(ok)
    tiles = torch.rand(ok.shape[0], 2, *ok.shape[1:])
    poisoned = torch.where(ok[:, None], tiles, 99.0)
    filled = fill_nearest(poisoned, ok)
    assert torch.equal(filled[ok[:, None].expand_as(filled)], tiles[ok[:, None].expand_as(filled)])
    some = ok.flatten(1).any(1)
    assert (filled[some] < 99).all()


@given(masks, st.integers(0, 5))
def test_spreading_reaches_so_many_pixels_and_no_further(ok, rounds):
    ok = ok[0]
    image = np.random.default_rng(0).random((2, *ok.shape), np.float32) + 1
    spread = fill_masked(np.where(ok, image, np.float32(np.nan)), ok, rounds)
    valid = np.argwhere(ok)
    for r, c in np.ndindex(*ok.shape):
        distance = np.abs(valid - (r, c)).max(1).min() if len(valid) else 99
        assert (spread[:, r, c] != 0).all() == (distance <= rounds)
    assert np.array_equal(spread[:, ok], image[:, ok])
