"""Processes that make samples: the same samples, in the same order, and none of them outlives who asked for them."""

import contextlib
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from recipes import RECIPE, place
from ssdiff_core.cli.main import main
from ssdiff_core.common.errors import ConfigError, WorkerError
from ssdiff_core.inprocess import imagery, sample_processes, train
from ssdiff_core.model import checkpoint
from ssdiff_core.training.recipe import read_recipe
from ssdiff_core.training.simulated_source import MadeUp

ROOT = Path(__file__).parents[3]
ASKS = """
import multiprocessing, sys
from ssdiff_core.inprocess import sample_processes as makers
made = makers.pools(2, [sys.argv[1]], sys.argv[2], 0, 16, 0)
next(made)
print(*(child.pid for child in multiprocessing.active_children()), flush=True)
for pool in made:
    pass
"""


@pytest.fixture
def pack(tmp_path) -> str:
    imagery.write_pack(tmp_path / "pack.npz", [place("here", 1), place("elsewhere", 2)])
    return str(tmp_path / "pack.npz")


def made(pack: str, count: int, first: int, wanted: int) -> list[dict]:
    with contextlib.closing(sample_processes.pools(count, [pack], RECIPE, 0, 16, first)) as pools:
        return list(itertools.islice(pools, wanted))


def test_pools_are_the_same_and_in_order_however_many_make_them(pack):
    three, one = made(pack, 3, 0, 5), made(pack, 1, 2, 3)
    for pool, other in zip(three[2:], one):
        assert pool.keys() == other.keys()
        assert all(np.array_equal(pool[key], other[key]) for key in pool)
    source = MadeUp(imagery.load([pack]), read_recipe(RECIPE))
    for number, pool in enumerate(three):
        here = source.pool(0, 16, number)  # on as many threads as this process has: alike but for the last digits
        assert {key: array.shape for key, array in pool.items()} == {key: value.shape for key, value in here.items()}
        assert np.median(np.abs(here["residual"].numpy() - pool["residual"])) < 1e-5
    assert not multiprocessing.active_children()


def test_training_with_processes_that_make_samples_goes_on_to_the_same_weights(pack, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)
    out, whole = tmp_path / "stopped.safetensors", tmp_path / "whole.safetensors"
    assert not train.train(recipe, [pack], out, print, "cpu", minutes=0, processes=1)
    assert train.train(recipe, [pack], out, print, "cpu", processes=2)
    words = ["train", str(recipe), pack, "-o", str(whole), "--device", "cpu", "--processes", "1"]
    assert main(words) == 0
    one, other = (checkpoint.load(path).net.state_dict() for path in (out, whole))
    assert all(tensor.equal(other[name]) for name, tensor in one.items())


def test_what_hinders_a_process_is_the_sentence_that_it_would_be_here(pack):
    with pytest.raises(ConfigError, match="holds no tile of 128"):
        next(sample_processes.pools(1, [pack], RECIPE, 0, 128, 0))


def test_a_process_that_is_killed_is_one_sentence(pack):
    pools = sample_processes.pools(2, [pack], RECIPE, 0, 16, 0)
    next(pools)
    for child in multiprocessing.active_children():
        child.kill()
    with pytest.raises(WorkerError, match="let --processes be fewer"):
        list(pools)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_processes_end_with_the_one_that_asked(pack, how):
    command = [sys.executable, "-c", ASKS, pack, RECIPE]
    asking = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    children = list(map(int, asking.stdout.readline().split()))
    assert len(children) == 2
    if how == signal.SIGINT:
        os.killpg(asking.pid, how)  # as a Ctrl-C does
    else:
        asking.send_signal(how)
    try:
        said = asking.communicate(timeout=30)[1]
    finally:
        asking.kill()
    assert said.count("Traceback") == (how == signal.SIGINT)
    until = time.monotonic() + 30
    while any(runs(child) for child in children):
        assert time.monotonic() < until
        time.sleep(0.1)


def runs(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True
