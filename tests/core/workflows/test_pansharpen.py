"""Pansharpening of real files with the command."""

import json
import os
import re
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest
from command import ssdiff
from files import ramps, read, write
from osgeo import gdal
from scenes import SAMPLE, stiff_weights, with_views

from ssdiff_core.domain.methods import ALL
from ssdiff_core.model import checkpoint
from ssdiff_core.model.ssnet import state_of

PAN_AT = (400_000.0, 0.6, 0.0, 4_500_000.0, 0.0, -0.6)
MS_AT = (400_000.0, 2.4, 0.0, 4_500_000.0, 0.0, -2.4)


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """The bundled sample as GeoTIFFs: PAN, MS and the truth."""
    folder = tmp_path_factory.mktemp("sample")
    with np.load(SAMPLE) as file:
        images = {name: file[name] for name in ("pan", "ms", "truth")}
    names = ("blue", "green", "red", "nir")
    pan = write(folder / "pan.tif", images["pan"], PAN_AT)
    ms = write(folder / "ms.tif", images["ms"].transpose(2, 0, 1), MS_AT, names=names)
    return pan, ms, images["truth"].transpose(2, 0, 1)


def ergas(fused, truth):
    fused, truth = fused.astype(float), truth.astype(float)
    return 25 * np.sqrt((((fused - truth) ** 2).mean((1, 2)) / truth.mean((1, 2)) ** 2).mean())


def test_the_network_beats_every_classical_method_on_the_sample(sample, tmp_path):
    pan, ms, truth = sample
    scores = {}
    for method in ALL:
        out = tmp_path / f"{method}.tif"
        ssdiff("pansharpen", pan, ms, out, "--method", method, "--progress", "none")
        fused = read(out)
        assert fused.shape == truth.shape
        assert fused.dtype == np.uint16
        scores[method] = ergas(fused, truth)
    print({method: round(score, 3) for method, score in scores.items()})
    assert min(scores, key=scores.get) == "ssdiff"
    assert max(scores, key=scores.get) == "exp"


def test_metadata_records_how_the_file_was_made(sample, tmp_path):
    ssdiff("pansharpen", *sample[:2], tmp_path / "o.tif", "--seed", "5", "--steps", "2", "--extent", EXTENT)
    said = gdal.Open(str(tmp_path / "o.tif")).GetMetadata()
    told = {key: said[f"SSDIFF_{key}"] for key in ("METHOD", "WEIGHTS", "SEED", "STEPS", "SENSOR", "PAN")}
    assert told == {
        **{"METHOD": "ssdiff", "WEIGHTS": "general-4-patches", "SEED": "5", "STEPS": "2"},
        **{"SENSOR": "general", "PAN": str(sample[0])},
    }
    assert len(said["SSDIFF_WEIGHTS_SHA256"]) == 64


EXTENT = "400030,4499940,400070,4499980"


@pytest.mark.parametrize("method", ALL)
def test_an_extent_gives_the_pixels_of_the_whole_scene(sample, tmp_path, method):
    pan, ms, _ = sample
    how = ("--method", method, "--dtype", "float32")
    ssdiff("pansharpen", pan, ms, tmp_path / "whole.tif", *how)
    ssdiff("pansharpen", pan, ms, tmp_path / "part.tif", *how, "--extent", EXTENT)
    whole, part = read(tmp_path / "whole.tif")[:, 33:100, 50:117], read(tmp_path / "part.tif")
    np.testing.assert_allclose(part, whole, atol=0.5 if method == "ssdiff" else 0.01)  # half precision on some CPUs


