"""Scenes into files: whole or not at all, and nothing lost on the way."""

import os
import time
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import slow_run
from files import Ending, Interpolate, ramps, read, write
from hypothesis import given
from hypothesis import strategies as st
from osgeo import gdal

from ssdiff_core.common.errors import Cancelled, RasterError, SSDiffError
from ssdiff_core.domain.block import SceneStats
from ssdiff_core.domain.block_passes import blocks_of
from ssdiff_core.domain.window import Window
from ssdiff_core.raster.output import output_for
from ssdiff_core.raster.reader import open_scene
from ssdiff_core.workflows.block_writer import BlockRun, fuse


@pytest.fixture
def scene(tmp_path):
    pan, ms, pan_at, ms_at = ramps(320, 280)
    names = ("blue", "green", "red")
    files = write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at, names=names)
    return open_scene(*files)


def run(scene, path, engine=None, provenance=None, stats=None, **options):
    how = BlockRun(**{key: options.pop(key) for key in ("resume", "side", "workers") if key in options})
    hear = {key: options.pop(key) for key in ("progress", "notify") if key in options}
    output = output_for(scene, path, **options)
    fuse(scene, engine or Interpolate(), [output], stats or SceneStats(), provenance or {"method": "exp"}, how, **hear)
    return output


def beside(path):
    return sorted(p.name for p in path.parent.iterdir() if p.name.startswith(path.name))


@pytest.mark.parametrize("kind", ["cog", "gtiff"])
@pytest.mark.parametrize("side", [64, 100, 1024])
def test_the_file_does_not_depend_on_blocks(scene, tmp_path, kind, side):
    run(scene, tmp_path / "out.tif", format=kind, side=side)
    image = read(tmp_path / "out.tif")
    r, c = np.mgrid[:320, :280]
    expected = np.stack([1000 + 4 * r + 8 * c + 500 * k for k in range(3)])
    assert image.dtype == np.uint16
    assert np.abs(image.astype(int) - expected)[:, 12:-12, 12:-12].max() <= 1
    assert beside(tmp_path / "out.tif") == ["out.tif"]


def test_the_file_carries_the_metadata_of_the_inputs(scene, tmp_path):
    said = {"method": "exp", "weights": "none", "seed": "3"}
    run(scene, tmp_path / "out.tif", provenance=said)
    out = gdal.Open(str(tmp_path / "out.tif"))
    assert out.GetGeoTransform() == gdal.Open(scene.pan.path).GetGeoTransform()
    assert out.GetSpatialRef().IsSame(gdal.Open(scene.pan.path).GetSpatialRef())
    assert [out.GetRasterBand(i).GetDescription() for i in (1, 2, 3)] == ["blue", "green", "red"]
    assert {k: v for k, v in out.GetMetadata().items() if k.startswith("SSDIFF_")} == {
        "SSDIFF_METHOD": "exp",
        "SSDIFF_WEIGHTS": "none",
        "SSDIFF_SEED": "3",
    }
    band = out.GetRasterBand(2)
    image = band.ReadAsArray()
    statistics = {k: float(v) for k, v in band.GetMetadata().items() if k.startswith("STATISTICS_M")}
    assert statistics["STATISTICS_MEAN"] == pytest.approx(image.mean(), rel=1e-6)
    assert statistics["STATISTICS_MAXIMUM"] == image.max()
    assert out.GetMetadata("IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    assert out.GetMetadata("IMAGE_STRUCTURE")["COMPRESSION"] in ("ZSTD", "DEFLATE")


def test_statistics_are_those_of_the_valid_pixels(tmp_path):
    pan, ms, pan_at, ms_at = ramps(160, 160)
    ms[:, :8, :8] = 0
    files = write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at, nodata=0)
    run(open_scene(*files), tmp_path / "out.tif", side=64)
    out = gdal.Open(str(tmp_path / "out.tif"))
    image, band = out.ReadAsArray()[1], out.GetRasterBand(2)
    valid = image[image != 0].astype(float)
    told = [float(band.GetMetadataItem(f"STATISTICS_{key}")) for key in ("MINIMUM", "MAXIMUM", "MEAN", "STDDEV")]
    assert told == pytest.approx([valid.min(), valid.max(), valid.mean(), valid.std()], rel=1e-12)
    assert float(band.GetMetadataItem("STATISTICS_VALID_PERCENT")) == pytest.approx(100 * valid.size / image.size, 1e-3)


