"""The files of a run that makes weights: one run at a time, and no file of another program is touched."""

import multiprocessing
import os
import zipfile

import pytest
from adapting import base_weights

from ssdiff_core.common.errors import ConfigError
from ssdiff_core.weights.output_files import WeightsOutput

posix = pytest.mark.skipif(os.name == "nt", reason="links and pipes")
ENDS = (".safetensors.best", ".ckpt", ".ckpt.part", ".csv")


@pytest.fixture
def output(tmp_path):
    return WeightsOutput(tmp_path / "own.safetensors")


def claim(output, logs=False, inputs=()):
    with output.claimed(inputs, logs):
        pass


def _hold(output, connection):
    with output.claimed():
        connection.send("holding")
        connection.recv()


def test_a_second_run_onto_an_output_is_refused_until_the_first_ends_however_it_ends(output, tmp_path):
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_hold, args=(output, there))
    process.start()
    try:
        assert here.recv() == "holding"
        with pytest.raises(ConfigError, match=r"own\.safetensors is being written by another run"):
            claim(output)
        claim(WeightsOutput(tmp_path / "other.safetensors"))
    finally:
        process.kill()
        process.join()
    claim(output)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("end", ENDS)
def test_a_foreign_file_with_the_name_of_a_working_file_is_named_and_kept(output, tmp_path, end):
    foreign = tmp_path / f"own{end}"
    foreign.write_bytes(b"a file of another program")
    with pytest.raises(ConfigError, match=f"own{end} is a file that SSDiff has not made: move it away"):
        claim(output, logs=end == ".csv")
    assert foreign.read_bytes() == b"a file of another program"
    assert list(tmp_path.iterdir()) == [foreign]


def test_an_archive_of_the_user_is_no_checkpoint(output, tmp_path):
    with zipfile.ZipFile(tmp_path / "own.ckpt", "w") as file:
        file.writestr("photos/1.jpg", b"x")
    with pytest.raises(ConfigError, match=r"own\.ckpt is a file that SSDiff has not made"):
        claim(output)


@posix
@pytest.mark.parametrize("end", [*ENDS, ".events", ".safetensors.lock"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_is_no_regular_file_is_neither_followed_nor_removed(output, tmp_path, end, kind):
    strange, victim = tmp_path / f"own{end}", tmp_path / "victim"
    if kind == "pipe":
        os.mkfifo(strange)
    else:
        strange.symlink_to(victim)
    with pytest.raises(ConfigError, match=f"is a {kind}"):
        claim(output, logs=end in (".csv", ".events"))
    assert os.path.lexists(strange)
    assert not victim.exists()


def test_a_lock_with_content_is_kept(output, tmp_path):
    (tmp_path / "own.safetensors.lock").write_text("of another program")
    with pytest.raises(ConfigError, match="that SSDiff has not made"):
        claim(output)
    assert (tmp_path / "own.safetensors.lock").read_text() == "of another program"


def test_no_file_of_a_run_is_one_of_its_inputs(output, tmp_path):
    base = base_weights(tmp_path)
    for name in (output.path, output.best, output.checkpoint):
        os.link(base, name)
        with pytest.raises(ConfigError, match="is one of the inputs"):
            claim(output, inputs=[base])
        name.unlink()


def test_what_a_run_has_left_is_used_again(output):
    output.partial_checkpoint.write_bytes(b"PK\3\4 the beginning of a checkpoint")
    with zipfile.ZipFile(output.checkpoint, "w") as file:
        file.writestr("own/data.pkl", b"x")
    output.log.write_text("stage,step,samples,error\n0,4,8,0.5\n")
    claim(output, logs=True)