def test_json_progress_ends_at_one(sample, tmp_path):
    """In a process of its own, so that the streams are those of the operating system."""
    words = ("pansharpen", *sample[:2], tmp_path / "o.tif", "--method", "gsa", "--progress", "json")
    command = [sys.executable, "-m", "ssdiff_core", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert lines[-1]["progress"] == 1
    assert done.stdout == ""


def test_bands_data_type_and_format_are_as_requested(sample, tmp_path):
    asked = ("--bands", "4,1", "--dtype", "float32", "--format", "gtiff", "--co", "COMPRESS=LZW")
    ssdiff("pansharpen", *sample[:2], tmp_path / "o.tif", "--method", "brovey", *asked)
    out = gdal.Open(str(tmp_path / "o.tif"))
    assert [out.GetRasterBand(i).GetDescription() for i in (1, 2)] == ["nir", "blue"]
    assert out.ReadAsArray().dtype == np.float32
    assert out.GetMetadata("IMAGE_STRUCTURE")["COMPRESSION"] == "LZW"


def test_ms_may_be_one_file_for_each_band(sample, tmp_path):
    pan, ms, _ = sample
    files = []
    for k in (1, 2, 3, 4):
        gdal.Translate(str(tmp_path / f"b{k}.tif"), str(ms), bandList=[k])
        files += ["--ms", tmp_path / f"b{k}.tif"]
    ssdiff("pansharpen", pan, tmp_path / "a.tif", *files, "--method", "exp")
    ssdiff("pansharpen", pan, ms, tmp_path / "b.tif", "--method", "exp")
    assert np.array_equal(read(tmp_path / "a.tif"), read(tmp_path / "b.tif"))


def test_the_recognised_sensor_is_reported(sample, tmp_path):
    said = ssdiff("pansharpen", *sample[:2], tmp_path / "o.tif", "--method", "exp").stderr
    assert "Sensor general: " in said
    named = ("--method", "mtf-glp-fs", "--sensor", "qb")
    ssdiff("pansharpen", *sample[:2], tmp_path / "q.tif", *named)
    assert gdal.Open(str(tmp_path / "q.tif")).GetMetadataItem("SSDIFF_SENSOR") == "qb"


FAILURES = {
    "unknown method 'no-such-method'": ["--method", "no-such-method"],
    "unknown sensor 'hubble'": ["--sensor", "hubble"],
    "the extent .* does not touch PAN": ["--extent", "0,0,1,1"],
    "there is no band 9": ["--bands", "9"],
    r"nowhere\.safetensors": ["--weights", "nowhere.safetensors"],
    "unknown weights 'nowhere': choose general-4": ["--weights", "nowhere"],
    "nodata -5 does not fit in uint16": ["--method", "exp", "--nodata", "-5"],
}


@pytest.mark.parametrize("sentence", FAILURES)
def test_a_failure_is_one_sentence_and_leaves_no_file(sample, tmp_path, sentence):
    out = tmp_path / "o.tif"
    said = ssdiff("pansharpen", *sample[:2], out, *FAILURES[sentence], expect=1).stderr
    errors = [line for line in said.splitlines() if not re.match("ssdiff: ([Ss]ensor|MS is shifted|No metadata)", line)]
    assert len(errors) == 1
    assert re.search(sentence, errors[0])
    assert list(tmp_path.iterdir()) == []


def test_three_bands_are_fused_with_weights_for_four(sample, tmp_path):
    part = ("--bands", "3,2,1", "--extent", "400000,4499916,400084,4500000", "--progress", "none", "--adapt", "none")
    said = ssdiff("pansharpen", *sample[:2], tmp_path / "o.tif", *part).stderr
    assert "the 3 bands of MS are fused in 1 group" in said
    ssdiff("pansharpen", *sample[:2], tmp_path / "exp.tif", *part, "--method", "exp")
    truth = sample[2][2::-1, :140, :140]
    assert ergas(read(tmp_path / "o.tif"), truth) < 0.75 * ergas(read(tmp_path / "exp.tif"), truth)


def test_views_are_fitted_to_the_scene_for_each_band_group(sample, tmp_path):
    seeing = with_views(stiff_weights(tile=16))
    checkpoint.save(tmp_path / "w.safetensors", state_of(seeing.net), seeing.card)
    asked = (
        "--bands",
        "4,2,1,3,2",
        "--weights",
        tmp_path / "w.safetensors",
        "--extent",
        "400000,4499970,400030,4500000",
    )
    said = ssdiff("pansharpen", *sample[:2], tmp_path / "o.tif", *asked, "--progress", "none").stderr
    assert "the 5 bands of MS are fused in 2 group(s) of 4" in said
    assert read(tmp_path / "o.tif").shape == (5, 50, 50)


def test_an_input_is_never_overwritten(sample):
    before = sample[1].read_bytes()
    assert "is one of the inputs" in ssdiff("pansharpen", *sample[:2], sample[1], expect=1).stderr
    assert sample[1].read_bytes() == before


@pytest.fixture
def own(sample, tmp_path):
    """Copies of PAN and MS, and other files that are read with them."""
    for path in sample[:2]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    gdal.BuildVRT(str(tmp_path / "v.vrt"), [str(tmp_path / "ms.tif")]).FlushCache()
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.write(tmp_path / "ms.tif", "ms.tif")
    (tmp_path / "ms.IMD").write_text('satId = "WV03";\n')
    (tmp_path / "mask.geojson").write_text('{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}')
    (tmp_path / "o.tif.part").write_bytes((tmp_path / "ms.tif").read_bytes())
    (tmp_path / "o.tif.ovr").write_bytes((tmp_path / "ms.tif").read_bytes())
    os.link(tmp_path / "ms.tif", tmp_path / "hard.tif")
    (tmp_path / "soft.tif").symlink_to("ms.tif")
    return tmp_path


READ = [
    ("v.vrt", "ms.tif"),
    ("v.vrt", "hard.tif"),
    ("ms.tif", "hard.tif"),
    ("ms.tif", "soft.tif"),
    ("ms.tif", "ms.IMD"),
    ("ms.tif", "mask.geojson"),
    ("/vsizip/z.zip/ms.tif", "z.zip"),
]


@pytest.mark.skipif(os.name == "nt", reason="links")
@pytest.mark.parametrize("flag", ["", "--uncertainty", "--report"])
@pytest.mark.parametrize(("ms", "target"), READ)
def test_no_file_that_is_read_is_replaced(own, monkeypatch, ms, target, flag):
    monkeypatch.chdir(own)
    before = {path.name: path.read_bytes() for path in own.iterdir()}
    words = ["pan.tif", ms, *(["new.tif", flag, target] if flag else [target]), "--mask", "mask.geojson"]
    said = ssdiff("pansharpen", *words, *([] if flag == "--uncertainty" else ["--method", "exp"]), expect=1).stderr
    assert f"{target} is one of the inputs" in said.splitlines()[-1]
    assert {path.name: path.read_bytes() for path in own.iterdir()} == before


@pytest.mark.skipif(os.name == "nt", reason="links")
@pytest.mark.parametrize("words", [["o.tif"], ["new.tif", "--uncertainty", "o.tif"]])
@pytest.mark.parametrize("ms", ["o.tif.part", "o.tif.ovr"])
def test_no_file_that_is_read_is_removed_with_what_belongs_to_an_output(own, monkeypatch, ms, words):
    monkeypatch.chdir(own)
    before = {path.name: path.read_bytes() for path in own.iterdir()}
    said = ssdiff("pansharpen", "pan.tif", ms, *words, expect=1).stderr
    assert f"{ms} is one of the inputs" in said.splitlines()[-1]
    assert {path.name: path.read_bytes() for path in own.iterdir()} == before


def test_the_weights_are_not_replaced(sample, tmp_path):
    seeing = stiff_weights(tile=16)
    checkpoint.save(tmp_path / "w.safetensors", state_of(seeing.net), seeing.card)
    before = (tmp_path / "w.safetensors").read_bytes()
    words = (*sample[:2], tmp_path / "w.safetensors", "--weights", tmp_path / "w.safetensors")
    assert "w.safetensors is one of the inputs" in ssdiff("pansharpen", *words, expect=1).stderr
    assert (tmp_path / "w.safetensors").read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="pipes and links")
