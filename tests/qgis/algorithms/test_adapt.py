"""The algorithm Adapt weights: outputs, names of weights, cancelling and errors."""

from pathlib import Path

import pytest
from adapting import base_weights, pair_of_files, short_runs
from pythons import python_that

TINY = {"SENSOR": "gf2", "DEVICE": "cpu"}


def arguments(**parameters):
    return ["--", *(f"{name}={value}" for name, value in {**TINY, **parameters}.items())]


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Returns the files of PAN, MS and weights of low quality for them."""
    folder = tmp_path_factory.mktemp("adapt")
    return *pair_of_files(folder / "one"), base_weights(folder)


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """Returns environment variables with which adapting takes seconds."""
    return {"SSDIFF_PYTHON": python_that(tmp_path_factory.mktemp("short") / "python", short_runs(4))}


@pytest.fixture(scope="module")
def adapted(scene, outputs, short, tmp_path_factory):
    """Adapts weights to two scenes; returns the outputs and the cache folder."""
    (pan, ms, base), cache = scene, tmp_path_factory.mktemp("cache")
    more_pan, more_ms = pair_of_files(cache / "two", seed=3)
    more = {"MORE_SPECTRAL": more_ms, "MORE_PANCHROMATIC": more_pan}
    options = {"SPECTRAL": ms, "PANCHROMATIC": pan, "ID": "my-town", "BASE": base, "STEPS": 16}
    return outputs("adapt", *arguments(**options, **more), SSDIFF_CACHE=cache, **short), cache


def test_adapting_returns_weights_and_better_scores(adapted):
    found, cache = adapted
    assert found["WEIGHTS"] == "my-town"
    assert found["ERGAS_AFTER"] < found["ERGAS_BEFORE"]
    assert found["SAM_AFTER"] < found["SAM_BEFORE"]
    assert Path(found["OUTPUT"]) == cache / "weights" / "my-town.safetensors"


def test_pansharpen_finds_the_weights_by_name(adapted, scene, outputs, tmp_path):
    pan, ms, _ = scene
    options = {"SPECTRAL": ms, "PANCHROMATIC": pan, "WEIGHTS": "my-town", "OUTPUT": tmp_path / "fused.tif"}
    assert outputs("pansharpen", *arguments(**options), SSDIFF_CACHE=adapted[1])["USED"] == "my-town"


def test_weights_can_be_written_to_a_given_file(scene, outputs, short, tmp_path):
    pan, ms, base = scene
    out = tmp_path / "own.safetensors"
    found = outputs("adapt", *arguments(SPECTRAL=ms, PANCHROMATIC=pan, BASE=base, STEPS=16, OUTPUT=out), **short)
    assert (found["WEIGHTS"], found["OUTPUT"]) == (str(out), str(out))


def test_cancelling_keeps_the_best_weights_so_far(scene, in_qgis, tmp_path):
    pan, ms, base = map(str, scene)
    python = python_that(tmp_path / "python", short_runs(64))
    code = f"""
from pathlib import Path
from qgis.core import QgsProcessingContext, QgsProcessingFeedback
import ssdiff
class CancelsEarly(QgsProcessingFeedback):
    shares = []
    def isCanceled(self):
        return Path({str(tmp_path)!r}, "weights", "own.safetensors.best").exists()
    def setProgress(self, percent):
        self.shares.append(percent)
plugin = ssdiff.classFactory(None)
plugin.initProcessing()
adapt = QgsApplication.processingRegistry().algorithmById("ssdiff:adapt").create()
feedback = CancelsEarly()
options = {{"SPECTRAL": {ms!r}, "PANCHROMATIC": {pan!r}, "BASE": {base!r}, "ID": "own", "STEPS": 640}}
results, succeeded = adapt.run({{**options, **{TINY!r}}}, QgsProcessingContext(), feedback)
answer = [succeeded, results, feedback.textLog(), max(feedback.shares), "torch" in sys.modules]
"""
    succeeded, results, log, share, torch = in_qgis(code, SSDIFF_CACHE=tmp_path, SSDIFF_PYTHON=python)
    assert (succeeded, results, torch) == (True, {}, False)
    assert 0 < share < 50
    assert f"the best weights so far are in {tmp_path / 'weights' / 'own.safetensors'}" in log
    assert (tmp_path / "weights" / "own.safetensors").exists()


def test_lists_of_different_lengths_are_an_error(scene, qgis_process):
    pan, ms, _ = scene
    done = qgis_process("run", "ssdiff:adapt", *arguments(SPECTRAL=ms, PANCHROMATIC=pan, MORE_SPECTRAL=ms))
    assert done.returncode
    assert "as many additional multispectral as panchromatic layers, not 1 and 0" in done.stdout + done.stderr


def test_a_scene_that_is_too_small_is_an_error(outputs, qgis_process, tmp_path):
    pan, ms = pair_of_files(tmp_path / "small", 160, 160)
    done = qgis_process("run", "ssdiff:adapt", *arguments(SPECTRAL=ms, PANCHROMATIC=pan))
    assert done.returncode
    assert "the scene is too small" in done.stdout + done.stderr
