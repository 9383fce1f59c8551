"""Every file that is read is known: for resuming, and so that none is overwritten."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from command import ssdiff
from files import ramps, write
from osgeo import gdal

from ssdiff_core.common.errors import RasterError
from ssdiff_core.raster.input_files import files_read
from ssdiff_core.weights import scene_cache

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes with names of files")


@pytest.fixture
def ms(tmp_path):
    _, image, _, at = ramps(160, 160)
    return write(tmp_path / "ms.tif", image, at)


def names(*paths):
    return sorted(Path(path).name for path in files_read(paths))


def test_sidecars_pyramids_and_masks_are_read(ms):
    file = gdal.Open(str(ms))
    file.BuildOverviews("NEAREST", [2])
    file.GetRasterBand(1).ComputeStatistics(False)
    file.CreateMaskBand(gdal.GMF_PER_DATASET)
    file = None
    ms.with_name("ms.XML").write_text("<isd/>")
    ms.with_name("other.tif").write_text("")
    assert names(ms) == ["ms.XML", "ms.tif", "ms.tif.aux.xml", "ms.tif.msk", "ms.tif.ovr"]


def test_the_sources_of_virtual_rasters_are_read_however_deep(ms, tmp_path):
    ms.with_name("ms.XML").write_text("<isd/>")
    gdal.BuildVRT(str(tmp_path / "a.vrt"), [str(ms)]).FlushCache()
    gdal.Warp(str(tmp_path / "b.vrt"), str(tmp_path / "a.vrt"), format="VRT", dstSRS="EPSG:4326").FlushCache()
    assert names(tmp_path / "b.vrt") == ["a.vrt", "b.vrt", "ms.XML", "ms.tif"]


def test_a_part_of_a_file_is_a_source_too(ms, tmp_path):
    gdal.BuildVRT(str(tmp_path / "a.vrt"), [f"GTIFF_DIR:1:{ms}"]).FlushCache()
    assert names(tmp_path / "a.vrt") == ["a.vrt", "ms.tif"]


@pytest.mark.skipif(os.name == "nt", reason="names of files are text on Windows")
@pytest.mark.parametrize("name", [b"ms.tif", b"\xe4\xff.tif"])
def test_the_sources_of_a_virtual_raster_that_is_not_utf8_are_read(ms, tmp_path, name):
    source = os.fsencode(tmp_path) + b"/" + name
    if name != b"ms.tif":
        shutil.copy(ms, source)
    gdal.BuildVRT(str(tmp_path / "v.vrt"), [str(ms)]).FlushCache()
    text = (tmp_path / "v.vrt").read_bytes().replace(b"ms.tif", name)
    (tmp_path / "v.vrt").write_bytes(text.replace(b'band="1">', b'band="1"><Description>gr\xfcn\xe4</Description>'))
    assert os.fsdecode(source) in files_read([tmp_path / "v.vrt"])


def test_a_virtual_raster_that_names_itself_is_read_once(ms, tmp_path):
    gdal.BuildVRT(str(tmp_path / "a.vrt"), [str(ms)]).FlushCache()
    text = (tmp_path / "a.vrt").read_text().replace("ms.tif", "a.vrt")
    (tmp_path / "a.vrt").write_text(text)
    assert names(tmp_path / "a.vrt") == ["a.vrt"]


@pytest.mark.parametrize(
    "form", ["/vsizip/{}/ms.tif", "/vsizip/{{{}}}/ms.tif", "/vsisubfile/0_99999,/vsizip/{}/ms.tif"]
)
def test_of_what_is_in_an_archive_the_archive_is_read(ms, tmp_path, form):
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.write(ms, "ms.tif")
    gdal.BuildVRT(str(tmp_path / "a.vrt"), [f"/vsizip/{tmp_path}/z.zip/ms.tif"]).FlushCache()
    assert names(form.format(tmp_path / "z.zip")) == ["z.zip"]
    assert names(tmp_path / "a.vrt") == ["a.vrt", "z.zip"]


def test_what_is_remembered_of_a_scene_depends_on_the_sources_of_virtual_rasters(ms, tmp_path):
    gdal.BuildVRT(str(tmp_path / "a.vrt"), [str(ms)]).FlushCache()
    keys = set()
    for values in (1, 2):
        times = ms.stat().st_atime_ns, ms.stat().st_mtime_ns
        write(ms, ramps(160, 160)[1] + values, ramps()[3])
        os.utime(ms, ns=times)
        keys.add(scene_cache.key_of("statistics", files_read([tmp_path / "a.vrt"])))
    assert len(keys) == 2


def test_files_that_are_not_local_are_named(ms, tmp_path):
    gdal.FileFromMemBuffer("/vsimem/ms.tif", ms.read_bytes())
    gdal.BuildVRT(str(tmp_path / "a.vrt"), ["/vsimem/ms.tif"]).FlushCache()
    assert files_read([tmp_path / "a.vrt"]) == [str(tmp_path / "a.vrt"), "/vsimem/ms.tif"]
    assert scene_cache.key_of("statistics", files_read([tmp_path / "a.vrt"])) == ""
    gdal.Unlink("/vsimem/ms.tif")


def test_polygons_of_several_files_are_read(tmp_path):
    polygon = '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}'
    gdal.VectorTranslate(str(tmp_path / "p.shp"), polygon, format="ESRI Shapefile")
    assert names(tmp_path / "p.shp") == ["p.dbf", "p.prj", "p.shp", "p.shx"]


@posix
@pytest.mark.parametrize(
    "name", ["pan.tif", "ms.tif", "ms.XML", "ms.tif.aux.xml", "ms.IMD", "source.tif", "mask.geojson"]
)
def test_a_pipe_among_the_inputs_is_one_sentence_and_never_waited_for(ms, tmp_path, name):
    pan = write(tmp_path / "pan.tif", *ramps(160, 160)[::2][:2])
    source = write(tmp_path / "source.tif", *ramps(160, 160)[1::2][:2])
    gdal.BuildVRT(str(tmp_path / "v.vrt"), [str(source)]).FlushCache()
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    spectral = tmp_path / "v.vrt" if name == "source.tif" else ms
    words = [pan, spectral, tmp_path / "out.tif", "--method", "exp"]
    words += ["--mask", tmp_path / name] if name.startswith("mask") else []
    command = [sys.executable, "-m", "ssdiff_core", "pansharpen", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600)
    assert done.returncode == 1
    assert f"{tmp_path / name} is a pipe and not a file" in done.stderr.splitlines()[-1]


@posix
def test_a_pipe_with_another_name_in_the_folder_does_not_matter(ms, tmp_path):
    os.mkfifo(tmp_path / "msx")
    os.mkfifo(tmp_path / "a")
    assert names(ms) == ["ms.tif"]


def test_folders_with_the_names_of_sidecars_do_not_matter(ms, tmp_path):
    pan = write(tmp_path / "pan.tif", *ramps(160, 160)[::2][:2])
    for name in ("ms.IMD", "ms.XML", "pan.IMD", "pan_MTL.txt"):
        (tmp_path / name).mkdir()
    assert names(ms) == ["ms.tif"]
    ssdiff("pansharpen", pan, ms, tmp_path / "o.tif", "--method", "exp")


@posix
def test_an_input_that_is_a_device_is_one_sentence():
    with pytest.raises(RasterError, match="/dev/null is a device and not a file"):
        files_read(["/dev/null"])
