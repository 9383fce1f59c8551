"""Fuzzer of the journal of an interrupted run: resuming gives the image of a straight run, or one sentence."""

import shutil

import numpy as np
import pytest
from files import Ending, Interpolate, ramps, write
from fuzzing import mangled, seeds, sentence_of
from osgeo import gdal

from ssdiff_core.domain.block import SceneStats
from ssdiff_core.raster.output import output_for
from ssdiff_core.raster.reader import open_scene
from ssdiff_core.workflows.block_writer import BlockRun, fuse


def run(scene, out, engine, resume=False):
    output = output_for(scene, out, format="gtiff")
    fuse(scene, engine, [output], SceneStats(), {"method": "exp"}, BlockRun(side=32, resume=resume))
    return output


def test_a_run_with_a_changed_journal_gives_the_same_image_or_a_sentence(tmp_path):
    (tmp_path / "kept").mkdir()
    pan, ms, pan_at, ms_at = ramps(96, 96)
    scene = open_scene(write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at))
    expected = gdal.Open(str(run(scene, tmp_path / "straight.tif", Interpolate()).path)).ReadAsArray()
    out = tmp_path / "out.tif"
    with pytest.raises(KeyboardInterrupt):
        run(scene, out, Ending(6, KeyboardInterrupt()))
    kept = [shutil.copy(path, tmp_path / "kept") for path in tmp_path.glob("out.tif*")]
    journal = output_for(scene, out).journal
    valid = journal.read_bytes()
    for seed in seeds(30):
        for path in tmp_path.glob("out.tif*"):
            path.unlink()
        for path in kept:
            shutil.copy(path, tmp_path)
        journal.write_bytes(mangled(valid, seed))
        said = sentence_of(lambda: run(scene, out, Interpolate(), resume=True))
        assert "\n" not in said, f"seed {seed}"
        assert out.exists() != bool(said), f"seed {seed}"
        if not said:
            assert np.array_equal(gdal.Open(str(out)).ReadAsArray(), expected), f"seed {seed}"
            assert [path.name for path in tmp_path.glob("out.tif*")] == ["out.tif"], f"seed {seed}"
