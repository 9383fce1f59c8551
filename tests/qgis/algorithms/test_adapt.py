"""Adapting weights in QGIS: the same as on the command line, and Pansharpen finds them by name."""

from pathlib import Path

import pytest
from adapting import base_weights, pair_of_files

TINY = {"SENSOR": "gf2", "DEVICE": "cpu"}


def words(**parameters):
    return ["--", *(f"{name}={value}" for name, value in {**TINY, **parameters}.items())]


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """PAN, MS and weights that answer badly there."""
    folder = tmp_path_factory.mktemp("adapt")
    return *pair_of_files(folder / "one"), base_weights(folder)


@pytest.fixture(scope="module")
def made(scene, outputs, tmp_path_factory):
    """What comes of adapting to two scenes, and where the weights are kept."""
    (pan, ms, base), cache = scene, tmp_path_factory.mktemp("cache")
    more_pan, more_ms = pair_of_files(cache / "two", seed=3)
    more = {"MORE_SPECTRAL": more_ms, "MORE_PANCHROMATIC": more_pan}
    wishes = {"SPECTRAL": ms, "PANCHROMATIC": pan, "ID": "my-town", "BASE": base, "STEPS": 16}
    return outputs("adapt", *words(**wishes, **more), SSDIFF_CACHE=cache), cache


def test_weights_come_of_it_with_their_scores(made):
    found, cache = made
    assert found["WEIGHTS"] == "my-town"
    assert found["ERGAS_AFTER"] < found["ERGAS_BEFORE"]
    assert found["SAM_AFTER"] < found["SAM_BEFORE"]
    assert Path(found["OUTPUT"]) == cache / "weights" / "my-town.safetensors"


def test_pansharpen_finds_them_by_name(made, scene, outputs, tmp_path):
    pan, ms, _ = scene
    wishes = {"SPECTRAL": ms, "PANCHROMATIC": pan, "WEIGHTS": "my-town", "OUTPUT": tmp_path / "fused.tif"}
    assert outputs("pansharpen", *words(**wishes), SSDIFF_CACHE=made[1])["USED"] == "my-town"


def test_a_file_of_ones_own_is_what_pansharpen_takes_then(scene, outputs, tmp_path):
    pan, ms, base = scene
    out = tmp_path / "own.safetensors"
    found = outputs("adapt", *words(SPECTRAL=ms, PANCHROMATIC=pan, BASE=base, STEPS=16, OUTPUT=out))
    assert (found["WEIGHTS"], found["OUTPUT"]) == (str(out), str(out))


def test_cancelled_it_keeps_the_best_so_far(scene, in_qgis, tmp_path):
    pan, ms, base = map(str, scene)
    code = f"""
from pathlib import Path
from qgis.core import QgsProcessingContext, QgsProcessingFeedback
import ssdiff
class Impatient(QgsProcessingFeedback):
    shares = []
    def isCanceled(self):
        return Path({str(tmp_path)!r}, "weights", "own.safetensors.best").exists()
    def setProgress(self, percent):
        self.shares.append(percent)
plugin = ssdiff.classFactory(None)
plugin.initProcessing()
adapt = QgsApplication.processingRegistry().algorithmById("ssdiff:adapt").create()
feedback = Impatient()
wishes = {{"SPECTRAL": {ms!r}, "PANCHROMATIC": {pan!r}, "BASE": {base!r}, "ID": "own", "STEPS": 1600, "MODE": "full"}}
results, fine = adapt.run({{**wishes, **{TINY!r}}}, QgsProcessingContext(), feedback)
answer = [fine, results, feedback.textLog(), max(feedback.shares), "torch" in sys.modules]
"""
    fine, results, log, share, torch = in_qgis(code, SSDIFF_CACHE=tmp_path)
    assert (fine, results, torch) == (True, {}, False)
    assert 0 < share < 50
    assert f"the best so far is in {tmp_path / 'weights' / 'own.safetensors'}" in log
    assert (tmp_path / "weights" / "own.safetensors").exists()


def test_lists_that_do_not_match_are_told(scene, qgis_process):
    pan, ms, _ = scene
    done = qgis_process("run", "ssdiff:adapt", *words(SPECTRAL=ms, PANCHROMATIC=pan, MORE_SPECTRAL=ms))
    assert done.returncode
    assert "There are 1 more multispectral layers and 0 more panchromatic ones" in done.stdout + done.stderr


def test_a_scene_too_small_to_adapt_to_is_told_so(outputs, qgis_process, tmp_path):
    pan, ms = pair_of_files(tmp_path / "small", 160, 160)
    done = qgis_process("run", "ssdiff:adapt", *words(SPECTRAL=ms, PANCHROMATIC=pan))
    assert done.returncode
    assert "the scene is too small for adapting" in done.stdout + done.stderr
