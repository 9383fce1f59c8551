"""The time of a run is told before it starts, from what earlier runs took."""

from dataclasses import replace

import pytest
from adapting import TINY_ON_PATCHES, base_weights, pair_of_files
from command import ssdiff
from files import sample_files
from osgeo import gdal

from ssdiff_core.domain.options import PRESETS, PansharpenOptions, with_preset
from ssdiff_core.workflows import estimate, speeds
from ssdiff_core.workflows.estimate import Run, estimate_run, fusing, record_run
from ssdiff_core.workflows.speeds import Device

CPU = Device("cpu")


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return sample_files(tmp_path_factory.mktemp("pair"), 160)[:2]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SSDIFF_CACHE", str(tmp_path / "cache"))


def estimated(pair, **options):
    return estimate.estimate(*pair, PansharpenOptions(**options))


def test_the_first_line_of_a_run_tells_time_weights_device_and_what_is_faster(pair, cache, tmp_path):
    said = ssdiff("pansharpen", *pair, tmp_path / "o.tif", "--preset", "fast").stderr.splitlines()
    assert said[0].startswith("ssdiff: Estimated time: ")
    for part in ("general-4-patches", f"{speeds.processors()} x CPU", "classical MTF-GLP-FS: "):
        assert part in said[0]


def test_the_classical_method_is_offered_only_if_it_is_faster(pair, cache):
    found = estimated(pair)
    told = {seconds: str(replace(found, seconds=20.0, classical=seconds).notice) for seconds in (4.0, 20.0, 30.0)}
    assert ["; classical MTF-GLP-FS: 4 s" in text for text in told.values()] == [True, False, False]
    assert ["classical" in text for text in told.values()] == [True, False, False]


def test_a_classical_run_tells_its_method(pair, cache, tmp_path):
    said = ssdiff("pansharpen", *pair, tmp_path / "o.tif", "--method", "gsa").stderr.splitlines()
    assert said[0].startswith("ssdiff: Estimated time: ")
    assert said[0].endswith("with GSA")


def test_measured_runs_change_the_estimate(pair, cache):
    scene, sensor = estimate.open_pair(*pair, PansharpenOptions(), print)
    run = Run(replace(scene, window=scene.window.grow(9000)), sensor, PansharpenOptions(method="exp"), CPU)
    work = fusing(run)[1]
    before = estimate_run(run)
    record_run(run, before=0.5, fused=work / 1e6, adapted=None)
    after = estimate_run(run)
    assert (before.measured, after.measured) == (False, True)
    assert after.seconds == pytest.approx(0.5 + work / 1e6, rel=0.2)


def test_small_runs_tell_of_the_preparation_alone(pair, cache):
    scene, sensor = estimate.open_pair(*pair, PansharpenOptions(), print)
    for _ in range(9):
        record_run(Run(scene, sensor, PansharpenOptions(method="exp"), CPU), before=2, fused=3, adapted=None)
    assert not estimated(pair, method="exp").measured
    assert estimated(pair, method="exp").seconds == pytest.approx(5, rel=0.25)


def test_work_grows_with_samples_steps_and_groups_of_bands(pair, cache):
    scene, sensor = estimate.open_pair(*pair, PansharpenOptions(), print)
    path = estimate.catalogue.selected("general-4-patches", sensor.id, 4, 4).path

    def work(of=scene, **options):
        return fusing(Run(of, sensor, PansharpenOptions(**options), CPU, path))[1]

    assert work() == 160 * 160
    assert work(samples=4, steps=2) == 8 * work()
    assert work(uncertainty="spread.tif") == 8 * work()
    assert work(replace(scene, ms=scene.ms * 2)) == 2 * work()


def test_adapting_is_part_of_the_estimate_until_it_is_kept(cache, tmp_path):
    scene = pair_of_files(tmp_path, height=256, width=320)
    weights = base_weights(tmp_path, off=0.5, net=TINY_ON_PATCHES)
    options = {"weights": str(weights), "adapt": "2", "sensor": "gf2"}
    before = estimated(scene, **options)
    assert before.adapting > 0
    assert not before.adapted
    said = ssdiff("pansharpen", *scene, tmp_path / "o.tif", *(f"--{name}={value}" for name, value in options.items()))
    assert "of which adapting to the scene takes" in said.stderr.splitlines()[0]
    after = estimated(scene, **options)
    assert after.adapted
    assert after.adapting == 0
    assert "adapted to this scene before" in str(after.notice)
    assert estimated(scene, **{**options, "adapt": "none"}).adapted is False


def test_each_preset_has_an_estimate_and_best_takes_longest(pair, cache):
    found = estimate.estimate_presets(*pair)
    assert set(found) == set(PRESETS)
    assert max(found, key=lambda preset: found[preset].seconds) == "best"
    assert found["classical"].method == "mtf-glp-fs"
    assert found["classical"].weights == ""
    assert found["fast"].weights == "general-4-patches"


@pytest.mark.parametrize("preset", PRESETS)
def test_given_options_win_over_a_preset(preset):
    given = {"method": "ssdiff", "samples": 3, "steps": 2, "adapt": "auto", "weights": "general-4"}
    assert with_preset(preset, given) == given


def test_an_uncertainty_draws_its_samples_with_every_preset():
    assert "samples" not in with_preset("fast", {"uncertainty": "spread.tif"})


def test_the_command_takes_options_of_a_preset(pair, cache, tmp_path):
    ssdiff("pansharpen", *pair, tmp_path / "o.tif", "--preset", "classical", "--method", "exp")
    assert method_of(tmp_path / "o.tif") == "exp"
    ssdiff("pansharpen", *pair, tmp_path / "o.tif", "--preset", "classical")
    assert method_of(tmp_path / "o.tif") == "mtf-glp-fs"


def method_of(path) -> str:
    return gdal.Open(str(path)).GetMetadataItem("SSDIFF_METHOD")