ODD = [
    "INTERLEAVE=PIXEL",
    "TILED=NO",
    "ENDIANNESS=BIG",
    "BIGTIFF=YES",
    "BLOCKXSIZE=16",
    "BLOCKYSIZE=512",
    "SPARSE_OK=YES",
]


@pytest.mark.parametrize("option", ODD)
def test_uncompressed_files_of_any_layout_hold_the_same_pixels(scene, tmp_path, option):
    run(scene, tmp_path / "cog.tif")
    run(scene, tmp_path / "out.tif", format="gtiff", options=("COMPRESS=NONE", option), side=100)
    assert np.array_equal(read(tmp_path / "out.tif"), read(tmp_path / "cog.tif"))
    assert beside(tmp_path / "out.tif") == ["out.tif"]


def test_several_workers_write_the_same_file(scene, tmp_path):
    run(scene, tmp_path / "one.tif", side=64)
    run(scene, tmp_path / "three.tif", side=64, workers=3)
    assert (tmp_path / "one.tif").read_bytes() == (tmp_path / "three.tif").read_bytes()


@pytest.mark.parametrize("options", [{"format": "cog"}, {"format": "gtiff", "options": ("COMPRESS=NONE",)}])
def test_wavelengths_and_image_metadata_are_carried_over(tmp_path, options):
    pan, ms, pan_at, ms_at = ramps(160, 160)
    files = write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at)
    file = gdal.OpenEx(str(files[1]), gdal.OF_UPDATE)
    file.SetMetadata(
        {"SATELLITEID": "WV03", "CLOUDCOVER": "2", "ACQUISITIONDATETIME": "2020-06-01 10:20:30"}, "IMAGERY"
    )
    for number, micrometres in enumerate(("0.48", "0.545", "0.66"), 1):
        band = file.GetRasterBand(number)
        band.SetMetadataItem("wavelength", str(1000 * float(micrometres)))
        band.SetMetadataItem("CENTRAL_WAVELENGTH_UM", micrometres, "IMAGERY")
    del band, file
    run(open_scene(*files, bands=(3, 1)), tmp_path / "out.tif", **options)
    out = gdal.Open(str(tmp_path / "out.tif"))
    assert out.GetMetadataItem("SATELLITEID") == "WV03"
    assert out.GetMetadataItem("ACQUISITIONDATETIME") == "2020-06-01 10:20:30"
    for number, micrometres in ((1, "0.66"), (2, "0.48")):
        band = out.GetRasterBand(number)
        assert band.GetMetadataItem("CENTRAL_WAVELENGTH_UM") == micrometres
        assert float(band.GetMetadataItem("wavelength")) == 1000 * float(micrometres)
        if options["format"] == "gtiff":  # not every GDAL copies a domain into a COG
            assert band.GetMetadataItem("CENTRAL_WAVELENGTH_UM", "IMAGERY") == micrometres


def test_a_pixel_is_point_file_keeps_its_place(tmp_path):
    pan, ms, pan_at, ms_at = ramps(160, 160)
    files = write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at)
    for path in files:
        gdal.OpenEx(str(path), gdal.OF_UPDATE).SetMetadataItem("AREA_OR_POINT", "Point")
    assert gdal.Open(str(files[0])).GetMetadataItem("AREA_OR_POINT") == "Point"
    run(open_scene(*files), tmp_path / "out.tif")
    out = gdal.Open(str(tmp_path / "out.tif"))
    assert out.GetMetadataItem("AREA_OR_POINT") == "Area"
    assert out.GetGeoTransform() == gdal.Open(str(files[0])).GetGeoTransform()


