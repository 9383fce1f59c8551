"""Working files of interrupted runs are removed once they are old, and only then."""

import time

import pytest
from files import Ending, ramps, write

from ssdiff_core.domain.block import SceneStats
from ssdiff_core.raster.output import output_for
from ssdiff_core.raster.reader import open_scene
from ssdiff_core.workflows import interrupted_runs
from ssdiff_core.workflows.block_writer import BlockRun, fuse
from ssdiff_core.workflows.journal import claimed

LATER = time.time() + (interrupted_runs.KEPT_DAYS + 1) * 86400


@pytest.fixture
def output(tmp_path, monkeypatch):
    """Returns the output of a run that was interrupted just now."""
    monkeypatch.setenv("SSDIFF_CACHE", str(tmp_path / "cache"))
    pan, ms, pan_at, ms_at = ramps(64, 64)
    scene = open_scene(write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at))
    output = output_for(scene, tmp_path / "out.tif")
    with pytest.raises(KeyboardInterrupt):
        fuse(scene, Ending(3, KeyboardInterrupt()), [output], SceneStats(), {}, BlockRun(side=16))
    assert output.working.exists()
    return output


def removed(now=None):
    """Returns the paths that a notice names."""
    said = []
    interrupted_runs.remove_old(said.append, now)
    return [notice.values["path"] for notice in said]


def test_working_files_are_removed_when_they_are_old(output):
    assert removed() == []
    assert output.working.exists()
    assert removed(LATER) == [str(output.path)]
    assert not output.working.exists()
    assert not output.journal.exists()
    assert removed(LATER) == []


def test_working_files_of_a_run_that_goes_on_stay(output):
    with claimed([output]):
        assert removed(LATER) == []
    assert output.working.exists()


def test_files_of_another_program_stay(output):
    output.journal.write_text("a diary")
    assert removed(LATER) == []
    assert (output.journal.read_text(), output.working.exists()) == ("a diary", True)


def test_a_finished_run_is_not_listed(output, tmp_path):
    scene = open_scene(tmp_path / "pan.tif", tmp_path / "ms.tif")
    fuse(scene, Ending(1000, None), [output], SceneStats(), {}, BlockRun(side=16))
    assert list(interrupted_runs.folder().glob("*.json")) == []
