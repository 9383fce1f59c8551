"""One run at a time writes an output, and files of other programs are left alone."""

import os

import numpy as np
import pytest
import slow_run
from files import Ending, Interpolate, ramps, read, write

from ssdiff_core.common.errors import RasterError
from ssdiff_core.domain.block import SceneStats
from ssdiff_core.raster.output import output_for, spread_output
from ssdiff_core.raster.reader import open_scene
from ssdiff_core.workflows.block_writer import BlockRun, fuse

ENDS = (".part", ".part.json", ".whole.tif", ".part.aux.xml", ".whole.tif.aux.xml", ".whole.tif.ovr.tmp")
posix = pytest.mark.skipif(os.name == "nt", reason="links and pipes")


@pytest.fixture
def inputs(tmp_path):
    (tmp_path / "in").mkdir()
    pan, ms, pan_at, ms_at = ramps(320, 280)
    return write(tmp_path / "in" / "pan.tif", pan, pan_at), write(tmp_path / "in" / "ms.tif", ms, ms_at)


def run(inputs, out, apart=None, engine=None, **how):
    scene, said = open_scene(*inputs), []
    output = output_for(scene, out)
    outputs = [output, spread_output(output, apart)] if apart else [output]
    provenance, run = {"method": "exp"}, BlockRun(side=64, **how)
    fuse(scene, engine or Interpolate(), outputs, SceneStats(), provenance, run, notify=said.append)
    return [message.kind for message in said]


def left(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != "in")


@pytest.fixture
def running(inputs, tmp_path):
    """A run in another process that has begun a block of o.tif and u.tif."""
    child = slow_run.start(*map(str, inputs), str(tmp_path / "o.tif"), str(tmp_path / "u.tif"), held=True)
    yield child
    child.kill()
    child.join()


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("names", [("o.tif", None), ("o.tif", "v.tif"), ("p.tif", "u.tif"), ("u.tif", None)])
def test_a_second_run_onto_an_output_is_refused_and_harms_nothing(running, inputs, tmp_path, names, resume):
    out, apart = (name and tmp_path / name for name in names)
    with pytest.raises(RasterError) as caught:
        run(inputs, out, apart, resume=resume)
    shared = next(name for name in names if name in ("o.tif", "u.tif"))
    said = f"{tmp_path / shared} is being written by process {running.pid} on "
    assert str(caught.value).startswith(said)
    assert " since " in str(caught.value)
    assert left(tmp_path) == ["o.tif.part", "o.tif.part.json", "u.tif.part", "u.tif.part.json"]
    running.begun.close()
    running.join()
    assert running.exitcode == 0
    assert left(tmp_path) == ["o.tif", "u.tif"]
    run(inputs, tmp_path / "straight.tif")
    assert np.array_equal(read(tmp_path / "o.tif"), read(tmp_path / "straight.tif"))


def test_other_outputs_in_the_folder_may_be_written_meanwhile(running, inputs, tmp_path):
    run(inputs, tmp_path / "p.tif", tmp_path / "q.tif")
    assert {"p.tif", "q.tif"} <= set(left(tmp_path))


def test_the_lock_of_a_killed_run_is_free(running, inputs, tmp_path):
    running.kill()
    running.join()
    assert run(inputs, tmp_path / "o.tif", tmp_path / "u.tif", resume=True) == ["resumed"]
    assert left(tmp_path) == ["o.tif", "u.tif"]


def test_two_runs_in_one_process_lock_each_other_out(inputs, tmp_path):
    class Second(Interpolate):
        def fuse(self, block, progress=None):
            with pytest.raises(RasterError, match=rf"is being written by process {os.getpid()} "):
                run(inputs, tmp_path / "o.tif")
            return super().fuse(block, progress)

    run(inputs, tmp_path / "o.tif", engine=Second())
    assert left(tmp_path) == ["o.tif"]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("resume", [False, True])
