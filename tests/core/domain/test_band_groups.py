"""Networks for four bands on scenes of any number of bands."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import smooth_scene, stiff_weights, surveyed, with_views

from ssdiff_core.common.errors import BlockError
from ssdiff_core.domain.band_groups import groups
from ssdiff_core.domain.options import SamplingOptions
from ssdiff_core.fusion.engine import Engine
from ssdiff_core.fusion.grouped_engine import Grouped, only


@given(st.integers(1, 16), st.integers(1, 8))
def test_every_band_is_in_a_group_and_groups_are_full(bands, size):
    found = groups(bands, size)
    assert {band for group in found for band in group} == set(range(bands))
    assert all(len(group) == size for group in found)
    assert all(list(group) == sorted(group) for group in found)
    assert len(found) == -(-bands // size)


def test_groups_span_the_spectrum_whatever_the_order_of_bands():
    assert groups(8, 4) == [(0, 2, 4, 6), (1, 3, 5, 7)]
    assert groups(4, 4, (830, 660, 550, 480)) == [(3, 2, 1, 0)]
    assert groups(3, 4) == [(0, 0, 1, 2)]
    assert groups(1, 4) == [(0, 0, 0, 0)]
    assert groups(6, 4) == [(0, 0, 2, 4), (1, 1, 3, 5)]


@pytest.mark.parametrize("bands", [1, 3, 6])
def test_each_band_is_what_its_group_gives(bands):
    scene = smooth_scene(56, 60, bands=bands)
    engine = Engine(stiff_weights(tile=32, scale="moments"), SamplingOptions("cpu"))
    of_bands = groups(bands, 4)
    fused = Grouped(engine, of_bands).fuse(scene)
    assert fused.shape == (bands, 56, 60)
    for group in of_bands:
        alone = engine.fuse(only(scene, group))
        for place, band in enumerate(group):
            if group.index(band) == place and not any(band in g for g in of_bands[: of_bands.index(group)]):
                assert np.array_equal(fused[band], alone[place])


def test_the_spread_of_each_band_is_what_its_group_gives():
    scene = smooth_scene(40, 44, bands=3)
    engine = Engine(stiff_weights(scale="moments"), SamplingOptions("cpu", samples=2))
    mean, spread = Grouped(engine, groups(3, 4)).fuse_with_spread(scene)
    alone = engine.fuse_with_spread(only(scene, (0, 0, 1, 2)))
    for got, wanted in zip((mean, spread), alone):
        assert np.array_equal(got, wanted[[0, 2, 3]])
    assert (spread > 0).mean() > 0.99


MTF = (0.34, 0.32, 0.30, 0.22, 0.27, 0.29)


@pytest.mark.parametrize(("bands", "wavelengths"), [(3, ()), (6, ()), (6, (480, 830, 550, 660, 705, 740))])
def test_the_statistics_of_a_group_are_those_of_its_bands_alone(bands, wavelengths):
    scene, of_bands = smooth_scene(56, 60, bands=bands), groups(bands, 4, wavelengths)
    known = surveyed(scene, MTF[:bands], of_bands)
    for k, group in enumerate(of_bands):
        picked = tuple(MTF[band] for band in group)
        alone = surveyed(replace(scene, ms=scene.ms[list(group)]), picked).stats
        found = only(known, group, k).stats
        for name in ("means", "deviations", "gains", "haze", "limits", "weights", "match", "caps"):
            np.testing.assert_allclose(getattr(found, name), getattr(alone, name), rtol=1e-7, err_msg=name)


def test_groups_see_the_fusion_of_their_own_bands():
    scene, of_bands = smooth_scene(56, 60, bands=6), groups(6, 4)
    engine = Engine(with_views(stiff_weights(tile=32, scale="moments")), SamplingOptions("cpu"))
    fused = Grouped(engine, of_bands).fuse(surveyed(scene, MTF, of_bands))
    for group in of_bands:
        picked = tuple(MTF[band] for band in group)
        alone = engine.fuse(surveyed(replace(scene, ms=scene.ms[list(group)]), picked))
        others = engine.fuse(only(surveyed(scene, MTF, reversed(of_bands)), group, of_bands.index(group)))
        for band in group:
            np.testing.assert_allclose(fused[band], alone[group.index(band)], atol=0.01)
            assert np.abs(fused[band] - others[group.index(band)]).max() > 0.1


def test_groups_without_their_own_statistics_are_refused():
    scene = surveyed(smooth_scene(56, 60, bands=6))
    with pytest.raises(BlockError, match="need statistics for bt-h"):
        Grouped(Engine(with_views(stiff_weights(tile=32)), SamplingOptions("cpu")), groups(6, 4)).fuse(scene)


def test_a_hole_in_one_band_is_a_hole_in_all():
    scene = smooth_scene(48, 48, bands=6)
    ms = scene.ms.copy()
    ms[1, 4, 5] = np.nan
    scene = replace(scene, ms=ms)
    fused = Grouped(Engine(stiff_weights(tile=32), SamplingOptions("cpu")), groups(6, 4)).fuse(scene)
    assert np.array_equal(np.isnan(fused).any(0), np.isnan(fused).all(0))
    assert np.isnan(fused[0, 18, 22])
    assert not np.isnan(fused).all()


def test_progress_rises_to_one():
    heard = []
    scene = smooth_scene(48, 48, bands=6)
    Grouped(Engine(stiff_weights(tile=32), SamplingOptions("cpu")), groups(6, 4)).fuse(scene, heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1