def test_overviews_come_with_images_that_need_them(tmp_path):
    pan, ms, pan_at, ms_at = ramps(1200, 1100)
    scene = open_scene(write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at))
    run(scene, tmp_path / "out.tif")
    out = gdal.Open(str(tmp_path / "out.tif"))
    assert out.GetRasterBand(1).GetOverviewCount() >= 1


def test_creation_options_of_the_user_win(scene, tmp_path):
    run(scene, tmp_path / "out.tif", format="gtiff", options=("compress=NONE", "BLOCKXSIZE=128", "BLOCKYSIZE=128"))
    out = gdal.Open(str(tmp_path / "out.tif"))
    assert "COMPRESSION" not in out.GetMetadata("IMAGE_STRUCTURE")
    assert out.GetRasterBand(1).GetBlockSize() == [128, 128]


def test_masked_pixels_are_nodata_and_no_valid_pixel_is(tmp_path):
    pan, ms, pan_at, ms_at = ramps(160, 160)
    ms[:, 20:, 20:] = 1
    ms[:, :8, :8] = 0
    files = write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at, nodata=0)
    scene = open_scene(*files)
    run(scene, tmp_path / "out.tif")
    out = gdal.Open(str(tmp_path / "out.tif"))
    assert out.GetRasterBand(1).GetNoDataValue() == 0
    seen = out.GetRasterBand(1).GetMaskBand().ReadAsArray() > 0
    assert not seen[:36, :36].any()
    assert seen.sum() == 160 * 160 - 36 * 36


@pytest.mark.parametrize(("kind", "nodata"), [("uint8", 0), ("int16", -32768), ("uint16", 0)])
def test_masks_become_a_nodata_value_that_fits_the_type(scene, tmp_path, kind, nodata):
    masked = replace(scene, pan=replace(scene.pan, masked=True))
    assert output_for(masked, tmp_path / "o.tif", dtype=kind).nodata == nodata
    assert np.isnan(output_for(masked, tmp_path / "o.tif", dtype="float32").nodata)
    assert output_for(scene, tmp_path / "o.tif", dtype=kind).nodata is None
    with pytest.raises(SSDiffError, match="does not fit in uint8"):
        output_for(scene, tmp_path / "o.tif", dtype="uint8", nodata=-9999)


def test_invalid_pixels_of_an_integer_image_without_nodata_are_reported(tmp_path):
    pan, ms, pan_at, ms_at = ramps(160, 160, dtype=np.float32)
    ms[:, 10:12, 10:12] = np.nan
    files = write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at)
    kinds = {"plain": {"dtype": "uint16"}, "marked": {"dtype": "uint16", "nodata": 0}, "float": {}}
    told = {}
    for name, how in kinds.items():
        said = []
        run(open_scene(*files), tmp_path / f"{name}.tif", notify=said.append, **how)
        told[name] = {message.kind: message.values for message in said}
    zeros = int((read(tmp_path / "plain.tif")[0] == 0).sum())
    assert told["plain"] == {
        "invalid_pixels_are_zero": {"path": str(tmp_path / "plain.tif"), "count": zeros},
    }
    assert zeros == np.isnan(read(tmp_path / "float.tif")[0]).sum() > 0
    assert told["marked"] == told["float"] == {}


@pytest.mark.parametrize(("largest", "steps"), [(2**24, []), (2**24 + 2, [2]), (-(2**30), [128])])
def test_counts_with_more_digits_than_are_computed_are_reported(tmp_path, largest, steps):
    pan, ms, pan_at, ms_at = ramps(160, 160, dtype=np.int32)
    ms[:] = largest
    files = write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at)
    said = []
    run(open_scene(*files), tmp_path / "out.tif", notify=said.append)
    values = {"path": str(tmp_path / "out.tif"), "largest": abs(largest)}
    assert [(message.kind, message.values) for message in said] == [
        ("digits_lost", {**values, "step": step}) for step in steps
    ]


