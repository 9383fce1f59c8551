"""Processes that simulate samples: the samples do not depend on their number, and they end with their parent."""

import contextlib
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from waiting import HANG_SECONDS, wait_until

from recipes import RECIPE, place
from ssdiff_core.cli.main import main
from ssdiff_core.common.errors import ConfigError, WorkerError
from ssdiff_core.inprocess import imagery, sample_processes, train
from ssdiff_core.model import checkpoint
from ssdiff_core.training.recipe import read_recipe
from ssdiff_core.training.simulated_source import SimulatedSource

ROOT = Path(__file__).parents[3]
PARENT = """
import multiprocessing, sys
from ssdiff_core.inprocess import sample_processes
pools = sample_processes.pools(2, [sys.argv[1]], sys.argv[2], 0, 16, 0)
next(pools)
print(*(child.pid for child in multiprocessing.active_children()), flush=True)
for pool in pools:
    pass
"""


@pytest.fixture
def pack(tmp_path) -> str:
    imagery.write_pack(tmp_path / "pack.npz", [place("here", 1), place("elsewhere", 2)])
    return str(tmp_path / "pack.npz")


def pools_of(pack: str, processes: int, first: int, count: int) -> list[dict]:
    with contextlib.closing(sample_processes.pools(processes, [pack], RECIPE, 0, 16, first)) as pools:
        return list(itertools.islice(pools, count))


def test_the_pools_and_their_order_do_not_depend_on_the_number_of_processes(pack):
    before = set(multiprocessing.active_children())  # of other tests
    two, one = pools_of(pack, 2, 0, 5), pools_of(pack, 1, 2, 3)
    for pool, other in zip(two[2:], one):
        assert pool.keys() == other.keys()
        assert all(np.array_equal(pool[key], other[key]) for key in pool)
    source = SimulatedSource(imagery.load([pack]), read_recipe(RECIPE))
    for number, pool in enumerate(two):
        local = source.pool(0, 16, number)  # computed with several threads, so the last digits differ
        assert {key: array.shape for key, array in pool.items()} == {key: value.shape for key, value in local.items()}
        assert np.median(np.abs(local["residual"].numpy() - pool["residual"])) < 1e-5
    assert set(multiprocessing.active_children()) <= before


def test_training_resumed_with_another_number_of_processes_gives_the_same_weights(pack, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)
    out, whole = tmp_path / "stopped.safetensors", tmp_path / "whole.safetensors"
    assert not train.train(recipe, [pack], out, print, train.TrainOptions("cpu", minutes=0, processes=1))
    assert train.train(recipe, [pack], out, print, train.TrainOptions("cpu", processes=2))
    words = ["train", str(recipe), pack, "-o", str(whole), "--device", "cpu", "--processes", "1"]
    assert main(words) == 0
    one, other = (checkpoint.load(path).net.state_dict() for path in (out, whole))
    assert all(tensor.equal(other[name]) for name, tensor in one.items())


def test_an_error_in_a_process_is_raised_in_the_parent(pack):
    with pytest.raises(ConfigError, match="no place has pictures of 128 pixels"):
        next(sample_processes.pools(1, [pack], RECIPE, 0, 128, 0))


def test_a_killed_process_is_an_error(pack):
    before = set(multiprocessing.active_children())  # of other tests
    pools = sample_processes.pools(1, [pack], RECIPE, 0, 16, 0)
    next(pools)
    (child,) = set(multiprocessing.active_children()) - before
    child.kill()
    with pytest.raises(WorkerError, match="use fewer --processes"):
        list(pools)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_processes_end_with_their_parent(pack, number):
    command = [sys.executable, "-c", PARENT, pack, RECIPE]
    parent = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    children = list(map(int, parent.stdout.readline().split()))
    assert len(children) == 2
    if number == signal.SIGINT:
        os.killpg(parent.pid, number)  # like Ctrl-C
    else:
        parent.send_signal(number)
    try:
        printed = parent.communicate(timeout=HANG_SECONDS)[1]
    finally:
        parent.kill()
    assert printed.count("Traceback") == (number == signal.SIGINT)
    wait_until(lambda: not any(is_running(child) for child in children), "the processes to end")


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
