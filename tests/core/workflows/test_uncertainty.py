"""How far samples lie apart, as a file beside the image: the same ground, the same guarantees."""

import shutil

import numpy as np
import pytest
from files import Ending, Interpolate, ramps, read, sample_files, write
from osgeo import gdal
from scenes import tiny_file

from ssdiff_core.cli.main import main
from ssdiff_core.common.errors import ConfigError, RasterError
from ssdiff_core.domain.block import SceneStats
from ssdiff_core.domain.options import AssessOptions
from ssdiff_core.raster.output import output_for, spread_output
from ssdiff_core.raster.reader import open_scene
from ssdiff_core.workflows.assess import files_in, open_studies
from ssdiff_core.workflows.block_writer import BlockRun, fuse

PAN_AT = (400_000.0, 0.6, 0.0, 4_500_000.0, 0.0, -0.6)
EXTENT = "400030,4499955,400054,4499979"  # 40 x 40 pixels
WEDGE = "POLYGON ((400030 4499980,400070 4499980,400030 4499940,400030 4499980))"


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return sample_files(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_file(tmp_path_factory.mktemp("weights"))


def ssdiff(capsys, *arguments, expect=0) -> str:
    """What the command says."""
    assert main(["pansharpen", *map(str, arguments), "--align", "none", "--progress", "none"]) == expect
    return capsys.readouterr().err


# --- what is in it ---------------------------------------------------------------------------------------------------


def test_the_uncertainty_is_the_deviation_of_the_samples_whose_mean_is_the_image(sample, tiny, tmp_path, capsys):
    """Two samples are a mean and a difference: so one of them tells both."""
    how = ("--weights", tiny, "--extent", EXTENT, "--dtype", "float32", "--steps", 4)
    two = ("--samples", 2, "--uncertainty", tmp_path / "apart.tif")
    ssdiff(capsys, *sample[:2], tmp_path / "both.tif", *how, *two)
    ssdiff(capsys, *sample[:2], tmp_path / "one.tif", *how)
    ssdiff(capsys, *sample[:2], tmp_path / "mean.tif", *how, *two[:2])
    both, apart, one = (read(tmp_path / f"{name}.tif") for name in ("both", "apart", "one"))
    assert np.array_equal(both, read(tmp_path / "mean.tif"))
    assert apart.dtype == np.float32
    positive = (both > 0) & (one > 0)  # negative values were raised to 0
    assert positive.mean() > 0.9
    assert apart[positive] == pytest.approx((np.abs(both - one) * 2**0.5)[positive], abs=0.02)
    assert apart.mean() > 1


def test_by_default_an_uncertainty_draws_eight_samples_and_reports_it(sample, tiny, tmp_path, capsys):
    how = (*sample[:2], tmp_path / "o.tif", "--weights", tiny, "--extent", EXTENT, "--uncertainty", tmp_path / "u.tif")
    said = ssdiff(capsys, *how)
    assert "The image is the mean of 8 samples of 1 step(s), and the uncertainty their standard deviation" in said
    assert "8 times the work of an image alone" in said
    for name in ("o.tif", "u.tif"):
        told = gdal.Open(str(tmp_path / name)).GetMetadata()
        assert (told["SSDIFF_STEPS"], told["SSDIFF_SAMPLES"], told["SSDIFF_WEIGHTS"]) == ("1", "8", "tiny")
    assert told["SSDIFF_SHOWS"] == "standard deviation of the samples, in counts"
    assert "SSDIFF_SHOWS" not in gdal.Open(str(tmp_path / "o.tif")).GetMetadata()
    said = ssdiff(capsys, *how, "--steps", 1, "--samples", 3)
    assert "3 samples of 1 step(s)" in said


def test_the_uncertainty_has_the_grid_of_the_image_and_exact_statistics(scene, tmp_path):
    run(scene, tmp_path, side=100)
    image, apart = (gdal.Open(str(tmp_path / name)) for name in ("o.tif", "u.tif"))
    assert apart.GetGeoTransform() == image.GetGeoTransform()
    assert apart.GetSpatialRef().IsSame(image.GetSpatialRef())
    assert [apart.GetRasterBand(i).GetDescription() for i in (1, 2, 3)] == ["blue", "green", "red"]
    assert (apart.GetRasterBand(1).GetNoDataValue(), apart.RasterCount) == (None, 3)
    assert apart.ReadAsArray() == pytest.approx(image.ReadAsArray() / 10, abs=0.06)
    for number, pixels in enumerate(apart.ReadAsArray().astype(float), 1):
        band = apart.GetRasterBand(number)
        told = [float(band.GetMetadataItem(f"STATISTICS_{key}")) for key in ("MINIMUM", "MAXIMUM", "MEAN", "STDDEV")]
        assert told == pytest.approx([pixels.min(), pixels.max(), pixels.mean(), pixels.std()], rel=1e-9)


@pytest.mark.parametrize("side", [64, 1024])
def test_the_uncertainty_has_data_where_the_image_has(tmp_path, side):
    pan, ms, pan_at, ms_at = ramps(320, 280)
    ms[:, 10:14, 20:25] = 0
    pan[200:210, 5:9] = 0
    files = write(tmp_path / "p.tif", pan, pan_at, nodata=0), write(tmp_path / "m.tif", ms, ms_at, nodata=0)
    run(open_scene(*files), tmp_path, side=side)
    image, apart = (gdal.Open(str(tmp_path / name)) for name in ("o.tif", "u.tif"))
    holes = image.ReadAsArray() == 0
    assert 0 < holes.mean() < 0.1
    assert np.array_equal(np.isnan(apart.ReadAsArray()), holes)
    assert np.isnan(apart.GetRasterBand(2).GetNoDataValue())
    told = float(apart.GetRasterBand(2).GetMetadataItem("STATISTICS_VALID_PERCENT"))
    assert told == pytest.approx(100 * (1 - holes[1].mean()), rel=1e-3)


def test_polygons_cut_out_both(sample, tmp_path):
    from ssdiff_core.raster.polygon_mask import cut_out

    run(cut_out(open_scene(*sample[:2]), WEDGE), tmp_path, side=32)  # some blocks lie outside of it
    image, apart = read(tmp_path / "o.tif"), read(tmp_path / "u.tif")
    assert 0.3 < (image == 0).mean() < 0.7
    assert np.array_equal(np.isnan(apart), image == 0)


def test_each_band_of_a_group_has_its_own_uncertainty(sample, tiny, tmp_path, capsys):
    how = ("--weights", tiny, "--extent", EXTENT, "--bands", "4,2,1,3,2", "--dtype", "float32", "--steps", 4)
    two = ("--samples", 2, "--uncertainty", tmp_path / "u.tif")
    said = ssdiff(capsys, *sample[:2], tmp_path / "o.tif", *how, *two)
    assert "the 5 bands of MS are fused in 2 group(s) of 4" in said
    ssdiff(capsys, *sample[:2], tmp_path / "one.tif", *how)
    image, apart, one = (read(tmp_path / f"{name}.tif") for name in ("o", "u", "one"))
    assert apart.shape == (5, 40, 40)
    positive = (image > 0) & (one > 0)  # negative values were raised to 0
    assert positive.mean() > 0.9
    assert apart[positive] == pytest.approx((np.abs(image - one) * 2**0.5)[positive], abs=0.02)


def test_the_uncertainty_is_greyscale_from_zero(tmp_path):
    """What counts begin at has no say in how far they lie apart; what a count is worth has."""
    pan, ms, pan_at, ms_at = ramps(160, 160)
    files = write(tmp_path / "p.tif", pan, pan_at), write(tmp_path / "m.tif", ms, ms_at)
    file = gdal.OpenEx(str(files[1]), gdal.OF_UPDATE)
    for number, colour in enumerate((gdal.GCI_RedBand, gdal.GCI_GreenBand, gdal.GCI_BlueBand), 1):
        band = file.GetRasterBand(number)
        band.SetColorInterpretation(colour)
        band.SetScale(0.0001)
        band.SetOffset(-0.1)
    del band, file
    run(open_scene(*files), tmp_path)
    image, apart = (gdal.Open(str(tmp_path / name)) for name in ("o.tif", "u.tif"))
    assert (image.GetRasterBand(2).GetScale(), image.GetRasterBand(2).GetOffset()) == (0.0001, -0.1)
    assert (apart.GetRasterBand(2).GetScale(), apart.GetRasterBand(2).GetOffset() or 0) == (0.0001, 0)
    assert image.GetRasterBand(2).GetColorInterpretation() == gdal.GCI_GreenBand
    assert apart.GetRasterBand(2).GetColorInterpretation() not in (gdal.GCI_RedBand, gdal.GCI_GreenBand)


@pytest.mark.parametrize(("option", "kind"), [("compress=jpeg", "uint8"), ("NBITS=16", "uint16")])
def test_creation_options_for_counts_are_the_images_alone(scene, tmp_path, option, kind):
    """A spread is no picture, and half of its digits are not enough."""
    run(scene, tmp_path, dtype=kind, format="gtiff", options=(option, "BLOCKXSIZE=128", "BLOCKYSIZE=128"))
    run(scene, tmp_path / "inputs", dtype="float32")
    apart = gdal.Open(str(tmp_path / "u.tif"))
    assert apart.GetRasterBand(1).GetBlockSize() == [128, 128]
    assert np.array_equal(apart.ReadAsArray(), read(tmp_path / "inputs" / "u.tif"))


# --- whole or not at all ---------------------------------------------------------------------------------------------


@pytest.fixture
def scene(tmp_path):
    pan, ms, pan_at, ms_at = ramps(320, 280)
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    names = ("blue", "green", "red")
    return open_scene(write(inputs / "pan.tif", pan, pan_at), write(inputs / "ms.tif", ms, ms_at, names=names))


def run(scene, folder, engine=None, resume=False, side=64, notify=lambda sentence: None, apart="u.tif", **options):
    output = output_for(scene, folder / "o.tif", **options)
    outputs = [output, spread_output(output, folder / apart)] if apart else [output]
    fuse(scene, engine or Interpolate(), outputs, SceneStats(), {}, BlockRun(resume=resume, side=side), notify=notify)


def made(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_file())


PLAIN = {"format": "gtiff", "options": ("COMPRESS=NONE",)}


@pytest.mark.parametrize("options", [{"format": "cog"}, PLAIN], ids=["cog", "plain"])
def test_an_interrupted_run_goes_on_to_the_same_bytes_of_both(scene, tmp_path, options):
    with pytest.raises(KeyboardInterrupt, match="--resume continues"):
        run(scene, tmp_path, Ending(7, KeyboardInterrupt()), **options)
    assert made(tmp_path) == ["o.tif.part", "o.tif.part.json", "u.tif.part", "u.tif.part.json"]
    counting = Ending(1000)
    run(scene, tmp_path, counting, resume=True, **options)
    assert 0 < 1000 - counting.left < 25
    assert made(tmp_path) == ["o.tif", "u.tif"]
    straight = tmp_path / "straight"
    straight.mkdir()
    run(scene, straight, **options)
    for name in ("o.tif", "u.tif"):
        assert (tmp_path / name).read_bytes() == (straight / name).read_bytes()


def test_a_run_killed_while_it_completes_the_files_is_resumed_all_the_same(scene, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(scene, tmp_path, Ending(24, KeyboardInterrupt()), **PLAIN)
    with open(tmp_path / "u.tif.part", "r+b") as file:
        file.seek(4)
        file.write(bytes(4))
    counting = Ending(1000)
    run(scene, tmp_path, counting, resume=True, **PLAIN)
    assert 1000 - counting.left < 25
    assert read(tmp_path / "u.tif") == pytest.approx(read(tmp_path / "o.tif") / 10, abs=0.06)


@pytest.mark.parametrize(("before", "after"), [("u.tif", None), (None, "u.tif"), ("u.tif", "v.tif")])
def test_a_run_with_another_uncertainty_file_is_not_resumed(scene, tmp_path, before, after):
    with pytest.raises(KeyboardInterrupt):
        run(scene, tmp_path, Ending(7, KeyboardInterrupt()), apart=before)
    if before and after:  # and there is a file of yet another run
        for end in ("part", "part.json"):
            shutil.copy(tmp_path / f"{before}.{end}", tmp_path / f"{after}.{end}")
    counting, said = Ending(1000), []
    run(scene, tmp_path, counting, resume=True, apart=after, notify=said.append)
    assert 1000 - counting.left == 25
    assert [message.kind for message in said] == ["leftovers_of_other_run_removed"]
    assert {"o.tif", after} - {None} <= set(made(tmp_path))


@pytest.mark.parametrize("options", [{"format": "cog"}, PLAIN], ids=["cog", "plain"])
def test_a_failure_leaves_neither_image_nor_uncertainty(scene, tmp_path, options):
    with pytest.raises(RasterError, match="the disk has gone"):
        run(scene, tmp_path, Ending(7, RasterError("the disk has gone")), **options)
    assert made(tmp_path) == []


@pytest.mark.parametrize("taken", ["o.tif", "u.tif"])
def test_if_one_file_cannot_be_renamed_neither_is(scene, tmp_path, taken):
    class Obstructing(Interpolate):
        def fuse(self, block, progress=None):
            (tmp_path / taken / "folder").mkdir(parents=True, exist_ok=True)
            return super().fuse(block, progress)

    with pytest.raises(RasterError, match=rf"{taken} cannot be written"):
        run(scene, tmp_path, Obstructing())
    assert made(tmp_path) == []


def test_the_file_that_cannot_be_written_is_named(scene, tmp_path):
    with pytest.raises(RasterError, match=r"nowhere.u\.tif cannot be written"):
        run(scene, tmp_path, apart="nowhere/u.tif")
    assert made(tmp_path) == []


# --- invalid options -------------------------------------------------------------------------------------------------

REFUSED = {
    "--uncertainty needs --method ssdiff; GSA is deterministic": ["--method", "gsa"],
    "an uncertainty needs at least 2 samples, not 1": ["--samples", "1"],
    "image and uncertainty cannot share the file o.tif": ["--uncertainty", "o.tif"],
    "ms.tif is one of the inputs": ["--uncertainty", "ms.tif"],
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_invalid_options_are_one_sentence_and_leave_no_file(sample, tmp_path, monkeypatch, capsys, sentence):
    for path in sample[:2]:
        (tmp_path / path.name).symlink_to(path)
    words = ["pan.tif", "ms.tif", "o.tif", "--uncertainty", "u.tif", *REFUSED[sentence]]
    monkeypatch.chdir(tmp_path)
    assert main(["pansharpen", *words, "--progress", "none"]) == 1
    assert sentence in capsys.readouterr().err.splitlines()[-1]
    assert made(tmp_path) == ["ms.tif", "pan.tif"]


def test_an_uncertainty_file_is_not_taken_for_a_fused_image(scene, tmp_path):
    run(scene, tmp_path)
    assert files_in([tmp_path]) == [tmp_path / "o.tif"]
    inputs = scene.pan.path, [scene.ms[0].path]
    with pytest.raises(ConfigError, match=r"u\.tif is not a fused image: it shows the standard deviation"):
        open_studies([tmp_path / "u.tif"], *inputs, None, AssessOptions(), print)
