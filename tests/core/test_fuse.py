"""Scenes into files: whole or not at all, and nothing lost on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from files import Interpolate, ramps, read, write
from hypothesis import given
from hypothesis import strategies as st
from osgeo import gdal

from ssdiff_core.blocks import SceneStats
from ssdiff_core.counts import counted
from ssdiff_core.errors import RasterError, SSDiffError
from ssdiff_core.fuse import blocks_of, fuse, output_for
from ssdiff_core.scene import open_scene
from ssdiff_core.tiles import Window


@pytest.fixture
def scene(tmp_path):
    pan, ms, pan_at, ms_at = ramps(320, 280)
    names = ("blue", "green", "red")
    files = write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at, names=names)
    return open_scene(*files)


def run(scene, path, engine=None, provenance=None, stats=None, **options):
    keep = {key: options.pop(key) for key in ("progress", "resume", "side") if key in options}
    output = output_for(scene, path, **options)
    fuse(scene, engine or Interpolate(), output, stats or SceneStats(), provenance or {"method": "exp"}, **keep)
    return output


class Failing(Interpolate):
    """Gives up at a block, as a full disk or a lost device would."""

    def __init__(self, after, error):
        self.left, self.error = after, error

    def fuse(self, block, progress=None):
        self.left -= 1
        if self.left < 0:
            raise self.error
        return super().fuse(block, progress)


def beside(path):
    return sorted(p.name for p in path.parent.iterdir() if p.name.startswith(path.name))


@pytest.mark.parametrize("kind", ["cog", "gtiff"])
@pytest.mark.parametrize("side", [64, 100, 1024])
def test_the_file_is_the_image_in_whatever_blocks(scene, tmp_path, kind, side):
    run(scene, tmp_path / "out.tif", format=kind, side=side)
    image = read(tmp_path / "out.tif")
    r, c = np.mgrid[:320, :280]
    expected = np.stack([1000 + 4 * r + 8 * c + 500 * k for k in range(3)])
    assert image.dtype == np.uint16
    assert np.abs(image.astype(int) - expected)[:, 12:-12, 12:-12].max() <= 1
    assert beside(tmp_path / "out.tif") == ["out.tif"]


def test_the_file_carries_what_the_inputs_said(scene, tmp_path):
    said = {"method": "exp", "weights": "none", "seed": "3"}
    run(scene, tmp_path / "out.tif", provenance=said)
    out = gdal.Open(str(tmp_path / "out.tif"))
    assert out.GetGeoTransform() == gdal.Open(scene.pan.path).GetGeoTransform()
    assert out.GetSpatialRef().IsSame(gdal.Open(scene.pan.path).GetSpatialRef())
    assert [out.GetRasterBand(i).GetDescription() for i in (1, 2, 3)] == ["blue", "green", "red"]
    assert {k: v for k, v in out.GetMetadata().items() if k.startswith("SSDIFF_")} == {
        "SSDIFF_METHOD": "exp",
        "SSDIFF_WEIGHTS": "none",
        "SSDIFF_SEED": "3",
    }
    band = out.GetRasterBand(2)
    image = band.ReadAsArray()
    statistics = {k: float(v) for k, v in band.GetMetadata().items() if k.startswith("STATISTICS_M")}
    assert statistics["STATISTICS_MEAN"] == pytest.approx(image.mean(), rel=1e-6)
    assert statistics["STATISTICS_MAXIMUM"] == image.max()
    assert out.GetMetadata("IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    assert out.GetMetadata("IMAGE_STRUCTURE")["COMPRESSION"] in ("ZSTD", "DEFLATE")


def test_overviews_come_with_images_that_need_them(tmp_path):
    pan, ms, pan_at, ms_at = ramps(1200, 1100)
    scene = open_scene(write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at))
    run(scene, tmp_path / "out.tif")
    out = gdal.Open(str(tmp_path / "out.tif"))
    assert out.GetRasterBand(1).GetOverviewCount() >= 1


def test_creation_options_of_the_user_win(scene, tmp_path):
    run(scene, tmp_path / "out.tif", format="gtiff", options=("compress=NONE", "BLOCKXSIZE=128", "BLOCKYSIZE=128"))
    out = gdal.Open(str(tmp_path / "out.tif"))
    assert "COMPRESSION" not in out.GetMetadata("IMAGE_STRUCTURE")
    assert out.GetRasterBand(1).GetBlockSize() == [128, 128]


def test_masked_pixels_are_nodata_and_no_valid_pixel_is(tmp_path):
    pan, ms, pan_at, ms_at = ramps(160, 160)
    ms[:, 20:, 20:] = 1
    ms[:, :8, :8] = 0
    files = write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at, nodata=0)
    scene = open_scene(*files)
    run(scene, tmp_path / "out.tif")
    out = gdal.Open(str(tmp_path / "out.tif"))
    assert out.GetRasterBand(1).GetNoDataValue() == 0
    seen = out.GetRasterBand(1).GetMaskBand().ReadAsArray() > 0
    assert not seen[:36, :36].any()
    assert seen.sum() == 160 * 160 - 36 * 36


@given(st.lists(st.floats(-70000, 70000, width=32), min_size=1, max_size=20), st.sampled_from([0, 7, 65535, None]))
def test_counts_stay_in_the_type_and_clear_of_nodata(values, nodata):
    pixels = np.array([[values]], np.float32)
    counts = counted(pixels, np.dtype(np.uint16), nodata)[0].astype(int)
    expected = np.rint(pixels.clip(0, 65535))
    assert (counts != nodata).all()
    assert (np.abs(counts - expected) <= (1 if nodata is not None else 0)).all()
    assert (counts == expected)[expected != nodata].all()


@pytest.mark.parametrize(("kind", "nodata"), [("uint8", 0), ("int16", -32768), ("uint16", 0)])
def test_masks_become_a_nodata_value_that_fits_the_type(scene, tmp_path, kind, nodata):
    masked = replace(scene, pan=replace(scene.pan, masked=True))
    assert output_for(masked, tmp_path / "o.tif", dtype=kind).nodata == nodata
    assert np.isnan(output_for(masked, tmp_path / "o.tif", dtype="float32").nodata)
    assert output_for(scene, tmp_path / "o.tif", dtype=kind).nodata is None
    with pytest.raises(SSDiffError, match="does not fit in uint8"):
        output_for(scene, tmp_path / "o.tif", dtype="uint8", nodata=-9999)


@given(st.integers(-50, 50), st.integers(1, 300), st.integers(1, 300), st.integers(1, 200))
def test_blocks_cover_the_scene_once(start, height, width, side):
    window = Window(start, -start, height, width)
    parts = blocks_of(window, side)
    assert sum(part.height * part.width for part in parts) == height * width
    assert all(part in window for part in parts)
    assert len(set(parts)) == len(parts)


@pytest.mark.parametrize("error", [RasterError("the disk is full"), KeyboardInterrupt(), ValueError("boom")])
def test_a_failure_leaves_nothing_under_the_name_and_what_is_done_can_be_resumed(scene, tmp_path, error):
    out = tmp_path / "out.tif"
    with pytest.raises(type(error)):
        run(scene, out, Failing(7, error), side=64)
    assert not out.exists()
    kept = json.loads((tmp_path / "out.tif.part.json").read_text().splitlines()[0])
    assert kept["key"]
    counting = Failing(1000, None)
    run(scene, out, counting, side=64, resume=True)
    assert 1000 - counting.left < 25
    run(scene, tmp_path / "straight.tif", side=64)
    assert np.array_equal(read(out), read(tmp_path / "straight.tif"))
    assert beside(out) == ["out.tif"]


def test_work_on_other_inputs_is_not_resumed(scene, tmp_path):
    out = tmp_path / "out.tif"
    with pytest.raises(KeyboardInterrupt):
        run(scene, out, Failing(7, KeyboardInterrupt()), side=64)
    counting = Failing(1000, None)
    run(scene, out, counting, side=64, resume=True, provenance={"method": "exp", "seed": "4"})
    assert 1000 - counting.left == 25


def test_without_resume_leftovers_are_removed(scene, tmp_path):
    out = tmp_path / "out.tif"
    with pytest.raises(KeyboardInterrupt):
        run(scene, out, Failing(3, KeyboardInterrupt()), side=64)
    counting = Failing(1000, None)
    run(scene, out, counting, side=64)
    assert 1000 - counting.left == 25
    assert beside(out) == ["out.tif"]


KILLED = """
import sys, time
sys.path[:0] = {path!r}
from files import Interpolate
from ssdiff_core.blocks import SceneStats
from ssdiff_core.fuse import fuse, output_for
from ssdiff_core.scene import open_scene

