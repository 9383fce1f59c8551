"""Reduced-resolution assessment: the degraded inputs are correct, and the measures rank methods as expected."""

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


def ignore(*_):
    return None


def assess(capsys, *arguments) -> dict:
    capsys.readouterr()
    assert main(["assess", "--protocol", "wald", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def degrade(folder, pan, ms, memory=1024):
    folder.mkdir()
    scene = open_scene(pan, ms)
    return wald.degrade(scene, sensors.get("general", len(scene.ms)), folder, memory, ignore)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files can only be listed on Linux")
def test_all_files_are_closed_before_the_temporary_folder_is_removed(tmp_path, capsys, monkeypatch):
    """Windows could not remove it otherwise."""
    left = []

    class Watched(tempfile.TemporaryDirectory):
        def cleanup(self):
            opened = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
            left.append([path for path in opened if path.startswith(os.path.realpath(self.name))])
            super().cleanup()

    monkeypatch.setattr("tempfile.TemporaryDirectory", Watched)
    pan, ms, _ = sample_files(tmp_path)
    assess(capsys, "--pan", pan, "--ms", ms, "--methods", "gsa", "--report", tmp_path / "page.html")
    assert left == [[]]


def test_pan_and_ms_are_blurred_by_their_mtf(tmp_path):
    """Away from the edges, the result equals blurring the whole image by the MTF."""
    pan, ms, _ = sample_files(tmp_path)
    sensor = sensors.get("general", 4)
    found = degrade(tmp_path / "low", pan, ms)
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
def test_a_ramp_is_degraded_without_a_phase_error(tmp_path, at, ratio):
    """A phase error would change the values of the ramp."""
    pan, ms, pan_at, ms_at = ramps(320, 400, ratio, at, bands=1)
    files = write(tmp_path / "p.tif", pan, pan_at), write(tmp_path / "m.tif", ms, ms_at)
    found = degrade(tmp_path / "low", *files)
    low, coarse = open_scene(found.pan, found.ms), read(found.pan)
    assert low.placement.at == pytest.approx(((ratio - 1) / 2,) * 2, abs=1e-6)
    truth = read(found.reference)
    inner = (slice(8, -8), slice(8, -8))
    assert coarse[inner] == pytest.approx(truth[inner], abs=1)
    rows, cols = ((ratio - 1) / 2 + ratio * np.arange(n) for n in read(found.ms).shape)
    at_samples = truth[0, 0] + 4 * ratio * rows[:, None] + 8 * ratio * cols
    assert read(found.ms)[inner] == pytest.approx(at_samples[inner], abs=2)


def test_the_degraded_scene_does_not_depend_on_the_blocks(tmp_path):
    pan, ms, pan_at, ms_at = ramps(1024, 1200, bands=2)
    noise = np.random.default_rng(0).integers(0, 500, pan.shape, np.uint16)
    files = write(tmp_path / "p.tif", pan + noise, pan_at), write(tmp_path / "m.tif", ms, ms_at)
    small, large = (degrade(tmp_path / str(memory), *files, memory=memory) for memory in (1, 4096))
    for one, other in zip((small.pan, small.ms, small.reference), (large.pan, large.ms, large.reference)):
        assert read(one) == pytest.approx(read(other), rel=1e-5)


def test_masked_pixels_stay_masked_and_do_not_affect_others(tmp_path):
    pan, ms, pan_at, ms_at = ramps(640, 640, bands=1)
    pan[200:240, 200:240] = 0
    files = write(tmp_path / "p.tif", pan, pan_at, nodata=0), write(tmp_path / "m.tif", ms, ms_at)
    got = read(degrade(tmp_path / "low", *files).pan)
    assert np.isnan(got[52:58, 52:58]).all()
    far = np.ones(got.shape, bool)
    far[44:66, 44:66] = False
    assert np.isfinite(got[far]).all()
    whole = np.add.outer(4 * (1.5 + 4 * np.arange(160)), 8 * (1.5 + 4 * np.arange(160))) + 1000
    inner = np.isfinite(got)
    inner[:8] = inner[-8:] = inner[:, :8] = inner[:, -8:] = False
    assert got[inner] == pytest.approx(whole[inner], abs=6)


def test_several_methods_are_compared(tmp_path, capsys):
    pan, ms, _ = sample_files(tmp_path)
    got = assess(capsys, "--pan", pan, "--ms", ms, "--methods", "ssdiff,gsa,exp", "--csv", tmp_path / "t.csv")
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
    assert (scene["pan"], scene["ms"]) == (str(pan), [str(ms)])  # the files of the user, not the degraded ones
    assert got["results"][0]["method"] == "SSDiff (general-4-patches)"


def test_methods_are_compared_block_by_block_on_a_scene_of_a_hundred_samples(tmp_path, capsys):
    pan, ms, pan_at, ms_at = ramps(400, 400, bands=1)
    noise = np.random.default_rng(0).integers(0, 200, pan.shape, np.uint16)
    files = write(tmp_path / "p.tif", pan + noise, pan_at), write(tmp_path / "m.tif", ms, ms_at)
    got = assess(capsys, "--pan", files[0], "--ms", files[1], "--methods", "gsa,brovey", "--align", "none")
    assert got["results"][1]["differences"]["ERGAS"]["parts"] == 4


@pytest.mark.parametrize("name", ["landsat8", "landsat7"])
def test_a_real_landsat_scene_in_files_of_one_band(name, tmp_path, capsys):
    """Ratio 2, both phases of Landsat; every classical method has a higher SCC than interpolation."""
    pan, bands = landsat(tmp_path, name, *landsat_scene(name))
    inputs = [part for file in bands for part in ("--ms", file)]
    got = assess(capsys, "--pan", pan, *inputs, "--methods", "gsa,bdsd-pc,mtf-glp-fs", "--align", "none")
    assert got["scenes"][0]["ratio"] == 2
    scc = {result["name"]: result["measures"]["SCC"] for result in got["results"]}
    assert min(scc, key=scc.get) == "EXP"


def test_temporary_files_are_removed_after_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pan, ms, _ = sample_files(tmp_path)
    with (
        pytest.raises(GeometryError),
        wald.wald_study(pan, ms, ("gsa",), AssessOptions(), PansharpenOptions(), ignore, ignore),
    ):
        raise GeometryError("another error")
    assert not list(tmp_path.glob("ssdiff-wald-*"))


def test_a_too_small_scene_and_an_unknown_method_are_errors(tmp_path, capsys):
    pan, ms, pan_at, ms_at = ramps(160, 160, bands=1)
    files = write(tmp_path / "p.tif", pan, pan_at), write(tmp_path / "m.tif", ms, ms_at)
    command = ["assess", "--protocol", "wald", "--pan", str(files[0]), "--ms", str(files[1]), "--methods"]
    assert main([*command, "gsa"]) == 1
    assert "the scene is too small" in capsys.readouterr().err
    pan, ms, _ = sample_files(tmp_path)
    assert main(["assess", "--protocol", "wald", "--pan", str(pan), "--ms", str(ms), "--methods", "gsa,magic"]) == 1
    assert "no method 'magic'" in capsys.readouterr().err
