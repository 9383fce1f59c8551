"""Offline mode: nothing on the network is opened, whatever names it. The servers are real and count requests."""

import pytest
from command import ssdiff
from files import sample_files
from osgeo import gdal
from servers import Files, running

from ssdiff_core.raster.network import remote_source

SIZE = 'rasterXSize="16" rasterYSize="16"'


@pytest.fixture
def server():
    with running(Files({})) as server:
        yield server


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("SSDIFF_OFFLINE", "1")


def vrt(path, source, relative=0):
    path.write_text(
        f'<VRTDataset {SIZE}><VRTRasterBand dataType="UInt16" band="1"><SimpleSource>'
        f'<SourceFilename relativeToVRT="{relative}">{source}</SourceFilename></SimpleSource></VRTRasterBand>'
        "</VRTDataset>"
    )
    return path


@pytest.mark.parametrize("prefix", ["/vsicurl/", "", "/vsizip//vsicurl/"])
def test_a_vrt_with_a_source_on_the_network_is_one_sentence_and_no_request(prefix, server, tmp_path):
    pan = sample_files(tmp_path, 64)[0]
    ms = vrt(tmp_path / "ms.vrt", f"{prefix}{server.url}/x.tif")
    said = ssdiff("pansharpen", pan, ms, tmp_path / "o.tif", "--method", "exp", expect=1).stderr
    assert f"{ms} is not opened, as it is on the network" in said
    assert not server.asked


def test_a_vrt_within_a_vrt_is_followed(server, tmp_path):
    vrt(tmp_path / "inner.vrt", f"&#47;vsicurl/{server.url}/x.tif")
    assert remote_source(str(vrt(tmp_path / "outer.vrt", "inner.vrt", 1))) == f"/vsicurl/{server.url}/x.tif"


def test_a_vrt_that_names_itself_has_no_source_on_the_network(tmp_path):
    assert remote_source(str(vrt(tmp_path / "a.vrt", "a.vrt", 1))) is None


def test_a_fused_file_that_names_addresses_causes_no_request(server, tmp_path):
    pan, ms, _ = sample_files(tmp_path, 64)
    ssdiff("pansharpen", pan, ms, tmp_path / "o.tif", "--method", "exp", "--format", "gtiff")
    image = gdal.Open(str(tmp_path / "o.tif"), gdal.GA_Update)
    for key in ("SSDIFF_PAN", "SSDIFF_MS"):
        image.SetMetadataItem(key, f"/vsicurl/{server.url}/secret.tif")
    image = None
    assert "give it with --pan" in ssdiff("assess", tmp_path / "o.tif", expect=1).stderr
    assert not server.asked


@pytest.mark.parametrize("name", ["https://host/a.tif", "/vsis3/bucket/a.tif", "WMS:http://host", "/vsicurl?url=x"])
def test_addresses_are_on_the_network(name):
    assert remote_source(name) == name


def test_local_files_are_not_on_the_network(tmp_path):
    pan, *_ = sample_files(tmp_path, 64)
    for name in (str(pan), str(vrt(tmp_path / "a.vrt", pan)), "/vsizip/a.zip/b.tif", "C:\\a.tif"):
        assert remote_source(name) is None
