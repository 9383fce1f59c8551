"""Adapting weights in QGIS: the same as on the command line, and Pansharpen finds them by name."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from test_adapt import base_weights, pair_of_files


@pytest.fixture(scope="module")
def made(tmp_path_factory, qgis_process):
    """What comes of adapting to two scenes, and where the weights are kept."""
    folder = tmp_path_factory.mktemp("adapt")
    (pan, ms), (more_pan, more_ms) = pair_of_files(folder / "one"), pair_of_files(folder / "two", seed=3)
    inputs = {"SPECTRAL": ms, "PANCHROMATIC": pan, "MORE_SPECTRAL": more_ms, "MORE_PANCHROMATIC": more_pan}
    wishes = {"ID": "my-town", "BASE": base_weights(folder), "STEPS": 16, "SENSOR": "gf2", "DEVICE": "cpu"}
    found = run(qgis_process, "adapt", folder / "cache", **inputs, **wishes)
    return found, folder / "cache", pan, ms


def run(qgis_process, algorithm, cache, **parameters):
    words = [f"{name}={value}" for name, value in parameters.items()]
    done = qgis_process("run", f"ssdiff:{algorithm}", "--json", "--", *words, SSDIFF_CACHE=cache)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["results"]


def test_weights_come_of_it_with_their_scores(made):
    found, cache, *_ = made
    assert found["WEIGHTS"] == "my-town"
    assert found["ERGAS_AFTER"] < found["ERGAS_BEFORE"]
    assert found["SAM_AFTER"] < found["SAM_BEFORE"]
    assert Path(found["OUTPUT"]) == cache / "weights" / "my-town.safetensors"


def test_pansharpen_finds_them_by_name(made, qgis_process, tmp_path):
    _, cache, pan, ms = made
    fused = run(
        qgis_process,
        "pansharpen",
        cache,
        SPECTRAL=ms,
        PANCHROMATIC=pan,
        WEIGHTS="my-town",
        SENSOR="gf2",
        DEVICE="cpu",
        OUTPUT=tmp_path / "fused.tif",
    )
    assert fused["USED"] == "my-town"


def test_lists_that_do_not_match_are_told(made, qgis_process):
    _, cache, pan, ms = made
    done = qgis_process(
        *("run", "ssdiff:adapt", "--", f"SPECTRAL={ms}", f"PANCHROMATIC={pan}", f"MORE_SPECTRAL={ms}", "ID=other"),
        SSDIFF_CACHE=cache,
    )
    assert done.returncode
    assert "There are 1 more multispectral layers and 0 more panchromatic ones" in done.stdout + done.stderr
