"""`ssdiff assess` on files: the values are those of the measures for any block size, and the output is complete."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from adapting import pair_of_files
from command import ssdiff
from files import read, sample_files, utm, write
from osgeo import gdal
from scenes import smooth_scene

from ssdiff_core.assessment import measure, tables
from ssdiff_core.cli.main import main
from ssdiff_core.common import progress
from ssdiff_core.domain.grid import Placement
from ssdiff_core.domain.options import AssessOptions
from ssdiff_core.domain.study import Result
from ssdiff_core.domain.window import Window
from ssdiff_core.metrics import arrays as metrics
from ssdiff_core.workflows import assess as studies

MTF = (0.3,) * 4  # of the general profile
PAN_AT = (400_000.0, 0.6, 0.0, 4_500_000.0, 0.0, -0.6)
MS_AT = (400_000.0, 2.4, 0.0, 4_500_000.0, 0.0, -2.4)
CORNER = ("--extent", "400000,4499961.6,400038.4,4500000")  # 64 x 64 pixels


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """PAN, MS, the reference, and a folder with the results of three methods."""
    folder = tmp_path_factory.mktemp("sample")
    pan, ms, truth = sample_files(folder, 128)
    results = folder / "results"
    results.mkdir()
    for method in ("gsa", "brovey", "bt-h"):
        command = ["pansharpen", str(pan), str(ms), str(results / f"{method}.tif"), "--method", method]
        assert main([*command, "--progress", "none"]) == 0
    return pan, ms, truth, results


def told(capsys, *arguments) -> dict:
    capsys.readouterr()
    assert main(["assess", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def failed(capsys, *arguments) -> str:
    capsys.readouterr()
    assert main(["assess", *map(str, arguments)]) == 1
    return capsys.readouterr().err


def of(document: dict, name: str) -> dict:
    return next(result["measures"] for result in document["results"] if result["name"] == name)


@pytest.mark.parametrize("convention", ["geometric", "toolbox"])
def test_the_measures_of_a_file_are_those_of_its_array(sample, capsys, convention):
    pan, ms, _, results = sample
    got = told(capsys, results / "gsa.tif", "--pan", pan, "--ms", ms, "--convention", convention)
    arrays = read(results / "gsa.tif"), read(pan), read(ms)
    wanted = metrics.without_reference(*arrays, Placement((1.5, 1.5), 4), MTF, convention, rounded=True)
    assert got["convention"] == wanted["convention"] == convention
    assert of(got, "gsa") == pytest.approx({name: wanted[name] for name in of(got, "gsa")}, rel=1e-6)


def test_the_measures_with_a_reference_are_those_of_the_arrays(sample, capsys):
    pan, ms, truth, results = sample
    got = told(capsys, results / "bt-h.tif", "--pan", pan, "--ms", ms, "--reference", truth)
    wanted = metrics.with_reference(read(results / "bt-h.tif"), read(truth), 4)
    assert got["reference"] is True
    assert of(got, "bt-h") == pytest.approx({name: wanted[name] for name in of(got, "bt-h")}, rel=1e-9)


def test_crop_excludes_the_border_of_the_toolboxes(sample, capsys):
    pan, ms, truth, results = sample
    got = told(capsys, results / "gsa.tif", "--pan", pan, "--ms", ms, "--reference", truth, "--crop")
    wanted = metrics.with_reference(read(results / "gsa.tif"), read(truth), 4, crop=True)
    assert of(got, "gsa") == pytest.approx({name: wanted[name] for name in of(got, "gsa")}, rel=1e-9)
    assert got["cropped"] is True
    assert got["results"][0]["peak"] == wanted["peak"]
    assert got["scenes"][0]["sample"]["megapixels"] == pytest.approx(87**2 / 1e6)
    assert any(f"PSNR with peak value {wanted['peak']:g}, border excluded" in note for note in got["notes"])
    small = ("--pan", pan, "--ms", ms, "--reference", truth, "--crop", "--extent", "400000,4499980,400020,4500000")
    assert "is too small" in failed(capsys, results / "gsa.tif", *small)


def test_json_output_is_one_object_with_the_inputs_and_results(sample, capsys):
    pan, ms, _, results = sample
    got = told(capsys, results / "gsa.tif", "--pan", pan, "--ms", ms)
    assert (got["protocol"], got["baseline"], got["reference"]) == ("full", "gsa", False)
    assert [(result["name"], bool(result["file"])) for result in got["results"]] == [
        ("gsa", True),
        ("EXP", False),
        ("MTF-GLP-FS", False),
    ]
    assert got["measures"]["HQNR"]["ideal"] == 1
    (scene,) = got["scenes"]
    assert (scene["sensor"], scene["ratio"], scene["bands"]) == ("general", 4, ["blue", "green", "red", "nir"])
    assert scene["window"] == {"row": 0, "col": 0, "height": 128, "width": 128}
    assert scene["sample"]["whole"] is True
    assert any("HQNR rewards interpolation" in note for note in got["notes"])


def test_pan_and_ms_are_read_from_the_metadata_of_a_fused_file(sample, capsys):
    pan, ms, truth, results = sample
    named = told(capsys, results / "gsa.tif", "--pan", pan, "--ms", ms)
    assert told(capsys, results / "gsa.tif")["results"] == named["results"]
    assert "give it with --pan" in failed(capsys, truth)


def test_inputs_are_found_in_the_folder_of_the_fused_file_and_never_overwritten(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pan, _, _ = sample_files(tmp_path, 64)
    assert main(["pansharpen", "pan.tif", "ms.tif", "out.tif", "--method", "exp", "--progress", "none"]) == 0
    there = told(capsys, "out.tif")["results"]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert told(capsys, "../out.tif")["results"][0]["measures"] == there[0]["measures"]
    before = pan.read_bytes()
    assert "pan.tif is one of the inputs" in failed(capsys, tmp_path / "out.tif", "--csv", pan)
    assert pan.read_bytes() == before
    pan.rename(tmp_path / "sharp.tif")
    assert "cannot be opened (pan.tif): give it with --pan" in failed(capsys, tmp_path / "out.tif")


@pytest.mark.parametrize("bands_alone", [False, True])
def test_file_names_of_inputs_may_contain_commas(capsys, tmp_path, bands_alone):
    folder = tmp_path / "Eureka, California"
    (tmp_path / "Eureka").mkdir()
    folder.mkdir()
    pan, ms, _ = sample_files(folder, 64)
    files = [ms]
    if bands_alone:
        at = gdal.Open(str(ms)).GetGeoTransform()
        files = [write(folder / f"b{n}.tif", band, at) for n, band in enumerate(read(ms), 1)]
    named = [word for file in files for word in ("--ms", str(file))]
    made = ["pansharpen", str(pan), str(folder / "out.tif"), *named, "--method", "exp", "--progress", "none"]
    assert main(made) == 0
    assert told(capsys, folder / "out.tif")["scenes"][0]["ms"] == list(map(str, files))


def test_a_folder_gives_mean_deviation_and_paired_differences(sample, capsys, tmp_path):
    *_, results = sample
    got = told(capsys, results, "--baseline", "gsa", "--csv", tmp_path / "t.csv")
    files = [result for result in got["results"] if result["file"]]
    assert [result["name"] for result in files] == ["brovey", "bt-h", "gsa"]
    values = np.array([list(result["measures"].values()) for result in files])
    assert list(got["mean"].values()) == pytest.approx(values.mean(0))
    assert list(got["std"].values()) == pytest.approx(values.std(0, ddof=1))
    assert [bool(result["differences"]) for result in files] == [True, True, False]
    with open(tmp_path / "t.csv", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows[1:]] == ["brovey", "bt-h", "gsa", "EXP", "MTF-GLP-FS", "mean", "standard deviation"]
    assert np.array(rows[1:4])[:, 3:].astype(float) == pytest.approx(values)


def test_the_baseline_name_is_matched_exactly_before_ignoring_case(sample, capsys, tmp_path):
    pan, ms, _, results = sample
    folder = tmp_path / "results"
    folder.mkdir()
    shutil.copy(results / "gsa.tif", folder / "exp.tif")
    asked = (folder, "--pan", pan, "--ms", ms, *CORNER, "--align", "none", "--baseline")
    assert [told(capsys, *asked, name)["baseline"] for name in ("EXP", "exp", "Exp")] == ["EXP", "exp", "exp"]


def test_differences_are_paired_over_blocks():
    rng = np.random.default_rng(0)
    one, other = ({"SAM": rng.random(9), "Q2n": rng.random(9)} for _ in range(2))
    one["SAM"][3] = np.nan  # a block with nothing valid in it
    a, b = (Result(name, name, {"SAM": 1.0, "Q2n": 1.0}, parts, 1.0) for name, parts in (("a", one), ("b", other)))
    found = tables.differences(a, b)
    apart = np.delete(one["SAM"] - other["SAM"], 3)
    assert (found["SAM"].parts, found["Q2n"].parts) == (8, 9)
    assert found["SAM"].mean == pytest.approx(apart.mean())
    assert found["SAM"].std == pytest.approx(apart.std(ddof=1))
    assert found["SAM"].better == (apart < 0).sum()
    assert found["Q2n"].better == (one["Q2n"] > other["Q2n"]).sum()


@pytest.fixture(scope="module")
def scenes(sample, tmp_path_factory):
    """Three scenes of one size, and a folder with the results of two methods for each."""
    folder = tmp_path_factory.mktemp("scenes")
    results = folder / "results"
    results.mkdir()
    pan, ms = read(sample[0]), read(sample[1])
    for number, (row, col) in enumerate(((0, 0), (0, 16), (16, 0)), 1):
        files = [folder / f"{number}_{kind}.tif" for kind in ("pan", "ms")]
        write(files[0], pan[4 * row :, 4 * col :][:64, :64], PAN_AT)
        write(files[1], ms[:, row:, col:][:, :16, :16], MS_AT)
        for method in ("gsa", "brovey"):
            command = ["pansharpen", *map(str, files), str(results / f"{number}_{method}.tif"), "--method", method]
            assert main([*command, "--align", "none", "--progress", "none"]) == 0
    return results


def test_methods_are_paired_by_scene_over_several_scenes(scenes, capsys):
    got = told(capsys, scenes, "--align", "none", "--baseline", "gsa")
    assert [scene["name"] for scene in got["scenes"]] == ["1_pan", "2_pan", "3_pan"]
    paired = {(one["name"], one["scene"]) for one in got["results"] if one["differences"]}
    assert paired == {("1_brovey", "1_pan")}  # the baseline's own scene
    by_name = {(one["name"], one["scene"]): one["measures"] for one in got["results"]}
    of = {m: [by_name[f"{n}_{m}", f"{n}_pan"]["D_rho"] for n in (1, 2, 3)] for m in ("gsa", "brovey")}
    methods = {method["method"]: method for method in got["methods"]}
    assert list(methods) == ["Brovey", "GSA", "EXP", "MTF-GLP-FS"]
    apart = np.subtract(of["brovey"], of["gsa"])
    found = methods["Brovey"]["differences"]["D_rho"]
    assert methods["Brovey"]["mean"]["D_rho"] == pytest.approx(np.mean(of["brovey"]))
    assert methods["Brovey"]["std"]["D_rho"] == pytest.approx(np.std(of["brovey"], ddof=1))
    assert (found["parts"], found["better"]) == (3, (apart < 0).sum())
    assert (found["mean"], found["std"]) == pytest.approx((apart.mean(), apart.std(ddof=1)))
    assert methods["GSA"]["differences"] == {}


def test_the_table_of_several_scenes_groups_rows_by_scene(scenes, capsys, tmp_path):
    assert main(["assess", str(scenes), "--align", "none", "--csv", str(tmp_path / "t.csv")]) == 0
    lines = capsys.readouterr().out.splitlines()
    first = lines.index("2_pan")
    assert [line.split()[0] for line in lines[first + 1 : first + 5]] == ["2_brovey", "2_gsa", "EXP", "MTF-GLP-FS"]
    assert any(line.startswith("GSA, mean of 3") for line in lines)
    assert any(line.startswith("difference from Brovey") for line in lines)
    assert any("/3 scenes" in line for line in lines)
    with open(tmp_path / "t.csv", encoding="utf-8") as file:
        rows = {(row["image"], row["scene"]) for row in csv.DictReader(file)}
    assert {("3_gsa", "3_pan"), ("EXP", "3_pan"), ("mean of GSA", ""), ("standard deviation of GSA", "")} <= rows


def test_files_of_one_name_are_distinguished_by_their_folders(scenes, capsys, tmp_path):
    for method in ("one", "other"):
        (tmp_path / method).mkdir()
        for number in (1, 2):
            write(tmp_path / method / f"{number}.tif", read(scenes / f"{number}_gsa.tif"), PAN_AT)
    inputs = ["--pan", scenes.parent / "1_pan.tif", "--ms", scenes.parent / "1_ms.tif", "--align", "none"]
    got = told(capsys, tmp_path / "one", tmp_path / "other" / "1.tif", *inputs)
    assert [one["name"] for one in got["results"] if one["file"]] == ["one/1", "2", "other/1"]


def test_missing_data_is_reported_once_unless_images_differ():
    of = [Result(name, name, {}, {}, valid) for name, valid in (("a", 0.5), ("b", 0.5), ("c", 0.75), ("d", 1.0))]
    assert tables.missing(of[:2]) == ["50.0% of the pixels have no data and are excluded"]
    assert tables.missing(of) == [
        "50.0% of the pixels of a, b have no data and are excluded",
        "25.0% of the pixels of c have no data and are excluded",
    ]


def test_the_text_table_shows_directions_baselines_and_differences(sample, capsys):
    *_, results = sample
    assert main(["assess", str(results)]) == 0
    said = capsys.readouterr().out
    words = ("HQNR ↑", "D_rho ↓", "EXP", "MTF-GLP-FS", "mean", "difference from brovey", "0 is ideal")
    assert all(word in said for word in words)


# --- scenes of any size ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A scene of 320 by 288 pixels, larger than most blocks, with a hole in PAN's corner; fused."""
    folder = tmp_path_factory.mktemp("large")
    block = smooth_scene(320, 288, bands=2)
    pan = block.pan.astype(np.uint16)
    pan[:50, :100] = 0
    write(folder / "pan.tif", pan, PAN_AT, nodata=0)
    write(folder / "ms.tif", block.ms.astype(np.uint16), MS_AT)
    command = ["pansharpen", str(folder / "pan.tif"), str(folder / "ms.tif"), str(folder / "gsa.tif")]
    assert main([*command, "--method", "gsa", "--progress", "none"]) == 0
    return folder