@given(st.integers(-50, 50), st.integers(1, 80), st.integers(1, 80), st.integers(1, 60))
def test_blocks_cover_the_scene_once(start, height, width, side):
    window = Window(start, -start, height, width)
    parts = blocks_of(window, side)
    assert sum(part.height * part.width for part in parts) == height * width
    assert all(part in window for part in parts)
    assert len(set(parts)) == len(parts)


@pytest.mark.parametrize("kind", ["cog", "gtiff", "plain"])
def test_an_interrupted_run_can_be_resumed(scene, tmp_path, kind):
    out, options = tmp_path / "out.tif", {"format": "cog"}
    if kind != "cog":
        options = {"format": "gtiff", "options": ("COMPRESS=NONE",) if kind == "plain" else ()}
    with pytest.raises(KeyboardInterrupt):
        run(scene, out, Ending(7, KeyboardInterrupt()), side=64, **options)
    assert not out.exists()
    counting, said = Ending(1000, None), []
    run(scene, out, counting, side=64, resume=True, notify=said.append, **options)
    assert 1000 - counting.left < 25
    assert said[0].kind == "resumed"
    run(scene, tmp_path / "straight.tif", side=64, **options)
    assert np.array_equal(read(out), read(tmp_path / "straight.tif"))
    assert statistics(out) == statistics(tmp_path / "straight.tif")
    assert beside(out) == ["out.tif"]


def test_a_cancelled_run_that_resumes_keeps_its_blocks_and_any_other_leaves_nothing(scene, tmp_path):
    out, said = tmp_path / "out.tif", []
    with pytest.raises(Cancelled):
        run(scene, out, Ending(7, Cancelled("cancelled")), side=64)
    assert beside(out) == []
    with pytest.raises(Cancelled):
        run(scene, out, Ending(7, Cancelled("cancelled")), side=64, resume=True, notify=said.append)
    run(scene, out, side=64, resume=True, notify=said.append)
    kept, resumed = said
    assert (kept.kind, resumed.kind, kept.values) == ("blocks_kept", "resumed", resumed.values)
    assert beside(out) == ["out.tif"]


@pytest.mark.parametrize("error", [RasterError("the disk has gone"), ValueError("a mistake"), SystemExit("an end")])
def test_a_failure_leaves_nothing(scene, tmp_path, error):
    with pytest.raises(type(error), match=str(error)):
        run(scene, tmp_path / "out.tif", Ending(7, error), side=64)
    assert beside(tmp_path / "out.tif") == []


def statistics(path):
    file = gdal.Open(str(path))
    return [file.GetRasterBand(i).GetMetadata() for i in range(1, file.RasterCount + 1)]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="only Linux tells which files are open")
@pytest.mark.parametrize("kind", ["cog", "gtiff"])
def test_files_are_closed_before_they_are_removed_after_a_failure(scene, tmp_path, monkeypatch, kind):
    """Else Windows would not remove it, and the user would hear of that instead of the failure."""
    still_open = []

    class Obstructing(Interpolate):
        def fuse(self, block, progress=None):
            (tmp_path / "out.tif.whole.tif").mkdir(exist_ok=True)  # no image can be written there
            return super().fuse(block, progress)

    def look(outputs):
        opened = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
        names = map(os.path.basename, opened)  # the journal is closed when it is removed, on Windows before that
        still_open.extend(name for name in names if name.startswith("out.tif") and name != "out.tif.part.json")

    monkeypatch.setattr("ssdiff_core.workflows.block_writer.clean_up", look)
    with pytest.raises(RasterError, match="cannot be written"):
        run(scene, tmp_path / "out.tif", Obstructing(), format=kind)
    assert still_open == []


