"""`ssdiff benchmark`: the protocol of papers, from images to the table."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from command import ssdiff
from files import write
from golden import published_state
from image_sets import arrays, write_matlab, write_set

from recipes import set_recipe
from ssdiff_core.classical.engine import ClassicalEngine
from ssdiff_core.domain import sensors
from ssdiff_core.domain.grid import Placement
from ssdiff_core.metrics.arrays import with_reference, without_reference
from ssdiff_core.model import checkpoint
from ssdiff_core.model.diffusion import ddim_sample
from ssdiff_core.raster.image_sets import StoredImages

RECIPE = set_recipe(tile=64, batch=4, sampling_steps=2)


def benchmark(*words) -> list[dict]:
    """Returns the tables of a benchmark with these arguments."""
    return json.loads(ssdiff("benchmark", *words, "--json", "--progress", "none").stdout)["benchmarks"]


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> tuple[Path, Path]:
    """A set at reduced and one at full resolution, of two images each."""
    folder, full = tmp_path_factory.mktemp("sets"), arrays(2, side=64, seed=5)
    del full["gt"]
    reduced = write_set(folder / "test_qb_multiExm1.h5", arrays(2, side=64))
    return reduced, write_matlab(folder / "test_qb_OrigScale_multiExm1.mat", full)


def test_simulated_images_are_trained_on_and_evaluated_with_the_same_digest_each_time(tmp_path):
    rng = np.random.default_rng(0)
    image = np.kron(rng.uniform(20, 200, (4, 32, 32)), np.ones((4, 4))) + rng.normal(0, 4, (4, 128, 128))
    imagery = write(tmp_path / "town.tif", image, (0, 1, 0, 0, 0, -1), names=("blue", "green", "red", "nir"))
    (tmp_path / "recipe.toml").write_text(RECIPE)
    digests = []
    for run in ("first", "second"):
        train, test, weights = (tmp_path / run / name for name in ("train_qb.h5", "test_qb.h5", "tiny.safetensors"))
        train.parent.mkdir()
        simulate = ("simulate", imagery, "--sensor", "qb", "--side", "64")
        ssdiff(*simulate, "-o", train, "--scenes", "8")
        ssdiff(*simulate, "-o", test, "--scenes", "2", "--seed", "2")
        trained = ssdiff("train", tmp_path / "recipe.toml", train, "--validate", test, "-o", weights, "--device", "cpu")
        assert "epoch 2, step 4: held-out error" in trained.stderr
        (table,) = benchmark(test, "--methods", "ssdiff,exp,gsa", "--weights", weights, "--device", "cpu")
        assert [row["method"] for row in table["rows"]] == ["SSDiff (tiny)", "EXP", "GSA"]
        assert table["quoted"] == []
        digests.append(table["digest"])
    assert digests[0] == digests[1]
    (other,) = benchmark(train, "--methods", "ssdiff,exp,gsa", "--weights", weights, "--device", "cpu", "--images", 2)
    assert other["digest"] != digests[0]


def test_the_table_has_the_mean_and_deviation_of_the_measures_of_all_images(sets):
    (table,) = benchmark(*sets, "--methods", "exp,mtf-glp-fs")
    reduced, full = (StoredImages(path).read(0, 2) for path in sets)
    qb, each = sensors.get("qb"), []
    for i in range(2):
        values = with_reference(reduced.lms[i], reduced.truth[i], 4, rounded=True, peak=2047)
        fused = ClassicalEngine("exp", 4, "23tap").fuse(full.block(i, "23tap"))
        values |= without_reference(fused, full.pan[i], full.ms[i], Placement((2, 2), 4.0), qb.mtf, rounded=True)
        each.append(values)
    exp, fitted = table["rows"]
    names = ("SAM", "ERGAS", "Q2n", "SCC", "PSNR", "D_lambda_K", "D_s", "HQNR", "D_lambda", "QNR")
    assert tuple(exp["mean"]) == names
    for name in names:
        values = [one[name] for one in each]
        assert exp["mean"][name] == pytest.approx(np.mean(values), rel=1e-4, abs=1e-5)
        assert exp["std"][name] == pytest.approx(np.std(values, ddof=1), rel=1e-2, abs=1e-5)
    assert fitted["mean"]["ERGAS"] < exp["mean"]["ERGAS"]
    assert [(one["file"], one["image"], one["resolution"]) for one in exp["images"]] == [
        *((sets[0].name, number, "reduced") for number in (1, 2)),
        *((sets[1].name, number, "full") for number in (1, 2)),
    ]
    assert all(one["seconds"] > 0 for one in exp["images"])
    assert set(exp["seconds"]) == {"reduced", "full"}


def test_published_rows_follow_for_pancollections_test_sets_and_are_marked(sets, tmp_path):
    printed = ssdiff("benchmark", sets[0], "--methods", "exp", "--progress", "none").stdout
    assert "SSDiff [1]" in printed
    assert "4.4640±0.7473" in printed
    assert "[1] quoted, not measured here: Zhong et al., SSDiff, NeurIPS 2024 (arXiv 2404.11537), Table 6" in printed
    own = tmp_path / "own_qb.h5"
    own.write_bytes(sets[0].read_bytes())
    assert "quoted" not in ssdiff("benchmark", own, "--methods", "exp", "--progress", "none").stdout
    assert benchmark(own, "--methods", "exp", "--quoted", "always")[0]["quoted"]
    assert not benchmark(sets[0], "--methods", "exp", "--quoted", "never")[0]["quoted"]


def test_the_table_is_written_as_csv_latex_and_html_and_the_time_left_is_told(sets, tmp_path):
    files = {
        name: tmp_path / f"table.{suffix}" for name, suffix in (("csv", "csv"), ("latex", "tex"), ("report", "html"))
    }
    more = [word for name, path in files.items() for word in (f"--{name}", path)]
    done = ssdiff("benchmark", sets[0], "--methods", "exp,gsa", *more, "--progress", "json")
    assert json.loads(done.stderr.splitlines()[-1])["progress"] == 1
    assert "seconds_left" in done.stderr
    with open(files["csv"], newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows][:2] == ["EXP", "GSA"]
    assert rows[0]["source"] == "measured"
    assert float(rows[0]["seconds"]) > 0
    ergas = f"{float(rows[1]['ERGAS']):.4f}"
    assert ergas in files["latex"].read_text(encoding="utf-8")
    assert ergas in files["report"].read_text(encoding="utf-8")
    assert ergas in done.stdout


def test_a_published_checkpoint_is_imported_and_evaluated_like_any_weights(sets, tmp_path):
    torch.save(published_state(4), tmp_path / "published.pt")
    file = tmp_path / "published.safetensors"
    bands = "blue,green,red,nir"
    ssdiff("weights", "import", tmp_path / "published.pt", "-o", file, "--id", "published", "--bands", bands)
    words = (sets[0], "--methods", "ssdiff", "--weights", file, "--device", "cpu", "--steps", 1, "--images", 1)
    (table,) = benchmark(*words, "--weights", "general-4-patches")
    published, own = table["rows"]
    assert published["method"] == "SSDiff (published)"
    assert own["method"] == "SSDiff (general-4-patches)"
    images, net = StoredImages(sets[0]).read(0), checkpoint.load(file).net
    lms, pan, ms = (torch.from_numpy(image) / 2047 for image in (images.lms, images.pan[None], images.ms))
    with torch.inference_mode():
        x0 = ddim_sample(lambda x_t, t: net(x_t, t, lms, pan, ms), torch.zeros_like(lms), 1)
    alone = with_reference(((lms + x0) * 2047)[0].numpy(), images.truth[0], 4, rounded=True)
    # The engine blends several tiles and draws noise, so the measures are only similar to those of one tile.
    assert published["mean"]["ERGAS"] == pytest.approx(alone["ERGAS"], rel=0.2)
    assert own["mean"]["ERGAS"] < published["mean"]["ERGAS"]


def test_a_folder_stands_for_its_sets_and_each_sensor_has_a_table(sets, tmp_path):
    for name, bands in (("test_qb.h5", 4), ("test_wv3.h5", 8)):
        write_set(tmp_path / name, arrays(1, bands, side=32))
    (tmp_path / "notes.txt").write_text("text")
    tables = benchmark(tmp_path, "--methods", "exp")
    assert [table["sensor"] for table in tables] == ["QuickBird", "WorldView-3"]
    assert tables[0]["sets"][0]["shape"] == [32, 32]


def test_general_weights_fuse_the_eight_bands_of_a_set_in_groups(tmp_path):
    words = ("--methods", "ssdiff,exp", "--weights", "general-4-patches", "--device", "cpu")
    (table,) = benchmark(write_set(tmp_path / "test_wv3.h5", arrays(1, 8, side=64)), *words)
    ssdiff_row, exp = table["rows"]
    assert ssdiff_row["method"] == "SSDiff (general-4-patches)"
    assert ssdiff_row["mean"]["ERGAS"] < exp["mean"]["ERGAS"]


def test_the_border_of_the_toolbox_is_excluded_on_request(sets):
    (whole,), (cropped,) = (benchmark(sets[0], "--methods", "exp", *more) for more in ([], ["--crop"]))
    images = StoredImages(sets[0]).read(0, 2)
    expected = [with_reference(images.lms[i], images.truth[i], 4, crop=True)["ERGAS"] for i in range(2)]
    assert cropped["rows"][0]["mean"]["ERGAS"] == pytest.approx(np.mean(expected), rel=1e-4)
    assert whole["digest"] != cropped["digest"]
    assert "without the border" in cropped["notes"][1]


def test_lms_of_another_interpolation_is_told(sets, tmp_path):
    values = arrays(1, side=64)
    values["lms"] = np.kron(values["ms"], np.ones((4, 4)))
    told = ssdiff("benchmark", write_set(tmp_path / "qb.h5", values), "--methods", "exp", "--progress", "none").stderr
    assert "lms differs from the 23-tap interpolation of ms by up to" in told
    assert ssdiff("benchmark", sets[0], "--methods", "exp", "--progress", "none").stderr == ""


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("qb.h5", ["--methods", "exp,best"], "--methods: no method 'best'"),
        ("images.h5", ["--methods", "exp"], "names no sensor: give it with --sensor"),
        ("qb.h5", ["--sensor", "nobody"], "unknown sensor 'nobody'"),
        ("qb.h5", ["--methods", "ssdiff", "--weights", "landsat7-patches"], "landsat7-patches take 6 bands"),
        ("qb.h5", ["--methods", "ssdiff", "--weights", "general-4-ratio2-patches"], "patches are for ratio 2"),
        ("qb.h5", ["missing_qb.h5"], "missing_qb.h5 cannot be read"),
        ("qb.h5", ["empty"], "empty contains no set of images"),
        ("qb.h5", ["--csv", "qb.h5"], "is one of the inputs"),
    ],
)
def test_an_error_is_one_sentence(tmp_path, monkeypatch, name, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write_set(Path(name), arrays(1, side=32))
    printed = ssdiff("benchmark", name, *words, expect=1).stderr
    assert message in printed
    assert printed.count("\n") == 1


def test_a_ratio_that_the_toolboxes_do_not_have_is_an_error(tmp_path):
    values = {
        "pan": np.full((1, 1, 48, 48), 9.0),
        "ms": np.full((1, 4, 16, 16), 9.0),
        "lms": np.full((1, 4, 48, 48), 9.0),
    }
    printed = ssdiff("benchmark", write_set(tmp_path / "qb.h5", values), "--methods", "exp", expect=1).stderr
    assert "ratios 2, 4, 8 and 16, not 3" in printed


def test_the_statistics_of_an_image_are_its_own(sets):
    """An image alone has the measures that it has among others."""
    (both,), (first,) = (benchmark(sets[0], "--methods", "gsa", *more) for more in ([], ["--images", 1]))
    assert both["rows"][0]["images"][0]["measures"] == first["rows"][0]["images"][0]["measures"]
