"""Metadata of rasters and of the files next to them, whatever is in those."""

import time

import pytest
from command import ssdiff
from files import sample_files
from osgeo import gdal

from ssdiff_core.raster import metadata
from ssdiff_core.raster.input_files import files_read
from ssdiff_core.raster.vendor_metadata import MAXIMUM_DEPTH, MAXIMUM_ENTRIES, band_names, metadata_files, parsed

BROKEN = {
    "ms.XML": "<isd><IMD><BAND_B></BAND_G></IMD>",
    "ms.IMD": "BEGIN_GROUP = \x00\xff",
    "ms_rpc.txt": "GROUP = x",
    "ms.RPB": "satId = 1;",
    "DIM_ms.XML": "<Dimap_Document",
    "summary.txt": "\x00",
}


@pytest.fixture
def pair(tmp_path):
    """PAN and MS of the sample as pan.tif and ms.tif."""
    pan, ms, truth = sample_files(tmp_path, 64)
    truth.unlink()
    return pan, ms


def fused(pair):
    out = pair[0].with_name("out.tif")
    ssdiff("pansharpen", *pair, out, "--method", "exp", "--align", "none")
    return gdal.Open(str(out))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_next_to_a_raster_is_ignored(pair, name):
    pair[1].with_name(name).write_text(BROKEN[name], "latin-1")
    assert fused(pair).RasterCount == 4


def test_nothing_of_files_next_to_the_inputs_is_written_next_to_the_output(pair):
    pair[1].with_name("summary.txt").write_text('Lbi_Satellite="ALOS"\nPdi_ProductDataSize="1"\n')
    fused(pair)
    assert {each.name for each in pair[1].parent.iterdir()} == {"pan.tif", "ms.tif", "out.tif", "summary.txt"}


@pytest.mark.parametrize("name", ["ms.IMD", "ms.XML", "ms_MTL.txt"])
def test_a_folder_with_the_name_of_a_metadata_file_is_ignored(pair, name):
    pair[1].with_name(name).mkdir()
    assert fused(pair).RasterCount == 4


def test_names_and_metadata_in_latin1_are_kept(pair):
    source = gdal.Open(str(pair[1]), gdal.GA_Update)
    source.GetRasterBand(2).SetDescription("gruxn")
    source.GetRasterBand(1).SetMetadataItem("Ortxx", "Kolnx")
    source = None
    data = pair[1].read_bytes()
    for text, latin1 in ((b"gruxn", b"gr\xfcnn"), (b"Ortxx", b"\xd6rttt"), (b"Kolnx", b"K\xf6lnn")):
        data = data.replace(text, latin1)
    pair[1].write_bytes(data)
    image = fused(pair)
    assert image.GetRasterBand(2).GetDescription() == "grünn"
    assert image.GetRasterBand(1).GetMetadata()["Örttt"] == "Kölnn"


def test_gdal_does_not_read_a_text_for_which_it_needs_quadratic_time(pair):
    """Its time for these keys is over a minute; they are 12 times as many bytes as the most that it is given."""
    text = "\n".join(f"key{number} = 1;" for number in range(60_000))
    pair[1].with_name("ms.IMD").write_text(text)
    source = gdal.Open(str(pair[1]))
    assert metadata.entries(source, "IMD") == {}
    assert metadata.files(source) == [str(pair[1])]
    pair[1].with_name("ms.tif.aux.xml").write_text("<PAMDataset/>")
    assert {str(pair[1]), f"{pair[1]}.aux.xml"} <= set(files_read([pair[1]]))
    assert fused(pair).RasterCount == 4


def test_a_text_of_usual_size_is_read_by_gdal(pair):
    pair[1].with_name("ms.IMD").write_text(
        'version = "AA";\nBEGIN_GROUP = IMAGE_1\n\tsatId = "WV02";\nEND_GROUP\nEND;\n'
    )
    assert metadata.entries(gdal.Open(str(pair[1])), "IMAGERY")["SATELLITEID"] == "WV02"


def test_deep_and_wide_documents_give_no_more_than_the_limits():
    document = "<a>" * 1000 + "<b>1</b>" + "</a>" * 999 + "<b>1</b>" * (MAXIMUM_ENTRIES + 5) + "</a>"
    assert len(parsed(document)) == MAXIMUM_ENTRIES
    groups = "BEGIN_GROUP = y\n" * (MAXIMUM_DEPTH + 5) + "a = b\n"
    assert parsed(groups) == []


def test_a_metadata_file_that_is_too_large_is_ignored(tmp_path):
    with open(tmp_path / "a.xml", "wb") as file:
        file.truncate(2**23)
    assert list(metadata_files([str(tmp_path / "a.xml")])) == []


@pytest.mark.parametrize(
    "text",
    [
        f"GROUP = {'n' * 100_000}\n" + "a = b\n" * 1000,
        f"<{'n' * 100_000}>" + "<b>1</b>" * 1000 + f"</{'n' * 100_000}>",
    ],
)
def test_long_names_are_cut_so_that_entries_do_not_repeat_them(text):
    entries = parsed(text)
    assert len(entries) == 1000
    assert sum(len(key) for key, _ in entries) < len(text)


def test_groups_that_are_opened_and_closed_take_linear_time():
    text = "GROUP = x\n" * 400_000 + "END_GROUP = x\n" * 400_000
    start = time.process_time()
    assert parsed(text) == []
    assert time.process_time() - start < 20


@pytest.mark.parametrize("number", ["\u00b2", "9" * 5000, "-1"])
def test_numbers_of_bands_that_are_none_are_ignored(number):
    assert band_names([("Raster_Index.BAND_ID", "B0"), ("Raster_Index.BAND_INDEX", number)]) == ()
