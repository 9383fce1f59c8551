"""`ssdiff simulate`: writes scenes with known truth as files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from files import read, write
from image_sets import interp23tap
from osgeo import gdal

from ssdiff_core.cli.main import main
from ssdiff_core.domain import sensors
from ssdiff_core.raster.image_sets import StoredImages
from ssdiff_core.training import simulate


@pytest.fixture(scope="module")
def imagery(tmp_path_factory):
    """A raster with described bands."""
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("imagery") / "town.tif"
    image = np.kron(rng.uniform(20, 200, (4, 64, 64)), np.ones((4, 4))) + rng.normal(0, 4, (4, 256, 256))
    return write(path, image, (0, 1, 0, 0, 0, -1), names=("blue", "green", "red", "nir"))


def simulated(imagery, folder, capsys, *more) -> list[dict]:
    command = ["simulate", str(imagery), "-o", str(folder), "--json", *more]
    assert main(command) == 0
    return json.loads(capsys.readouterr().out)["scenes"]


def test_ms_is_the_truth_degraded_by_the_sensor_and_pan_has_the_same_extent(imagery, tmp_path, capsys):
    for scene in simulated(imagery, tmp_path, capsys, "--sensor", "wv3", "--scenes", "3"):
        pan, ms, truth = (read(scene[kind]) for kind in ("pan", "ms", "truth"))
        assert truth.shape == (8, *pan.shape[-2:])
        assert ms.shape == (8, pan.shape[-2] // 4, pan.shape[-1] // 4)
        drawn = scene["drawn"]
        at = [1.5 + off for off in drawn["off"]]
        seen = np.stack([simulate.degraded(band, gain, 4, at) for band, gain in zip(truth, drawn["mtf"])])
        assert np.corrcoef(seen.ravel(), ms.ravel())[0, 1] > 0.97
        assert pan.std() > 0
        file = gdal.Open(scene["ms"])
        assert [file.GetRasterBand(i).GetDescription() for i in range(1, 9)] == list(sensors.get("wv3").bands)
        assert file.GetGeoTransform()[1] == 4 * gdal.Open(scene["pan"]).GetGeoTransform()[1]


def test_a_seed_gives_the_same_scenes_which_differ_from_each_other(imagery, tmp_path, capsys):
    first, other = simulated(imagery, tmp_path / "a", capsys, "--sensor", "qb", "--scenes", "2", "--seed", "5")
    again = simulated(imagery, tmp_path / "b", capsys, "--sensor", "qb", "--scenes", "1", "--seed", "5")[0]
    assert np.array_equal(read(first["ms"]), read(again["ms"]))
    assert first["drawn"] != other["drawn"]


def test_ratio_2_is_simulated_for_a_sensor_of_ratio_2(imagery, tmp_path, capsys):
    scene = simulated(imagery, tmp_path, capsys, "--sensor", "landsat89", "--scenes", "1")[0]
    assert read(scene["pan"]).shape[-1] == 2 * read(scene["ms"]).shape[-1]


def test_a_simulated_scene_can_be_fused_and_measured(imagery, tmp_path, capsys):
    scene = simulated(imagery, tmp_path, capsys, "--sensor", "gf2", "--scenes", "1")[0]
    fused, scores = str(tmp_path / "fused.tif"), {}
    for method in ("exp", "mtf-glp-fs"):
        assert main(["pansharpen", scene["pan"], scene["ms"], fused, "--method", method, "--progress", "none"]) == 0
        command = ["assess", fused, "--reference", scene["truth"], "--json", "--progress", "none"]
        assert main(command) == 0
        scores[method] = json.loads(capsys.readouterr().out)["results"][0]["measures"]["ERGAS"]
    assert scores["mtf-glp-fs"] < scores["exp"]


def test_a_set_of_images_has_the_geometry_and_the_counts_of_pancollection(imagery, tmp_path, capsys):
    command = ["simulate", str(imagery), "-o", str(tmp_path / "set.h5"), "--sensor", "gf2", "--scenes", "3", "--json"]
    assert main([*command, "--side", "64"]) == 0
    drawn = json.loads(capsys.readouterr().out)["images"]
    read = StoredImages(tmp_path / "set.h5")
    assert (read.count, read.bands, read.shape, read.ratio) == (3, 4, (64, 64), 4)
    images = read.read(0, 3)
    assert np.abs(images.lms - interp23tap(images.ms)).max() < 0.01
    for counts in (images.pan, images.ms, images.truth):
        assert np.array_equal(counts, np.rint(counts))
        assert 100 < counts.max() <= 1023
    for ms, truth, draw in zip(images.ms, images.truth, drawn):
        assert draw["drawn"]["mtf"] == list(sensors.get("gf2").mtf)
        seen = np.stack([simulate.degraded(band, 0.3, 4, (2, 2)) for band in truth])
        inner = (slice(None), slice(4, -4), slice(4, -4))
        assert np.corrcoef(seen[inner].ravel(), ms[inner].ravel())[0, 1] > 0.99


def test_a_set_at_full_resolution_has_no_truth_and_a_seed_gives_the_same_set(imagery, tmp_path, capsys):
    for name, more in (("a", []), ("b", []), ("full", ["--without-truth"])):
        command = ["simulate", str(imagery), "-o", str(tmp_path / f"{name}.h5"), "--sensor", "qb", "--side", "64"]
        assert main([*command, "--scenes", "1", *more]) == 0
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    full = StoredImages(tmp_path / "full.h5")
    assert not full.has_truth
    assert np.array_equal(full.read(0).pan, StoredImages(tmp_path / "a.h5").read(0).pan)


def test_truncated_imagery_is_an_error(imagery, tmp_path, capsys):
    torn = tmp_path / "torn.tif"
    torn.write_bytes(imagery.read_bytes()[: imagery.stat().st_size // 2])
    assert main(["simulate", str(torn), "-o", str(tmp_path / "out"), "--sensor", "gf2"]) == 1
    assert "torn.tif cannot be" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--sensor", "gf2", "--scenes", "0"), "--scenes must be at least 1, not 0"),
        (("--sensor", "general"), "defines no bands"),
        (("--sensor", "nobody"), "nobody"),
        (("--sensor", "gf2", "-o", "x.h5", "--side", "100"), "--side must be a multiple of 64"),
        (("--sensor", "gf2", "-o", "x.h5", "--side", "512"), "town is smaller than 512 pixels"),
    ],
)
def test_an_invalid_option_is_an_error_of_one_line(imagery, tmp_path, capsys, more, words):
    assert main(["simulate", str(imagery), "-o", str(tmp_path), *more]) == 1
    printed = capsys.readouterr().err
    assert words in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize("more", [("--side", "64"), ("--without-truth",)])
def test_options_of_a_set_are_refused_for_a_folder(imagery, tmp_path, capsys, more):
    with pytest.raises(SystemExit, match="2"):
        main(["simulate", str(imagery), "-o", str(tmp_path), "--sensor", "gf2", *more])
    assert "are for a set of images: give a file .h5" in capsys.readouterr().err