def test_an_output_that_cannot_be_replaced_is_an_error_before_anything_is_computed(scene, tmp_path, monkeypatch):
    """As on Windows, where QGIS holds the files of its layers."""

    def held(one, other):
        raise PermissionError(13, "another process uses it", str(one))

    (tmp_path / "out.tif").write_bytes(b"a layer of before")
    monkeypatch.setattr("os.rename", held)
    with pytest.raises(RasterError, match=r"out\.tif cannot be written: another process uses it"):
        run(scene, tmp_path / "out.tif", Ending(0, AssertionError("something was computed")))
    assert (tmp_path / "out.tif").read_bytes() == b"a layer of before"
    assert beside(tmp_path / "out.tif") == ["out.tif"]


def test_the_final_rename_waits_for_virus_scanners(scene, tmp_path, monkeypatch):
    """As they do on Windows; nothing of the work is lost."""
    replace_, tries = os.replace, []

    def held(one, other):
        tries.append(other)
        if len(tries) < 3:
            raise PermissionError(13, "a scanner looks at it", str(one))
        replace_(one, other)

    monkeypatch.setattr("os.replace", held)
    run(scene, tmp_path / "out.tif")
    assert len(tries) == 3
    assert beside(tmp_path / "out.tif") == ["out.tif"]


def test_a_run_killed_while_it_completes_the_file_is_resumed_all_the_same(scene, tmp_path):
    """The directory is rewritten at the very end: at worst the head points to where no directory is."""
    out, plain = tmp_path / "out.tif", {"format": "gtiff", "options": ("COMPRESS=NONE",), "side": 64}
    run(scene, tmp_path / "straight.tif", **plain)
    with pytest.raises(KeyboardInterrupt):
        run(scene, out, Ending(24, KeyboardInterrupt()), **plain)
    with open(tmp_path / "out.tif.part", "r+b") as file:
        file.seek(4)
        file.write(bytes(4))
    with pytest.raises(RuntimeError):
        gdal.Open(str(tmp_path / "out.tif.part"))
    counting = Ending(1000, None)
    run(scene, out, counting, resume=True, **plain)
    assert 1000 - counting.left < 25
    assert np.array_equal(read(out), read(tmp_path / "straight.tif"))


@pytest.mark.parametrize("torn", ["[3, [[1", "[", "3", "{}"])
def test_an_incomplete_line_of_the_journal_is_ignored(scene, tmp_path, torn):
    out = tmp_path / "out.tif"
    with pytest.raises(KeyboardInterrupt):
        run(scene, out, Ending(3, KeyboardInterrupt()), side=64)
    journal = tmp_path / "out.tif.part.json"
    journal.write_text("\n".join([*journal.read_text().splitlines()[:3], torn]))
    counting = Ending(1000, None)
    run(scene, out, counting, side=64, resume=True)
    assert 1000 - counting.left == 25


def test_work_on_other_inputs_is_not_resumed(scene, tmp_path):
    out = tmp_path / "out.tif"
    with pytest.raises(KeyboardInterrupt):
        run(scene, out, Ending(7, KeyboardInterrupt()), side=64)
    counting = Ending(1000, None)
    run(scene, out, counting, side=64, resume=True, provenance={"method": "exp", "seed": "4"})
    assert 1000 - counting.left == 25


def test_work_on_an_input_that_has_changed_since_is_not_resumed(scene, tmp_path):
    out = tmp_path / "out.tif"
    with pytest.raises(KeyboardInterrupt):
        run(scene, out, Ending(7, KeyboardInterrupt()), side=64)
    os.utime(scene.pan.path, ns=(1, 1))
    counting, said = Ending(1000, None), []
    run(scene, out, counting, side=64, resume=True, notify=said.append)
    assert 1000 - counting.left == 25
    assert [message.kind for message in said] == ["leftovers_of_other_run_removed"]