@pytest.mark.parametrize("flag", ["", "--uncertainty", "--report"])
def test_a_pipe_is_not_replaced(sample, tmp_path, flag):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        words = (*sample[:2], *([tmp_path / "o.tif", flag] if flag else []), tmp_path / name)
        assert f"{name} is a pipe: give a file" in ssdiff("pansharpen", *words, expect=1).stderr
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link").is_symlink()


@pytest.mark.skipif(os.name == "nt", reason="pipes")
def test_weights_that_are_a_pipe_are_one_sentence(sample, tmp_path):
    os.mkfifo(tmp_path / "w.safetensors")
    words = (*sample[:2], tmp_path / "o.tif", "--weights", tmp_path / "w.safetensors")
    said = ssdiff("pansharpen", *words, expect=1).stderr
    assert "w.safetensors is a pipe and not a weights file" in said.splitlines()[-1]


def test_a_name_of_another_format_is_refused(sample, tmp_path):
    said = ssdiff("pansharpen", *sample[:2], tmp_path / "out.png", expect=1).stderr
    assert "out.png means another format: use the ending .tif" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("COMPRES=LZW", "There is no creation option COMPRES: it is ignored; there are COMPRESS"),
        ("compress=LZZ", "compress=LZZ may be ignored: for compress GDAL lists NONE, LZW"),
        ("COMPRESS=lzw", None),
    ],
)
def test_a_creation_option_that_gdal_ignores_is_reported(sample, tmp_path, option, said):
    how = ("--method", "exp", "--format", "gtiff", "--co", option)
    words = ssdiff("pansharpen", *sample[:2], tmp_path / "out.tif", *how).stderr
    assert said in words if said else "ignored" not in words


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
def test_a_data_type_too_small_for_ms_is_reported(sample, tmp_path, dtype):
    said = ssdiff("pansharpen", *sample[:2], tmp_path / "o.tif", "--method", "exp", "--dtype", dtype).stderr
    told = {"uint8": "MS is uint16; uint8 holds 0 to 255: values beyond are clipped"}
    told["int16"] = "MS is uint16; int16 holds -32768 to 32767: values beyond are clipped"
    assert told.get(dtype, "") in said
    assert ("clipped" in said) == (dtype in told)