def test_the_measures_do_not_depend_on_blocks_and_exclude_nodata(large, monkeypatch):
    found = {}
    for side in measure.SIDES:
        monkeypatch.setattr(measure, "side_for", lambda *_, side=side: side)
        asked = AssessOptions(align="none")
        (study,) = studies.open_studies([large / "gsa.tif"], None, None, None, asked, print)
        study = measure.with_baselines(study, asked)
        found[side] = measure.measure(study, asked)
    fused = read(large / "gsa.tif").astype(np.float32)
    for one, *others in zip(*found.values()):
        for other in others:
            assert one.values == pytest.approx(other.values, rel=5e-6, abs=1e-8)  # D_lambda is a small difference
            assert one.valid == pytest.approx(other.valid)
    holes = (fused == 0).any(0)
    first = found[512][0]
    assert first.valid == pytest.approx(1 - holes.mean())
    wanted = metrics.without_reference(
        np.where(holes, np.nan, fused), read(large / "pan.tif"), read(large / "ms.tif"), Placement((1.5, 1.5), 4),
        (0.3, 0.3), "geometric", ~holes, True,
    )  # fmt: skip
    assert first.values == pytest.approx({name: wanted[name] for name in first.values}, rel=1e-6)


def test_a_large_scene_is_sampled_by_the_seed_and_this_is_reported(large, capsys):
    command = (large / "gsa.tif", "--align", "none", "--sample", "0.07")
    first, again, other = (told(capsys, *command, "--seed", seed) for seed in (3, 3, 4))
    assert first == again
    assert first["results"] != other["results"]
    sample = first["scenes"][0]["sample"]
    assert not sample["whole"]
    assert 0.02 < sample["megapixels"] < 0.09
    assert any("seed 3" in note and "--sample 0" in note for note in first["notes"])
    whole = told(capsys, large / "gsa.tif", "--align", "none", "--sample", "0")
    assert whole["scenes"][0]["sample"]["whole"]