class Slow(Interpolate):
    def fuse(self, block, progress=None):
        time.sleep(0.05)
        return super().fuse(block, progress)

scene = open_scene({pan!r}, {ms!r})
fuse(scene, Slow(), output_for(scene, {out!r}), SceneStats(), {{"method": "exp"}}, resume=True, side=64)
"""


def test_killed_at_random_moments_it_goes_on_to_the_same_pixels(scene, tmp_path):
    out = tmp_path / "out.tif"
    path = [p for p in sys.path if p]
    code = KILLED.format(path=path, pan=scene.pan.path, ms=scene.ms[0].path, out=str(out))
    run(scene, tmp_path / "straight.tif", side=64)
    straight = read(tmp_path / "straight.tif")
    rng, kills = np.random.default_rng(int.from_bytes(os.urandom(4), "big")), 0
    for _ in range(8):
        child = subprocess.Popen([sys.executable, "-c", code])
        time.sleep(rng.uniform(0.8, 2.5))
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
            kills += 1
        child.wait()
        if out.exists():  # whole, then: it was moved there in one step
            break
    assert kills
    if out.exists():
        assert np.array_equal(read(out), straight)
    subprocess.run([sys.executable, "-c", code], check=True)
    assert np.array_equal(read(out), straight)
    assert beside(out) == ["out.tif"]


def test_a_folder_that_cannot_be_written_is_one_sentence(scene, tmp_path):
    with pytest.raises(RasterError, match=r"out\.tif cannot be written") as caught:
        run(scene, tmp_path / "no" / "out.tif")
    assert "\n" not in str(caught.value)


def test_an_input_that_ends_half_way_is_one_sentence_and_leaves_no_output(tmp_path):
    pan, ms, pan_at, ms_at = ramps(320, 280)
    files = write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at)
    whole = files[0].read_bytes()
    scene = open_scene(*files)
    files[0].write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RasterError, match=r"pan\.tif cannot be read"):
        run(scene, tmp_path / "out.tif", side=64)
    assert not (tmp_path / "out.tif").exists()
