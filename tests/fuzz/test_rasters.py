"""Fuzzers of rasters and of the files next to them: each run gives an image or one sentence, and leaves nothing."""

import random

import numpy as np
import pytest
from files import write
from fuzzing import Command, fault_of, flipped, mangled, seeds

BANDS = ("blue", "green", "red", "nir")
AT, MS_AT = (500_000.0, 0.5, 0.0, 4_000_000.0, 0.0, -0.5), (500_000.0, 2.0, 0.0, 4_000_000.0, 0.0, -2.0)
IMD = (
    'version = "28.4";\nBEGIN_GROUP = BAND_B\n\tULLon = 9.1;\nEND_GROUP = BAND_B\nBEGIN_GROUP = IMAGE_1\n'
    '\tsatId = "WV02";\n\tfirstLineTime = 2014-10-08T10:11:12.5Z;\nEND_GROUP = IMAGE_1\nEND;\n'
)
XML = (
    "<isd><IMD><BAND_B><ULLON>9</ULLON></BAND_B><IMAGE><SATID>WV02</SATID><CLOUDCOVER>0.1</CLOUDCOVER></IMAGE></IMD>"
    "<RPB><IMAGE><ERRBIAS>1</ERRBIAS></IMAGE></RPB></isd>"
)
DIMAP = (
    '<Dimap_Document><Metadata_Identification><METADATA_FORMAT version="2.15">DIMAP</METADATA_FORMAT>'
    "</Metadata_Identification><Raster_Data><Raster_Display><Raster_Index_List><Raster_Index><BAND_ID>B0</BAND_ID>"
    "<BAND_INDEX>1</BAND_INDEX></Raster_Index></Raster_Index_List></Raster_Display></Raster_Data></Dimap_Document>"
)
MTL = (
    'GROUP = L1_METADATA_FILE\n GROUP = PRODUCT_METADATA\n SPACECRAFT_ID = "LANDSAT_8"\n SENSOR_ID = "OLI_TIRS"\n'
    " DATE_ACQUIRED = 2014-01-01\n END_GROUP = PRODUCT_METADATA\nEND_GROUP = L1_METADATA_FILE\nEND\n"
)
PAM = (
    "<PAMDataset><SRS>EPSG:32632</SRS><GeoTransform>500000,2,0,4000000,0,-2</GeoTransform><Metadata domain='IMAGERY'>"
    "<MDI key='SATELLITEID'>WV02</MDI></Metadata><PAMRasterBand band='1'><Description>blue</Description>"
    "<NoDataValue>0</NoDataValue><Metadata><MDI key='wavelength'>480</MDI></Metadata></PAMRasterBand></PAMDataset>"
)
BESIDE = {
    **{"ms.IMD": IMD, "ms.XML": XML, "pan.IMD": IMD, "DIM_ms.XML": DIMAP, "ms_MTL.txt": MTL, "ms_metadata.txt": IMD},
    **{"ms.pvl": IMD, "ms_rpc.txt": MTL, "ms.RPB": IMD, "ms.pass": MTL, "summary.txt": MTL, "ms.tif.aux.xml": PAM},
}
"files next to the rasters that are read"
BAND = (
    '<VRTRasterBand dataType="UInt16" band="{0}"><NoDataValue>0</NoDataValue><SimpleSource><SourceFilename '
    'relativeToVRT="1">ms.tif</SourceFilename><SourceBand>{0}</SourceBand>'
    '<SrcRect xOff="0" yOff="0" xSize="8" ySize="8"/><DstRect xOff="0" yOff="0" xSize="8" ySize="8"/></SimpleSource>'
    "</VRTRasterBand>"
)
VRT = (
    '<VRTDataset rasterXSize="8" rasterYSize="8"><SRS>EPSG:32632</SRS>'
    + "<GeoTransform>500000,2,0,4000000,0,-2</GeoTransform>"
    + "".join(map(BAND.format, range(1, 5)))
    + "</VRTDataset>"
)


@pytest.fixture(scope="module")
def command():
    command = Command()
    yield command
    command.close()


class Pair:
    """PAN and MS in a folder, which is restored before each case."""

    def __init__(self, folder):
        self.folder = folder
        rng = np.random.default_rng(0)
        pan, ms = (rng.integers(200, 1500, shape).astype(np.uint16) for shape in ((1, 32, 32), (4, 8, 8)))
        self.pan, self.ms = write(folder / "pan.tif", pan, AT), write(folder / "ms.tif", ms, MS_AT, names=BANDS)
        self.valid = {path: path.read_bytes() for path in (self.pan, self.ms)}

    def restore(self):
        for path in self.folder.iterdir():
            path.unlink()
        for path, data in self.valid.items():
            path.write_bytes(data)

    def fault(self, command, ms=None) -> str:
        out, before = self.folder / "out.tif", set(self.folder.iterdir())
        arguments = "pansharpen", self.pan, ms or self.ms, out, "--method", "exp", "--align", "none"
        return fault_of(command(*arguments), out, before)


@pytest.fixture
def pair(tmp_path):
    return Pair(tmp_path)


def test_changed_files_next_to_rasters_give_an_image_or_a_sentence(pair, command):
    for seed in seeds(40):
        pair.restore()
        for name in random.Random(seed).sample(sorted(BESIDE), 2):
            (pair.folder / name).write_bytes(mangled(BESIDE[name].encode(), seed))
        fault = pair.fault(command)
        assert not fault, f"seed {seed}: {fault}"


def test_a_changed_vrt_gives_an_image_or_a_sentence(pair, command):
    for seed in seeds(40):
        pair.restore()
        (pair.folder / "ms.vrt").write_bytes(mangled(VRT.encode(), seed))
        fault = pair.fault(command, pair.folder / "ms.vrt")
        assert not fault, f"seed {seed}: {fault}"


def test_a_changed_tiff_gives_an_image_or_a_sentence(pair, command):
    for seed in seeds(40):
        pair.restore()
        path = (pair.pan, pair.ms)[seed % 2]
        path.write_bytes(flipped(pair.valid[path], seed, 700))
        fault = pair.fault(command)
        assert not fault, f"seed {seed}: {fault}"
