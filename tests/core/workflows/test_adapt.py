"""Adapting weights to real files: only better weights are kept, runs can be resumed, and pansharpening uses them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from adapting import base_weights, pair_of_files, short_runs
from files import read, write
from osgeo import gdal
from pythons import python_that
from waiting import HANG_SECONDS, wait_until

from ssdiff_core.adaptation import adapt, native_check, scene_source
from ssdiff_core.cli.main import main
from ssdiff_core.common.errors import Cancelled, ConfigError, GeometryError
from ssdiff_core.domain.options import AdaptOptions
from ssdiff_core.inprocess.backend import LocalBackend
from ssdiff_core.model import checkpoint
from ssdiff_core.model.ssnet import BRANCHES, state_of
from ssdiff_core.weights import catalogue
from ssdiff_core.weights.card import read_card
from ssdiff_core.worker.client.backend import WorkerBackend
from ssdiff_core.worker.client.engine import Worker
from ssdiff_core.workflows import adapt as adaptation

ROOT = Path(__file__).parents[3]
STEPS = 16


def quiet(n):
    return lambda share: None


def adapted(pairs, out, base, said=None, backend=None, **options):
    options = {"base": str(base), "steps": STEPS, "device": "cpu", "sensor": "gf2", **options}
    notify = said.append if said is not None else lambda text: None
    return adaptation.adapt(pairs, out, AdaptOptions(**options), notify, quiet, backend or LocalBackend())


@pytest.fixture(scope="module", autouse=True)
def short():
    """Like adapting.short_runs, for this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adapt, "EVALUATIONS", 4)
        patch.setattr(scene_source, "MINIMUM_POOL", 16)
        yield


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return pair_of_files(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return base_weights(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def made(tmp_path_factory, scene, base):
    """Weights adapted to the scene, the notices and the progress."""
    said, shares = [], []
    out = tmp_path_factory.mktemp("made") / "own.safetensors"
    wishes = AdaptOptions(base=str(base), steps=STEPS, device="cpu", sensor="gf2")
    return adaptation.adapt([scene], out, wishes, said.append, lambda n: shares.append, LocalBackend()), said, shares


def test_adapted_weights_are_better_on_held_out_parts_and_record_how_they_were_made(made, scene, base):
    found, said, shares = made
    card = read_card(found.path)
    assert (card.id, card.sensor, card.licence) == ("own", "gf2", "CC0")
    assert card.bands == ("blue", "green", "red", "nir")
    scores = {"before": found.before, "after": found.after, "classical": found.classical}
    assert card.scores["held out"] == scores
    assert set(card.scores["native"]["after"]) == {"HQNR", "D_rho"}
    assert {"gsa", "bt-h", "mtf-glp-fs"} < set(found.classical)
    assert all(found.after[score] < found.before[score] for score in ("ERGAS", "SAM"))
    told = card.training
    assert told["base"] == "base"
    assert told["base_sha256"] == checkpoint.load(base).sha256
    assert told["scenes"] == ["pan.tif"]
    assert 0 < told["steps"] <= STEPS
    assert told["seconds"] >= 0
    assert any(re.search(r"held-out error 0\.\d+, ERGAS \d", str(line)) for line in said)
    assert shares == sorted(shares)
    assert shares[-1] > 0.9
    assert [path.name for path in found.path.parent.iterdir()] == ["own.safetensors"]


def test_branch_wise_training_leaves_shared_layers_bit_identical(made, base):
    before, after = state_of(checkpoint.load(base).net), state_of(checkpoint.load(made[0].path).net)
    of_branches = "|".join(BRANCHES.values())
    shared = {name for name in before if not re.match(of_branches, name) and "stem.norm" not in name}
    assert len(shared) > 20
    assert all(torch.equal(before[name], after[name]) for name in shared)
    learnt = [name for name in before if re.match(of_branches, name) and not torch.equal(before[name], after[name])]
    assert len(learnt) > 20


def test_pansharpening_finds_adapted_weights_by_their_id(tmp_path, monkeypatch, scene, base, capsys):
    monkeypatch.setenv("SSDIFF_CACHE", str(tmp_path / "cache"))
    command = ["adapt", *map(str, scene), "-o", "my-town", "--base", str(base), "--device", "cpu"]
    assert main([*command, "--steps", str(STEPS), "--sensor", "gf2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["id"] == "my-town"
    assert Path(told["path"]) == tmp_path / "cache" / "weights" / "my-town.safetensors"
    assert "my-town" in [entry.id for entry in catalogue.known()]
    fused = []
    for name in (str(base), "my-town", told["path"]):
        out = tmp_path / "fused.tif"
        words = ["pansharpen", *map(str, scene), str(out), "--weights", name, "--sensor", "gf2", "--align", "warn"]
        assert main(words) == 0
        fused.append(read(out).astype(float))
    assert "the shift is corrected" in capsys.readouterr().err
    np.testing.assert_array_equal(fused[1], fused[2])
    assert np.abs(fused[0] - fused[1]).mean() > 1


def test_worse_weights_are_not_written(tmp_path, monkeypatch, scene, base):
    monkeypatch.setitem(adapt.LEARNING_RATES, "full", 0.3)  # far too fast to learn anything
    said = []
    found = adapted([scene], tmp_path / "worse.safetensors", base, said, mode="full", steps=4)
    assert (found.id, found.path, found.after) == ("base", None, found.before)
    assert said[-1].kind in ("adapting_no_gain", "adapting_lost_native")
    assert said[-1].values["best"] == "weights base"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["own.safetensors.best", "own.ckpt", "own.ckpt.part"])
def test_files_of_other_programs_are_kept(tmp_path, scene, base, name):
    (tmp_path / name).write_text("of another program")
    with pytest.raises(ConfigError, match=f"{name} is a file that SSDiff has not made"):
        adapted([scene], tmp_path / "own.safetensors", base)
    assert (tmp_path / name).read_text() == "of another program"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_weights_do_not_replace_their_base(tmp_path, scene):
    base = base_weights(tmp_path)
    with pytest.raises(ConfigError, match="is one of the inputs"):
        adapted([scene], base, base, id="own")


def test_a_negligible_gain_is_not_written(tmp_path, monkeypatch, scene, base):
    monkeypatch.setitem(adapt.LEARNING_RATES, "lbaf", 1e-7)
    assert adapted([scene], tmp_path / "same.safetensors", base, steps=4).path is None


def test_weights_that_lose_at_native_resolution_are_not_written(tmp_path, monkeypatch, scene, base):
    monkeypatch.setattr(native_check.NativeCheck, "target", lambda check, images: images)
    monkeypatch.setitem(native_check.TOLERANCE, "HQNR", -1.0)  # as if it had to grow by one
    said = []
    assert adapted([scene], tmp_path / "own.safetensors", base, said).path is None
    assert len([notice for notice in said if notice.kind == "mixture_scored"]) > 1
    assert said[-1].kind == "adapting_lost_native"
    assert not list(tmp_path.iterdir())


def test_a_resumed_run_ends_with_the_same_weights(tmp_path, monkeypatch, scene, base, made):
    monkeypatch.setattr(adapt, "CHECKPOINT_INTERVAL", 0.0)
    out, said, count = tmp_path / "own.safetensors", [], 0

    def stop(share):
        nonlocal count
        count += 1
        if count in (5, 12):
            raise KeyboardInterrupt

    options = AdaptOptions(base=str(base), steps=STEPS, device="cpu", sensor="gf2")
    kept = []
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt, match="interrupted"):
            adaptation.adapt([scene], out, options, said.append, lambda n: stop, LocalBackend())
        kept.append(out.exists() and read_card(out).scores["held out"]["after"]["ERGAS"])
    assert kept[-1]
    assert kept[-1] < made[0].before["ERGAS"]
    found = adaptation.adapt([scene], out, options, said.append, lambda n: stop, LocalBackend())
    assert [notice.kind for notice in said].count("adapting_resumed") == 2
    assert found.after == made[0].after
    one, other = (state_of(checkpoint.load(path).net) for path in (out, made[0].path))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert [path.name for path in tmp_path.iterdir()] == ["own.safetensors"]


def test_a_checkpoint_of_other_options_is_not_resumed(tmp_path, monkeypatch, scene, base):
    monkeypatch.setattr(adapt, "CHECKPOINT_INTERVAL", 0.0)
    out, said = tmp_path / "own.safetensors", []

    def stop(share):
        if share > 0.5:
            raise KeyboardInterrupt

    options = {"base": str(base), "device": "cpu", "sensor": "gf2"}
    with pytest.raises(KeyboardInterrupt):
        adaptation.adapt(
            [scene], out, AdaptOptions(**options, steps=STEPS), said.append, lambda n: stop, LocalBackend()
        )
    assert out.with_suffix(".ckpt").exists()
    with pytest.raises(KeyboardInterrupt):
        adaptation.adapt(
            [scene], out, AdaptOptions(**options, steps=STEPS, seed=2), said.append, lambda n: stop, LocalBackend()
        )
    assert "adapting_resumed" not in [notice.kind for notice in said]


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_keeps_the_best_weights_so_far(tmp_path, scene, base):
    out = tmp_path / "own.safetensors"
    words = ["adapt", *map(str, scene), "-o", str(out), "--base", str(base), "--steps", "640", "--sensor", "gf2"]
    run = subprocess.Popen(
        [sys.executable, "-m", "ssdiff_core", *words, "--device", "cpu"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    working = out.with_name("own.safetensors.best")
    wait_until(lambda: working.exists() or run.poll() is not None, "the first weights that are worth keeping")
    run.send_signal(signal.SIGINT)
    said = run.communicate(timeout=HANG_SECONDS)[1]
    assert run.returncode == 130
    assert f"the best weights so far are in {out}" in said
    scores = read_card(out).scores["held out"]
    assert scores["after"]["ERGAS"] < scores["before"]["ERGAS"]


# --- other bands, ratios, archives -----------------------------------------------------------------------------------


def test_weights_for_four_bands_are_adapted_to_six(tmp_path, base):
    six = pair_of_files(tmp_path / "six", count=6)
    found = adapted([six], tmp_path / "six.safetensors", base, sensor="general")
    assert found.path, found
    card = read_card(found.path)
    assert len(card.bands) == card.arch.bands == 6


def test_a_single_band_is_judged_by_ergas_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(adapt, "EVALUATIONS", 8)
    grey = pair_of_files(tmp_path / "grey", count=1)
    alone = base_weights(tmp_path, count=1, wavelengths=(550.0,))
    said = []
    found = adapted([grey], tmp_path / "grey.safetensors", alone, said, sensor="general")
    errors = [
        float(error) for error in re.findall(r"Stage \d, step \d+: held-out error ([\d.]+)", "\n".join(map(str, said)))
    ]
    assert len(errors) > 4
    assert min(errors) > 0.5
    assert found.before["SAM"] == 0
    assert found.path, found
    assert found.after["ERGAS"] < 0.99 * found.before["ERGAS"]


def test_weights_of_another_ratio_are_adapted(tmp_path, base):
    halves = pair_of_files(tmp_path / "two", 120, 144, ratio=2)
    said = []
    found = adapted([halves], tmp_path / "two.safetensors", base, said, sensor="general", steps=60)
    assert "base_of_other_ratio" in [notice.kind for notice in said]
    assert found.path, said
    card = read_card(found.path)
    assert (card.ratio, card.arch.ratio, card.ms_phase) == (2, 2, 0.5)
    assert card.training["mode"] == "full"
    fused = tmp_path / "fused.tif"
    assert main(["pansharpen", *map(str, halves), str(fused), "--weights", str(found.path), "--progress", "none"]) == 0
    assert read(fused).shape == (4, 120, 144)


def test_scenes_of_another_ratio_are_resampled_to_that_of_networks(tmp_path, base):
    thirds = pair_of_files(tmp_path / "three", 240, 300, ratio=3)
    said = []
    adapted([thirds], tmp_path / "three.safetensors", base, said, sensor="general", steps=4)
    assert "ratio_resampled" in [notice.kind for notice in said]


def test_a_constant_scene_is_an_error(tmp_path, scene, base):
    like = gdal.Open(str(scene[1]))
    even = write(tmp_path / "even.tif", np.full_like(like.ReadAsArray(), 7), like.GetGeoTransform())
    with pytest.raises(GeometryError, match="is uniform, so weights cannot be judged on it"):
        adapted([(scene[0], even)], tmp_path / "w.safetensors", base, steps=4)


def test_several_scenes_of_one_sensor_are_learned_from_together(tmp_path, scene, base):
    other, said = pair_of_files(tmp_path / "other", seed=5), []
    found = adapted([scene, other], tmp_path / "both.safetensors", base, said)
    assert read_card(found.path).training["scenes"] == ["pan.tif", "pan.tif"]
    assert any(str(notice).startswith("Training on 2 piece(s), 2 held out") for notice in said)
    three = pair_of_files(tmp_path / "three", count=3)
    with pytest.raises(ConfigError, match="differs in kind"):
        adapted([scene, three], tmp_path / "both.safetensors", base, sensor="general")


@pytest.mark.parametrize(
    ("out", "options", "words"),
    [
        ("general-4", {}, "the id 'general-4' belongs to published weights"),
        ("no/where", {}, "is not a valid id of weights"),
        ("town.tif", {}, r"town\.tif is not a name for weights: give an id, or a file ending in \.safetensors"),
        ("own", {"mode": "magic"}, "unknown mode 'magic'; the modes are auto, full, lbaf, scratch"),
        ("own", {"base": "none"}, "unknown weights 'none'"),
    ],
)
def test_invalid_options_are_one_sentence(scene, base, out, options, words, tmp_path, monkeypatch):
    monkeypatch.setenv("SSDIFF_CACHE", str(tmp_path))
    with pytest.raises(ConfigError, match=words):
        adapted([scene], out, **{"base": base, **options})


# --- in another process ----------------------------------------------------------------------------------------------


def test_the_worker_process_makes_the_same_weights(tmp_path, scene, base, made):
    with Worker(python_that(tmp_path / "python", short_runs(4))) as worker:
        out, said = tmp_path / "own.safetensors", []
        found = adapted([scene], out, base, said, WorkerBackend(worker, said.append))
    assert found.before == made[0].before
    assert any("held-out error" in str(line) for line in said)
    one, other = (state_of(checkpoint.load(path).net) for path in (out, made[0].path))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_best_weights_of_a_cancelled_worker_are_kept(tmp_path, scene, base):
    out = tmp_path / "own.safetensors"
    working = out.with_name("own.safetensors.best")
    with Worker(python_that(tmp_path / "python", short_runs(64))) as worker:
        backend = WorkerBackend(worker, print, cancelled=working.exists)
        with pytest.raises(Cancelled, match="the best weights so far are in"):
            adapted([scene], out, base, backend=backend, steps=640)
    assert checkpoint.load(out).card.scores["held out"]["after"]["ERGAS"] > 0
