"""The test on coarser inputs: what it fuses is what the sensors would have seen, and it tells good methods from bad."""

from __future__ import annotations

import json
import os
import tempfile

import numpy as np
import pytest
from files import ramps, read, sample_files, write
from landsat import files as landsat
from landsat import scene as landsat_scene

from ssdiff_core.cli.main import main
from ssdiff_core.common.errors import GeometryError
from ssdiff_core.domain import sensors
from ssdiff_core.domain.options import AssessOptions
from ssdiff_core.inprocess import wald
from ssdiff_core.raster.reader import open_scene
from ssdiff_core.training.simulate import degraded
from ssdiff_core.workflows.pansharpen import PansharpenOptions


def quiet(*_):
    return None


def told(capsys, *arguments) -> dict:
    capsys.readouterr()
    assert main(["assess", "--protocol", "wald", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def coarser(folder, pan, ms, memory=1024):
    folder.mkdir()
    scene = open_scene(pan, ms)
    return wald.degrade(scene, sensors.get("general", len(scene.ms)), folder, memory, quiet)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="only Linux tells which files are open")
def test_no_file_is_open_when_the_folder_of_the_test_goes(tmp_path, capsys, monkeypatch):
    """Else Windows would not remove it, and the numbers would be lost."""
    left = []

    class Watched(tempfile.TemporaryDirectory):
        def cleanup(self):
            opened = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
            left.append([path for path in opened if path.startswith(os.path.realpath(self.name))])
            super().cleanup()

    monkeypatch.setattr("tempfile.TemporaryDirectory", Watched)
    pan, ms, _ = sample_files(tmp_path)
    told(capsys, "--pan", pan, "--ms", ms, "--methods", "gsa", "--report", tmp_path / "page.html")
    assert left == [[]]


def test_both_are_seen_through_their_sensors(tmp_path):
    """In the middle, where no edge has a say: the same as blurring the whole image by the MTF."""
    pan, ms, _ = sample_files(tmp_path)
    sensor = sensors.get("general", 4)
    found = coarser(tmp_path / "low", pan, ms)
    inner = slice(8, -8)
    wanted = degraded(read(pan).astype(np.float32), sensor.pan_mtf, 4)
    assert read(found.pan)[inner, inner] == pytest.approx(wanted[inner, inner], rel=1e-4)
    middle = slice(5, -5)
    for got, band, gain in zip(read(found.ms), read(ms), sensor.mtf):
        assert got[middle, middle] == pytest.approx(
            degraded(band.astype(np.float32), gain, 4)[middle, middle], rel=1e-4
        )
    assert np.array_equal(read(found.reference), read(ms).astype(np.float32))


@pytest.mark.parametrize("at", [(1.5, 1.5), (2.0, 2.0), (0.3, 2.7)])
@pytest.mark.parametrize("ratio", [4, 2])
def test_a_ramp_stays_a_ramp_at_the_true_phase(tmp_path, at, ratio):
    """Any error of phase shows in counts: PAN at MS samples, and both rasters where their transforms say."""
    pan, ms, pan_at, ms_at = ramps(320, 400, ratio, at, bands=1)
    files = write(tmp_path / "p.tif", pan, pan_at), write(tmp_path / "m.tif", ms, ms_at)
    found = coarser(tmp_path / "low", *files)
    low, coarse = open_scene(found.pan, found.ms), read(found.pan)
    assert low.placement.at == pytest.approx(((ratio - 1) / 2,) * 2, abs=1e-6)
    truth = read(found.reference)
    inner = (slice(8, -8), slice(8, -8))
    assert coarse[inner] == pytest.approx(truth[inner], abs=1)
    rows, cols = ((ratio - 1) / 2 + ratio * np.arange(n) for n in read(found.ms).shape)
    at_samples = truth[0, 0] + 4 * ratio * rows[:, None] + 8 * ratio * cols
    assert read(found.ms)[inner] == pytest.approx(at_samples[inner], abs=2)


def test_blocks_do_not_matter(tmp_path):
    pan, ms, pan_at, ms_at = ramps(1024, 1200, bands=2)
    noise = np.random.default_rng(0).integers(0, 500, pan.shape, np.uint16)
    files = write(tmp_path / "p.tif", pan + noise, pan_at), write(tmp_path / "m.tif", ms, ms_at)
    small, large = (coarser(tmp_path / str(memory), *files, memory=memory) for memory in (1, 4096))
    for one, other in zip((small.pan, small.ms, small.reference), (large.pan, large.ms, large.reference)):
        assert read(one) == pytest.approx(read(other), rel=1e-5)


def test_what_is_masked_stays_masked_and_spoils_nothing(tmp_path):
    pan, ms, pan_at, ms_at = ramps(640, 640, bands=1)
    pan[200:240, 200:240] = 0
    files = write(tmp_path / "p.tif", pan, pan_at, nodata=0), write(tmp_path / "m.tif", ms, ms_at)
    got = read(coarser(tmp_path / "low", *files).pan)
    assert np.isnan(got[52:58, 52:58]).all()
    far = np.ones(got.shape, bool)
    far[44:66, 44:66] = False
    assert np.isfinite(got[far]).all()
    whole = np.add.outer(4 * (1.5 + 4 * np.arange(160)), 8 * (1.5 + 4 * np.arange(160))) + 1000
    inner = np.isfinite(got)
    inner[:8] = inner[-8:] = inner[:, :8] = inner[:, -8:] = False
    assert got[inner] == pytest.approx(whole[inner], abs=6)


def test_methods_stand_side_by_side(tmp_path, capsys):
    pan, ms, _ = sample_files(tmp_path)
    got = told(capsys, "--pan", pan, "--ms", ms, "--methods", "ssdiff,gsa,exp", "--csv", tmp_path / "t.csv")
    assert str(tmp_path) not in (tmp_path / "t.csv").read_text()
    assert [(result["file"], result["beside"]) for result in got["results"]] == [*[(None, False)] * 3, (None, True)]
    assert [result["name"] for result in got["results"]] == ["SSDiff", "GSA", "EXP", "MTF-GLP-FS"]
    assert (got["protocol"], got["reference"], got["baseline"]) == ("wald", True, "SSDiff")
    ergas = {result["name"]: result["measures"]["ERGAS"] for result in got["results"]}
    assert max(ergas, key=ergas.get) == "EXP"
    assert min(ergas, key=ergas.get) == "SSDiff"
    assert set(got["measures"]) == {"SAM", "ERGAS", "Q2n", "SCC", "PSNR", "UQI"}
    assert not [path for path in tmp_path.iterdir() if "wald" in path.name]
    assert got["results"][1]["differences"]["ERGAS"]["parts"] == 1  # 64 by 64 pixels are one block
    (scene,) = got["scenes"]
    assert (scene["pan"], scene["ms"]) == (str(pan), [str(ms)])  # the user's own, and not what was made of them
    assert got["results"][0]["method"] == "SSDiff (general-4)"


def test_methods_are_compared_block_by_block_on_a_scene_of_a_hundred_samples(tmp_path, capsys):
    pan, ms, pan_at, ms_at = ramps(400, 400, bands=1)
    noise = np.random.default_rng(0).integers(0, 200, pan.shape, np.uint16)
    files = write(tmp_path / "p.tif", pan + noise, pan_at), write(tmp_path / "m.tif", ms, ms_at)
    got = told(capsys, "--pan", files[0], "--ms", files[1], "--methods", "gsa,brovey", "--align", "none")
    assert got["results"][1]["differences"]["ERGAS"]["parts"] == 4


@pytest.mark.parametrize("name", ["landsat8", "landsat7"])
def test_a_real_landsat_scene_in_files_of_one_band(name, tmp_path, capsys):
    """Ratio 2, both phases of Landsat; every classical method beats interpolation in the detail it brings."""
    pan, bands = landsat(tmp_path, name, *landsat_scene(name))
    inputs = [part for file in bands for part in ("--ms", file)]
    got = told(capsys, "--pan", pan, *inputs, "--methods", "gsa,bdsd-pc,mtf-glp-fs", "--align", "none")
    assert got["scenes"][0]["ratio"] == 2
    scc = {result["name"]: result["measures"]["SCC"] for result in got["results"]}
    assert min(scc, key=scc.get) == "EXP"


def test_its_files_are_gone_when_it_ends_or_fails(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pan, ms, _ = sample_files(tmp_path)
    with (
        pytest.raises(GeometryError),
        wald.on_coarser(pan, ms, ("gsa",), AssessOptions(), PansharpenOptions(), quiet, quiet),
    ):
        raise GeometryError("of some other reason")
    assert not list(tmp_path.glob("ssdiff-wald-*"))


def test_too_small_a_scene_and_an_unknown_method_are_told(tmp_path, capsys):
    pan, ms, pan_at, ms_at = ramps(160, 160, bands=1)
    files = write(tmp_path / "p.tif", pan, pan_at), write(tmp_path / "m.tif", ms, ms_at)
    command = ["assess", "--protocol", "wald", "--pan", str(files[0]), "--ms", str(files[1]), "--methods"]
    assert main([*command, "gsa"]) == 1
    assert "too small for this test" in capsys.readouterr().err
    pan, ms, _ = sample_files(tmp_path)
    assert main(["assess", "--protocol", "wald", "--pan", str(pan), "--ms", str(ms), "--methods", "gsa,magic"]) == 1
    assert "no method 'magic'" in capsys.readouterr().err