def test_an_image_without_a_valid_pixel_is_reported(sample, tmp_path):
    nothing = write(tmp_path / "ms.tif", np.zeros((4, 64, 64), np.uint16), MS_AT, nodata=0)
    said = ssdiff("pansharpen", sample[0], nothing, tmp_path / "out.tif", "--method", "gsa").stderr
    assert f"PAN and MS have no valid pixel in common: {tmp_path / 'out.tif'} has no data" in said
    assert not read(tmp_path / "out.tif").any()


def test_wrong_usage_exits_with_2(sample, tmp_path):
    for arguments in (
        ["--extent", "1,2,3"],
        ["--co", "COMPRESS"],
        ["--dtype", "complex"],
        ["--steps", "few"],
        ["--steps", "0"],
    ):
        assert "usage:" in ssdiff("pansharpen", *sample[:2], tmp_path / "o.tif", *arguments, expect=2).stderr


def test_align_measures_the_shift_of_files(sample, tmp_path):
    still = json.loads(ssdiff("align", *sample[:2], "--json").stdout)
    moved = write(tmp_path / "pan.tif", read(sample[0]), (400_001.8, 0.6, 0.0, 4_499_998.8, 0.0, -0.6))
    shifted = json.loads(ssdiff("align", moved, sample[1], "--json").stdout)
    assert abs(still["rows"]) < 0.15
    assert abs(still["cols"]) < 0.15
    assert abs(abs(shifted["rows"] - still["rows"]) - 2) < 0.1
    assert abs(abs(shifted["cols"] - still["cols"]) - 3) < 0.1
    assert len(shifted["bands"]) == 4
    assert "overall:" in ssdiff("align", *sample[:2]).stdout