@pytest.mark.parametrize("protocol", ["full", "wald"])
def test_progress_rises_to_one_from_the_start(large, capsys, tmp_path, monkeypatch, protocol):
    monkeypatch.setattr(progress, "INTERVAL_SECONDS", 0.0)  # every step is printed, however fast the machine is
    inputs = ["--pan", str(large / "pan.tif"), "--ms", str(large / "ms.tif")]
    images = [str(large / "gsa.tif")] if protocol == "full" else ["--protocol", "wald", "--methods", "gsa,brovey"]
    command = ["assess", *images, *inputs, "--align", "none", "--report", str(tmp_path / "r.html")]
    assert main([*command, "--progress", "json"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    shares = [json.loads(line)["progress"] for line in lines]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(shares) > 3
    assert shares[0] < 0.5


def test_sampled_blocks_keep_their_order():
    cores = [Window(r * 100, 0, 100, 100) for r in range(50)]
    drawn = measure.sampled_blocks(cores, AssessOptions(sample=0.1, seed=1))
    assert len(drawn) == len(set(drawn)) == 10
    assert drawn == sorted(drawn, key=cores.index)
    assert measure.sampled_blocks(cores, AssessOptions(sample=0.5)) == cores


def test_memory_does_not_grow_with_the_scene(tmp_path):
    """In a process of its own; the larger scene would take 160 MB more as the measures see it, GDAL's cache 6."""
    sides = (512, 1024)
    for side in sides:
        folder = tmp_path / str(side)
        folder.mkdir()
        rng = np.random.default_rng(0)
        pan = rng.integers(100, 2000, (side, side), np.uint16)
        write(folder / "pan.tif", pan, PAN_AT)
        write(folder / "ms.tif", pan.reshape(side // 4, 4, side // 4, 4).mean((1, 3)).astype(np.uint16), MS_AT)
        write(folder / "f.tif", pan, PAN_AT)
    code = f"""
import os, sys
from ssdiff_core.inprocess.speed import peak_rss_mb
from ssdiff_core.cli.main import main
for side in {sides}:
    os.chdir(os.path.join({str(tmp_path)!r}, str(side)))
    main("assess f.tif --pan pan.tif --ms ms.tif --memory 128 --align none".split())
    print(peak_rss_mb(), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.count("D_rho ↓") == 2, done.stderr
    used = [int(line) for line in done.stderr.splitlines() if line.isdecimal()]
    print(used)
    assert used[1] < used[0] + 80


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--protocol", "wald"),
        ("--protocol", "wald", "x.tif", "--pan", "p", "--ms", "m"),
        ("x.tif", "--sample", "-1"),
        ("x.tif", "--crop"),
    ],
)
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["assess", *arguments])
    assert stopped.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_inputs_that_do_not_match_are_errors(sample, capsys, tmp_path):
    pan, ms, _, results = sample
    inputs = ("--pan", pan, "--ms", ms)
    fused = read(results / "gsa.tif")
    off = write(tmp_path / "off.tif", fused, (400_000.2, 0.6, 0.0, 4_500_000.0, 0.0, -0.6))
    assert "is not on PAN's pixel grid" in failed(capsys, off, *inputs)
    far = write(tmp_path / "far.tif", fused, (460_000.0, 0.6, 0.0, 4_500_000.0, 0.0, -0.6))
    assert "does not overlap PAN" in failed(capsys, far, *inputs)
    three = write(tmp_path / "three.tif", fused[:3], PAN_AT)
    assert "3 bands and MS 4: give the MS bands" in failed(capsys, three, *inputs)
    assert main(["assess", str(three), *map(str, inputs), "--bands", "1,2,3", *CORNER, "--json"]) == 0
    gsa = results / "gsa.tif"
    assert "three.tif has 3 bands and" in failed(capsys, gsa, *inputs, "--reference", three)
    corner = ("--extent", "400000,4499998.8,400001.2,4500000")
    assert "2 x 2 PAN pixels is smaller than one MS pixel" in failed(capsys, gsa, *inputs, *corner)
    assert "no result 'x'" in failed(capsys, results, *CORNER, "--baseline", "x")
    assert "no .tif file" in failed(capsys, tmp_path / "..", *inputs)
    assert "several" in failed(capsys, results / "gsa.tif", _part(results, tmp_path), "--report", tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def _part(results, folder):
    """Writes a part of a result, and so a file with another extent."""
    path = write(
        folder / "part.tif",
        read(results / "gsa.tif")[:, 32:96, 16:112],
        (400_009.6, 0.6, 0, 4_499_980.8, 0, -0.6),
        utm(),
    )
    said = gdal.Open(str(results / "gsa.tif")).GetMetadata()
    file = gdal.Open(str(path), gdal.GA_Update)
    file.SetMetadata({key: value for key, value in said.items() if key.startswith("SSDIFF_")})
    return path


def test_a_file_of_a_part_of_the_scene_is_measured_over_its_extent(sample, capsys, tmp_path):
    *_, results = sample
    got = told(capsys, _part(results, tmp_path))
    assert got["scenes"][0]["window"] == {"row": 32, "col": 16, "height": 64, "width": 96}
    both = told(capsys, results / "gsa.tif", tmp_path / "part.tif")
    assert len(both["scenes"]) == 2
    assert both["results"][-3]["differences"] == {}


def test_an_image_is_measured_with_the_shift_that_was_corrected_in_it(tmp_path, capsys):
    pan, ms = pair_of_files(tmp_path / "scene", at=1.5)  # by 3 PAN pixels
    ssdiff("pansharpen", pan, ms, tmp_path / "o.tif", "--method", "gsa", "--sensor", "gf2")
    assert "corrected" in gdal.Open(str(tmp_path / "o.tif")).GetMetadataItem("SSDIFF_SHIFT")
    found = told(capsys, tmp_path / "o.tif", "--sensor", "gf2")
    aligned = told(capsys, tmp_path / "o.tif", "--sensor", "gf2", "--align", "auto")
    assert found["results"] == aligned["results"]
    assert found["results"] != told(capsys, tmp_path / "o.tif", "--sensor", "gf2", "--align", "none")["results"]
