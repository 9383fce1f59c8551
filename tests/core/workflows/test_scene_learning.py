"""Pansharpening adapts the network to the scene, and keeps what it learnt."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from adapting import TINY_ON_PATCHES, base_weights, pair_of_files
from command import ssdiff
from files import read
from osgeo import gdal

from ssdiff_core.common.errors import Cancelled, ConfigError, GeometryError
from ssdiff_core.domain.options import PansharpenOptions
from ssdiff_core.inprocess.backend import LocalBackend
from ssdiff_core.model import checkpoint
from ssdiff_core.model.band_transfer import fitted
from ssdiff_core.weights import scene_cache
from ssdiff_core.workflows import scene_learning
from ssdiff_core.workflows.pansharpen import pansharpen

SECONDS = "2"


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A scene of 80 x 64 MS samples."""
    return pair_of_files(tmp_path_factory.mktemp("scene"), height=256, width=320)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Weights on patches that are wrong in a way that a few steps correct."""
    return base_weights(tmp_path_factory.mktemp("base"), off=0.5, net=TINY_ON_PATCHES)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def first(scene, base, cache, tmp_path_factory):
    """The first run on the scene: its output and its notices."""
    out = tmp_path_factory.mktemp("first") / "out.tif"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSDIFF_CACHE", str(cache))
        how = ("--weights", base, "--adapt", SECONDS, "--sensor", "gf2")
        said = ssdiff("pansharpen", *scene, out, *how).stderr
    return out, said


@pytest.fixture
def cached(monkeypatch, cache):
    monkeypatch.setenv("SSDIFF_CACHE", str(cache))


def adapted_of(path) -> str:
    return gdal.Open(str(path)).GetMetadataItem("SSDIFF_ADAPTED") or ""


class NeverAdapts(LocalBackend):
    def adapt(self, *arguments):
        raise AssertionError("the weights were adapted again")


def fuse(scene, out, weights, backend, *, extent=None, adapt=SECONDS) -> list[str]:
    """Pansharpens with a backend; returns the kinds of the notices."""
    said, options = [], PansharpenOptions(sensor="gf2", weights=str(weights), extent=extent, adapt=adapt)
    pansharpen(
        *scene, out, options, lambda notice: said.append(notice.kind), lambda pixels: lambda share: None, backend
    )
    return said


def test_adapting_says_what_it_brought_and_the_output_records_it(first):
    out, said = first
    assert "Adapted to this scene in" in said
    assert adapted_of(out).startswith("held out: ERGAS ")
    assert gdal.Open(str(out)).GetMetadataItem("SSDIFF_WEIGHTS") == "base+scene"


def test_the_second_run_uses_what_the_first_one_learnt(first, scene, base, cached, tmp_path):
    out, _ = first
    assert "adapted_before" in fuse(scene, tmp_path / "again.tif", base, NeverAdapts())
    assert np.array_equal(read(tmp_path / "again.tif"), read(out))
    assert adapted_of(tmp_path / "again.tif") == adapted_of(out)


def test_a_resumed_run_goes_on_with_the_weights_that_it_began_with(first, scene, base, cached, tmp_path):
    def interrupted(pixels):
        def report(share):
            if pixels and share > 0:
                raise KeyboardInterrupt

        return report

    options = PansharpenOptions(sensor="gf2", weights=str(base), adapt=SECONDS, resume=True)
    with pytest.raises(KeyboardInterrupt):
        pansharpen(*scene, tmp_path / "o.tif", options, lambda notice: None, interrupted, NeverAdapts())
    assert not (tmp_path / "o.tif").exists()
    pansharpen(*scene, tmp_path / "o.tif", options, lambda notice: None, lambda p: lambda share: None, NeverAdapts())
    assert np.array_equal(read(tmp_path / "o.tif"), read(first[0]))
    assert adapted_of(tmp_path / "o.tif") == adapted_of(first[0])


def test_an_extent_has_the_pixels_and_the_weights_of_the_whole_scene(first, scene, base, cached, tmp_path):
    left, top = 500_000.0, 4_000_000.0
    extent = left + 0.5 * 96, top - 0.5 * 160, left + 0.5 * 224, top - 0.5 * 64
    fuse(scene, tmp_path / "part.tif", base, NeverAdapts(), extent=extent)
    part, whole = read(tmp_path / "part.tif").astype(int), read(first[0]).astype(int)[:, 64:160, 96:224]
    assert np.abs(part - whole).max() <= 1  # half precision on some processors


def test_without_adapting_the_weights_stay_as_they_are(scene, base, cached, tmp_path):
    said = fuse(scene, tmp_path / "plain.tif", base, NeverAdapts(), adapt="none")
    assert not any("adapt" in kind for kind in said)
    assert adapted_of(tmp_path / "plain.tif") == ""
    assert gdal.Open(str(tmp_path / "plain.tif")).GetMetadataItem("SSDIFF_WEIGHTS") == "base"


def test_a_gain_lowers_the_held_out_error(first, cached):
    """No entry is written for weights that are worse."""
    (entry,) = (each for each in scene_cache.entries() if each.kind == scene_cache.WEIGHTS)
    before, after = entry.record["before"], entry.record["after"]
    assert after["ERGAS"] <= before["ERGAS"]
    assert after["SAM"] <= before["SAM"]


def test_kept_weights_are_listed_and_removed(first, scene, base, cached, tmp_path, monkeypatch):
    listed = ssdiff("weights", "list").stdout
    assert "Adapted to scenes" in listed
    assert str(scene[0]) in listed
    (record,) = json.loads(ssdiff("weights", "list", "--json").stdout)["scenes"]
    assert record["base"] == "base"
    monkeypatch.setenv("SSDIFF_CACHE", str(tmp_path))
    scene_cache.write("weights-1", {"base": "b"})
    assert ssdiff("weights", "clear").stdout.startswith("1 entries removed")
    assert not list(scene_cache.entries())


def test_a_scene_too_small_to_learn_from_is_fused_as_before(base, tmp_path):
    small = pair_of_files(tmp_path / "small", height=160, width=160)
    assert not any("adapt" in kind for kind in fuse(small, tmp_path / "o.tif", base, NeverAdapts(), adapt="auto"))
    assert "scene_not_adapted" in fuse(small, tmp_path / "o.tif", base, NeverAdapts(), adapt="5")


def test_a_small_image_is_adapted_to_only_on_request(scene, base, tmp_path, monkeypatch):
    """Small images often come in large sets."""
    monkeypatch.setenv("SSDIFF_CACHE", str(tmp_path / "cache"))
    assert not any("adapt" in kind for kind in fuse(scene, tmp_path / "o.tif", base, NeverAdapts(), adapt="auto"))


def test_a_scene_that_teaches_nothing_is_fused_with_the_weights_as_they_are(scene, base, tmp_path, monkeypatch):
    class Uniform(LocalBackend):
        def adapt(self, *arguments):
            raise GeometryError("it is uniform")

    monkeypatch.setenv("SSDIFF_CACHE", str(tmp_path / "cache"))
    assert "scene_not_adapted" in fuse(scene, tmp_path / "o.tif", base, Uniform())
    assert gdal.Open(str(tmp_path / "o.tif")).GetMetadataItem("SSDIFF_WEIGHTS") == "base"


def test_a_cancelled_run_leaves_no_weights_behind(scene, base, tmp_path, monkeypatch):
    class Cancels(LocalBackend):
        def adapt(self, scenes, job, *arguments):
            Path(job.working).write_bytes(b"half")
            raise Cancelled("cancelled")

    monkeypatch.setenv("SSDIFF_CACHE", str(tmp_path / "cache"))
    with pytest.raises(Cancelled):
        fuse(scene, tmp_path / "o.tif", base, Cancels())
    kept = [file.name for file in scene_cache.folder().iterdir()]
    assert all(name.startswith(("shift-", "correlation-")) for name in kept)
    assert [file.name for file in tmp_path.iterdir()] == ["cache"]


def test_a_result_that_is_no_better_is_kept_too(scene, base, tmp_path, monkeypatch):
    """So the next run does not try again."""

    class Fruitless(LocalBackend):
        def adapt(self, *arguments):
            scores = {"ERGAS": 2.0, "SAM": 1.0}
            return {"before": scores, "after": None, "classical": {"gsa": scores}, "steps": 40}

    monkeypatch.setenv("SSDIFF_CACHE", str(tmp_path / "cache"))
    assert "adapting_scene_no_gain" in fuse(scene, tmp_path / "o.tif", base, Fruitless())
    assert "adapting_scene_no_gain" in fuse(scene, tmp_path / "o.tif", base, NeverAdapts())


@pytest.mark.parametrize("count", [3, 8])
def test_weights_adapted_to_other_bands_than_their_base_takes_fuse_them(count, tmp_path, monkeypatch):
    class Transfers(LocalBackend):
        """Adapts without training: the weights only take the bands of the scene."""

        def adapt(self, scenes, job, *arguments):
            moved = fitted(checkpoint.load(job.base), job.sensor.bands, job.sensor.wavelengths)
            checkpoint.save(job.working, moved.net.state_dict(), replace(moved.card, id=job.id))
            worse, better = {"ERGAS": 2.0, "SAM": 2.0}, {"ERGAS": 1.0, "SAM": 1.0}
            return {"before": worse, "after": better, "classical": {"gsa": worse}, "steps": 40}

    monkeypatch.setenv("SSDIFF_CACHE", str(tmp_path / "cache"))
    base = base_weights(tmp_path, off=0.5, net=TINY_ON_PATCHES, sensors=("gf2", "qb"))
    scene = pair_of_files(tmp_path, height=256, width=320, count=count)
    options = PansharpenOptions(weights=str(base), adapt=SECONDS)
    for out, backend in ((tmp_path / "first.tif", Transfers()), (tmp_path / "again.tif", NeverAdapts())):
        pansharpen(*scene, out, options, lambda notice: None, lambda pixels: lambda share: None, backend)
        assert gdal.Open(str(out)).GetMetadataItem("SSDIFF_WEIGHTS") == "base+scene"
        assert read(out).shape == (count, 256, 320)
    assert np.array_equal(read(tmp_path / "first.tif"), read(tmp_path / "again.tif"))


@pytest.mark.parametrize("adapt", ["always", "0", "nan", "1e9", "-5", ""])
def test_an_invalid_time_is_one_sentence(adapt):
    with pytest.raises(ConfigError, match="--adapt must be auto, none or seconds from 2 to 3600"):
        scene_learning.seconds_of(adapt)


@pytest.mark.parametrize(("side", "seconds"), [(1000, 18), (18_000, 21.6), (60_000, 60)])
def test_the_time_grows_with_the_scene_within_limits(side, seconds, scene):
    from dataclasses import replace

    from ssdiff_core.domain.grid import Grid
    from ssdiff_core.raster.reader import open_scene

    opened = open_scene(*scene)
    transform = opened.pan_grid.transform
    coarse = opened.ms_grid.transform
    large = replace(
        opened,
        pan_grid=Grid(side, side, transform, opened.pan_grid.crs),
        ms_grid=Grid(side // 4, side // 4, coarse, opened.ms_grid.crs),
    )
    assert scene_learning.automatic_seconds(large) == pytest.approx(seconds, rel=0.01)