def test_a_shift_is_reported_and_corrected(sample, tmp_path):
    pan, ms, truth = sample
    off = write(tmp_path / "ms.tif", read(ms), (400_001.2, 2.4, 0.0, 4_499_998.2, 0.0, -2.4))  # by 3 rows, 2 columns
    said = ssdiff("pansharpen", pan, off, tmp_path / "off.tif", "--method", "mtf-glp-fs", "--align", "warn").stderr
    assert "colours will bleed" in said
    said = ssdiff("pansharpen", pan, off, tmp_path / "on.tif", "--method", "mtf-glp-fs").stderr
    assert "corrected" in said
    on, wrong = read(tmp_path / "on.tif"), read(tmp_path / "off.tif")
    inner = (slice(None), slice(8, -8), slice(8, -8))
    truth = truth[:, 3:, 2:][(slice(None), slice(0, on.shape[1]), slice(0, on.shape[2]))]
    assert ergas(on[inner], truth[inner]) < 0.75 * ergas(wrong[inner], truth[inner])
    straight = ssdiff("pansharpen", pan, ms, tmp_path / "straight.tif", "--method", "exp").stderr
    assert "bleed" not in straight


def test_a_shifted_band_is_reported_and_corrected(sample, tmp_path):
    pan, ms, truth = sample
    image = read(ms)
    image[1, 1:] = image[1, :-1]  # by 4 PAN pixels
    off = write(tmp_path / "ms.tif", image, MS_AT)
    method = ("--method", "mtf-glp-fs", "--progress", "none")
    said = ssdiff("pansharpen", pan, off, tmp_path / "off.tif", *method, "--align", "warn").stderr
    assert "2" in said.split("and bands")[1].split("differ")[0]
    assert "colours will bleed" in said
    ssdiff("pansharpen", pan, off, tmp_path / "on.tif", *method)
    on, wrong = read(tmp_path / "on.tif"), read(tmp_path / "off.tif")
    grid = gdal.Open(str(tmp_path / "on.tif")).GetGeoTransform()
    row, col = round((PAN_AT[3] - grid[3]) / 0.6), round((grid[0] - PAN_AT[0]) / 0.6)
    here = slice(None), slice(row, row + on.shape[1]), slice(col, col + on.shape[2])
    inner = slice(None), slice(8, -8), slice(8, -8)
    assert ergas(on[inner], truth[here][inner]) < 0.75 * ergas(wrong[here][inner], truth[here][inner])


def test_the_error_of_a_pair_without_overlap_names_both_rasters(tmp_path):
    pan, ms, pan_at, ms_at = ramps()
    far = (ms_at[0] + 1e5, *ms_at[1:])
    files = write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, far)
    said = ssdiff("pansharpen", *files, tmp_path / "o.tif", "--method", "exp", expect=1).stderr
    assert "do not overlap" in said
    assert "x 500000" in said
    assert "x 600000" in said


@pytest.mark.parametrize("method", [method for method in ALL if method != "brovey"])
@pytest.mark.parametrize(("value", "dtype"), [(10_001, np.uint16), (0, np.uint16), (0.1234567, np.float32)])
def test_a_band_without_variation_comes_out_as_it_went_in(sample, tmp_path, method, value, dtype):
    ms = read(sample[1]).astype(dtype)
    ms[1] = value
    write(tmp_path / "ms.tif", ms, MS_AT, names=("blue", "green", "red", "nir"))
    options = ("--method", method, "--adapt", "none")
    ssdiff("pansharpen", sample[0], tmp_path / "ms.tif", tmp_path / "o.tif", *options)
    fused = read(tmp_path / "o.tif")
    np.testing.assert_allclose(fused[1], dtype(value), rtol=3e-7)  # EXP rounds in float32
    assert fused[0].std() > 0