def test_work_on_a_changed_file_behind_an_input_is_not_resumed(tmp_path, monkeypatch):
    """Size and time of modification may even be those of before."""
    pan, ms, pan_at, ms_at = ramps(320, 280)
    out, copy = tmp_path / "out.tif", tmp_path / "copy.tif"
    source = write(tmp_path / "ms.tif", ms, ms_at)
    gdal.BuildVRT(str(tmp_path / "a.vrt"), [str(source)]).FlushCache()
    gdal.BuildVRT(str(tmp_path / "b.vrt"), [str(tmp_path / "a.vrt")]).FlushCache()
    pack(tmp_path / "z.zip", source)
    for name, changed in (("b.vrt", source), ("/vsizip/z.zip/ms.tif", tmp_path / "z.zip"), ("ms.tif", source)):
        monkeypatch.chdir(tmp_path)
        scene = open_scene(write(tmp_path / "pan.tif", pan, pan_at), name)
        with pytest.raises(KeyboardInterrupt):
            run(scene, out, Ending(7, KeyboardInterrupt()), side=64)
        times = changed.stat().st_atime_ns, changed.stat().st_mtime_ns
        write(source, ms[:, ::-1], ms_at)
        pack(tmp_path / "z.zip", source)
        os.utime(changed, ns=times)
        said = []
        run(scene, out, side=64, resume=True, notify=said.append)
        assert [message.kind for message in said] == ["leftovers_of_other_run_removed"]
        run(scene, copy, side=64)
        assert np.array_equal(read(out), read(copy))
        write(source, ms, ms_at)
        pack(tmp_path / "z.zip", source)


def pack(path, *files):
    with zipfile.ZipFile(path, "w") as archive:
        for file in files:
            archive.write(file, file.name)


def test_work_is_resumed_if_qgis_has_stored_statistics_of_the_inputs_since(scene, tmp_path):
    out, said = tmp_path / "out.tif", []
    with pytest.raises(KeyboardInterrupt):
        run(scene, out, Ending(7, KeyboardInterrupt()), side=64)
    for path in scene.files:
        raster = gdal.Open(path)  # as QGIS opens it, without writing to it
        raster.GetRasterBand(1).ComputeStatistics(False)
        raster.GetRasterBand(1).GetDefaultHistogram(force=True)
        raster = None
        assert os.path.exists(f"{path}.aux.xml")
    run(scene, out, side=64, resume=True, notify=said.append)
    assert said[0].kind == "resumed"


def test_work_is_not_resumed_if_a_sidecar_has_come(scene, tmp_path):
    out = tmp_path / "out.tif"
    with pytest.raises(KeyboardInterrupt):
        run(scene, out, Ending(7, KeyboardInterrupt()), side=64)
    (tmp_path / "ms.XML").write_text("<isd/>")
    said = []
    run(scene, out, side=64, resume=True, notify=said.append)
    assert [message.kind for message in said] == ["leftovers_of_other_run_removed"]


@pytest.mark.parametrize("options", [{}, {"format": "gtiff", "options": ("COMPRESS=NONE",)}], ids=["cog", "plain"])
def test_pyramids_statistics_and_masks_of_the_replaced_image_are_removed(scene, tmp_path, options):
    out = tmp_path / "out.tif"
    old = write(out, np.full((3, 320, 280), 7, np.uint16), mask=np.zeros((320, 280), bool))
    file = gdal.Open(str(old))
    file.BuildOverviews("NEAREST", [2, 4])
    file.GetRasterBand(1).ComputeStatistics(False)
    file = None
    assert beside(out) == ["out.tif", "out.tif.aux.xml", "out.tif.msk", "out.tif.msk.ovr", "out.tif.ovr"]
    run(scene, out, **options)
    assert beside(out) == ["out.tif"]
    image = gdal.Open(str(out))
    new = image.GetRasterBand(1)
    assert new.GetOverviewCount() == 0
    assert new.GetMaskFlags() == gdal.GMF_ALL_VALID
    assert new.GetStatistics(True, False)[1] == new.ReadAsArray().max()