def test_a_foreign_file_with_the_name_of_a_working_file_is_named_and_kept(inputs, tmp_path, end, resume):
    foreign = tmp_path / f"u.tif{end}"
    foreign.write_bytes(b'{"a": "file of another program"}')
    with pytest.raises(RasterError, match=rf"u\.tif{end} is a file that SSDiff has not made: move it away, or choose"):
        run(inputs, tmp_path / "o.tif", tmp_path / "u.tif", resume=resume)
    assert foreign.read_bytes() == b'{"a": "file of another program"}'
    assert left(tmp_path) == [foreign.name]


@posix
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("kind", ["dangling", "link", "pipe", "folder"])
@pytest.mark.parametrize("journal", [False, True])
def test_what_is_no_regular_file_is_neither_followed_nor_removed(inputs, tmp_path, end, kind, journal):
    if journal:
        with pytest.raises(KeyboardInterrupt):
            run(inputs, tmp_path / "o.tif", engine=Ending(3, KeyboardInterrupt()))
    strange, victim = tmp_path / f"o.tif{end}", tmp_path / "victim"
    strange.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(strange)
    elif kind == "folder":
        strange.mkdir()
    else:
        strange.symlink_to(victim)
    if kind == "link":
        victim.write_text("precious")
    with pytest.raises(
        RasterError, match=f"{end} is a {'link' if 'n' in kind and kind != 'folder' else kind} that SSDiff"
    ):
        run(inputs, tmp_path / "o.tif", resume=True)
    assert os.path.lexists(strange)
    assert victim.exists() == (kind == "link")
    assert not victim.exists() or victim.read_text() == "precious"


HOSTILE = {
    "nothing": "",
    "no run": "{}\n",
    "no files": '{"key": "?"}\n',
    "wrong heads": '{"key": "?", "run": "1", "files": [{"final": false, "head": "zz"}]}\n',
    "deep": "[" * 100_000 + "\n",
    "wrong blocks": '[1]\n[1, 2]\n[[], []]\n{"pid": []}\nnull\n',
    "binary": "\0\xff" * 1000,
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_damaged_journal_starts_the_run_again(inputs, tmp_path, content):
    with pytest.raises(KeyboardInterrupt):
        run(inputs, tmp_path / "o.tif", engine=Ending(3, KeyboardInterrupt()))
    journal = tmp_path / "o.tif.part.json"
    mark = journal.read_text().splitlines()[0]
    journal.write_text(f"{mark}\n{content}", encoding="utf-8")
    assert run(inputs, tmp_path / "o.tif", resume=True) == ["leftovers_of_other_run_removed"]
    assert left(tmp_path) == ["o.tif"]


def test_an_uncertainty_that_another_run_has_taken_meanwhile_is_not_mixed_in(inputs, tmp_path):
    for out in ("o.tif", "p.tif"):  # the second removes the working file of the first run's uncertainty
        with pytest.raises(KeyboardInterrupt):
            run(inputs, tmp_path / out, tmp_path / "u.tif", engine=Ending(3, KeyboardInterrupt()))
    counting = Ending(1000)
    said = run(inputs, tmp_path / "o.tif", tmp_path / "u.tif", engine=counting, resume=True)
    assert (1000 - counting.left, said) == (25, ["leftovers_of_other_run_removed"])


def test_a_run_killed_before_it_marked_its_journal_leaves_the_way_free(inputs, tmp_path):
    (tmp_path / "o.tif.part.json").write_bytes(b"")
    run(inputs, tmp_path / "o.tif")
    assert left(tmp_path) == ["o.tif"]


def test_blocks_are_found_again_after_an_incomplete_line(inputs, tmp_path):
    journal = tmp_path / "o.tif.part.json"
    with pytest.raises(KeyboardInterrupt):
        run(inputs, tmp_path / "o.tif", engine=Ending(7, KeyboardInterrupt()))
    done = sum(line.startswith("[") for line in journal.read_text().splitlines())
    with open(journal, "a") as file:
        file.write("[3, [[1")
    with pytest.raises(KeyboardInterrupt):
        run(inputs, tmp_path / "o.tif", engine=Ending(5, KeyboardInterrupt()), resume=True)
    counting = Ending(1000)
    run(inputs, tmp_path / "o.tif", engine=counting, resume=True)
    assert 1000 - counting.left <= 25 - done - 3  # at most two blocks of the second run were not yet recorded