@pytest.mark.parametrize("value", ["0", "-5", "nan", "4294967296", "", "7", "FOO"])
@pytest.mark.parametrize("option", [("cog", "BLOCKSIZE"), ("gtiff", "BLOCKXSIZE"), ("gtiff", "blockysize")])
def test_a_block_size_that_would_end_the_process_is_one_sentence(sample, tmp_path, option, value):
    kind, key = option
    command = (
        "pansharpen",
        *sample[:2],
        tmp_path / "o.tif",
        "--method",
        "exp",
        "--format",
        kind,
        "--co",
        f"{key}={value}",
    )
    said = ssdiff(*command, expect=1).stderr
    assert f"creation option {key}={value}: must be a whole number from 16 to 32768" in said
    assert not list(tmp_path.glob("o.tif*"))


def test_a_hole_in_ms_changes_exp_beside_it_and_nowhere_else(sample, tmp_path):
    pan, ms, _ = sample
    image = read(ms)
    image[:, 12:18, 20:30] = 0
    holed = write(tmp_path / "ms.tif", image, MS_AT, nodata=0)
    for name, source in (("whole", ms), ("holed", holed)):
        ssdiff("pansharpen", pan, source, tmp_path / f"{name}.tif", "--method", "exp", "--align", "none")
    whole, fused = read(tmp_path / "whole.tif").astype(int), read(tmp_path / "holed.tif").astype(int)
    masked = np.zeros(fused.shape[1:], bool)
    masked[44:76, 76:124] = True  # the hole and one sample around it
    assert (fused[:, masked] == 0).all()
    assert (fused[:, ~masked] != 0).all()
    # Beside the hole the interpolation needs samples that are not there: the nearest ones stand in for them.
    near = np.zeros_like(masked)
    near[38:82, 70:130] = True
    difference = abs(fused - whole)[:, ~masked]
    assert difference[:, ~near[~masked]].max() <= 1
    assert 1 < difference.max() < 0.1 * np.ptp(whole)


def test_counts_beyond_float32_stay_nodata_without_a_warning_of_numpy(tmp_path):
    pan, ms, pan_at, ms_at = ramps(64, 64)
    pan, ms = pan.astype(np.float64), ms.astype(np.float64)
    pan[:8], ms[:, :2] = 1e300, 1e300
    pair = write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ssdiff("pansharpen", *pair, tmp_path / "o.tif", "--method", "brovey")
    image = read(tmp_path / "o.tif")
    assert (image[:, :8] == 1e300).all()
    assert (np.abs(image[:, 20:, 20:]) < 1e5).all()


@pytest.mark.parametrize("least", [0, -3])
@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_values_are_negative_only_if_those_of_ms_are(sample, tmp_path, least, dtype):
    """A bright edge beside dark ground: interpolation and injection overshoot there."""
    ms = read(sample[1]).astype(dtype)
    ms[:, :, ::2] = least
    write(tmp_path / "ms.tif", ms, MS_AT, names=("blue", "green", "red", "nir"))
    ssdiff("pansharpen", sample[0], tmp_path / "ms.tif", tmp_path / "o.tif", "--method", "mtf-glp-fs")
    assert (read(tmp_path / "o.tif").min() < 0) == (least < 0)


def test_a_pair_of_other_places_is_told_and_one_of_the_same_place_is_not(sample, tmp_path):
    pan, ms, _ = sample
    other = write(tmp_path / "pan.tif", read(pan)[::-1, ::-1].copy(), PAN_AT)
    said = {file: ssdiff("pansharpen", file, ms, tmp_path / "o.tif", "--method", "exp").stderr for file in (pan, other)}
    assert ["hardly correlate" in each for each in said.values()] == [False, True]
    assert "hardly" not in ssdiff("pansharpen", other, ms, tmp_path / "o.tif", "--method=exp", "--align=none").stderr