def test_a_failed_run_keeps_what_belongs_to_the_old_image(scene, tmp_path):
    out = tmp_path / "out.tif"
    gdal.Open(str(write(out, np.full((3, 320, 280), 7, np.uint16)))).BuildOverviews("NEAREST", [2])
    before = {name: (tmp_path / name).read_bytes() for name in ("out.tif", "out.tif.ovr")}
    with pytest.raises(RasterError):
        run(scene, out, Ending(7, RasterError("the disk has gone")), side=64)
    assert {name: (tmp_path / name).read_bytes() for name in beside(out)} == before


def test_without_resume_leftovers_are_removed(scene, tmp_path):
    out = tmp_path / "out.tif"
    with pytest.raises(KeyboardInterrupt):
        run(scene, out, Ending(3, KeyboardInterrupt()), side=64)
    counting, said = Ending(1000, None), []
    run(scene, out, counting, side=64, notify=said.append)
    assert 1000 - counting.left == 25
    assert [message.kind for message in said] == ["leftovers_removed"]
    assert beside(out) == ["out.tif"]


@pytest.mark.parametrize("apart", ["", "apart.tif"], ids=["the image", "with its uncertainty"])
def test_killed_at_random_moments_it_goes_on_to_the_same_pixels(scene, tmp_path, apart):
    out, apart = tmp_path / "out.tif", apart and tmp_path / apart
    files = scene.pan.path, scene.ms[0].path, str(out), str(apart)
    run(scene, tmp_path / "straight.tif", side=64)
    straight = read(tmp_path / "straight.tif")
    rng, kills = np.random.default_rng(int.from_bytes(os.urandom(4), "big")), 0
    for _ in range(2):
        child = slow_run.start(*files)
        time.sleep(rng.uniform(0, 1.2))
        if child.is_alive():
            child.kill()
            kills += 1
        child.join()
        if out.exists():  # whole, then: it was moved there in one step
            break
    assert kills
    if out.exists():
        assert np.array_equal(read(out), straight)
    last = slow_run.start(*files)
    last.join()
    assert last.exitcode == 0
    assert np.array_equal(read(out), straight)
    assert beside(out) == ["out.tif"]
    if apart:
        assert read(apart) == pytest.approx(straight / 10, abs=0.06)
        assert beside(apart) == ["apart.tif"]


def test_a_folder_that_cannot_be_written_is_one_sentence(scene, tmp_path):
    with pytest.raises(RasterError, match=r"out\.tif cannot be written") as caught:
        run(scene, tmp_path / "no" / "out.tif")
    assert "\n" not in str(caught.value)


def test_a_truncated_input_is_one_sentence_and_leaves_no_output(tmp_path):
    pan, ms, pan_at, ms_at = ramps(320, 280)
    files = write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at)
    whole = files[0].read_bytes()
    scene = open_scene(*files)
    files[0].write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RasterError, match=r"pan\.tif cannot be read"):
        run(scene, tmp_path / "out.tif", side=64)
    assert not (tmp_path / "out.tif").exists()


def test_a_damaged_line_of_the_journal_is_computed_again(scene, tmp_path):
    """Otherwise its block would count as done, or its sums would be in the statistics."""
    out = tmp_path / "out.tif"
    with pytest.raises(KeyboardInterrupt):
        run(scene, out, Ending(7, KeyboardInterrupt()), side=64)
    journal = output_for(scene, out).journal
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join([lines[0], *(line.replace("[", "[1", 1) for line in lines[1:])]))
    counting = Ending(1000, None)
    run(scene, out, counting, side=64, resume=True)
    assert 1000 - counting.left == 25
    run(scene, tmp_path / "straight.tif", side=64)
    assert np.array_equal(read(out), read(tmp_path / "straight.tif"))
    assert statistics(out) == statistics(tmp_path / "straight.tif")
