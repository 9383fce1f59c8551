"""Scenes as vendors deliver them: the sensor is recognised and reported, and bands keep their order."""

import re
import shutil

import numpy as np
import pytest
from files import ramps, read, write
from osgeo import gdal
from vendors import airbus, digitalglobe, gaofen, landsat

from ssdiff_core.cli.main import main
from ssdiff_core.raster import vendor_metadata
from ssdiff_core.raster.identify_sensor import identified
from ssdiff_core.raster.reader import open_scene


@pytest.fixture
def fuse(tmp_path, capsys):
    """Runs the command with EXP; returns the fused image and the printed notices, one for each line."""

    def run(pan, ms, *options, expect=0):
        ms = [part for file in ms for part in ("--ms", str(file))] if isinstance(ms, list) else [str(ms)]
        out = tmp_path / "fused.tif"
        where = [str(out), *ms] if ms[0] == "--ms" else [*ms, str(out)]
        asked = ["--method", "exp", "--progress", "none", *options]
        assert main(["pansharpen", str(pan), *where, *asked]) == expect
        said = [line.removeprefix("ssdiff: ") for line in capsys.readouterr().err.splitlines()]
        return (read(out) if expect == 0 else None), said

    return run


def offsets(image):
    "How many counts each band lies above the least."
    level = image[:, 40:120, 40:120].mean((1, 2))
    return [round(float(x)) for x in level - level.min()]


def sensor_said(said):
    (line,) = [line for line in said if line.startswith("Sensor ")]
    return line


@pytest.mark.parametrize("kind", ["IMD", "XML"])
def test_digitalglobe_is_recognised_by_its_metadata_files(tmp_path, fuse, kind):
    pan, ms = digitalglobe(tmp_path, kind=kind)
    image, said = fuse(pan, ms)
    assert re.match(r"Sensor wv3: the metadata entry .*names WorldView-3$", sensor_said(said))
    assert offsets(image) == [0, 500, 1000, 1500]
    assert not [line for line in said if "order" in line]


def test_the_other_four_bands_of_worldview_are_not_taken_for_the_usual_ones(tmp_path, fuse):
    """The second array of WorldView-2 is coastal, yellow, red edge and NIR2: only its metadata tell."""
    pan, ms = digitalglobe(tmp_path, "WV02", bands=("C", "Y", "RE", "N2"))
    _, said = fuse(pan, ms)
    assert sensor_said(said).endswith("names WorldView-2")
    (tmp_path / "MUL" / f"{ms.stem}.IMD").unlink()
    assert "nothing identifies the sensor" in sensor_said(fuse(pan, ms)[1])


@pytest.mark.parametrize(("mission", "index", "sensor"), [("PHR", "1B", "pleiades"), ("SPOT", "6", "spot67")])
def test_airbus_with_its_dimap(tmp_path, fuse, mission, index, sensor):
    image, said = fuse(*airbus(tmp_path, mission, index))
    assert re.match(f"Sensor {sensor}: the metadata entry .*MISSION names ", sensor_said(said))
    assert "nothing identifies" not in sensor_said(said)
    assert offsets(image) == [0, 500, 1000, 1500]


def test_airbus_opened_by_its_dimap(tmp_path, fuse):
    airbus(tmp_path)
    pan, ms = (next(tmp_path.glob(f"DIM_*_{part}_*.XML")) for part in ("P", "MS"))
    assert gdal.Open(str(ms)).GetDriver().ShortName == "DIMAP"
    image, said = fuse(pan, ms)
    assert sensor_said(said).startswith("Sensor pleiades: the metadata entry MISSION names Pléiades")
    assert offsets(image) == [0, 500, 1000, 1500]


def test_bands_keep_the_order_that_dimap_lists(tmp_path, fuse):
    image, said = fuse(*airbus(tmp_path, order=("B0", "B1", "B2", "B3")))
    assert not [line for line in said if "order" in line]
    assert offsets(image) == [0, 500, 1000, 1500]


def test_gaofen_with_its_xml(tmp_path, fuse):
    assert sensor_said(fuse(*gaofen(tmp_path))[1]).startswith(
        "Sensor gf2: the metadata entry ProductMetaData.SatelliteID names GaoFen-2"
    )


def test_a_vrt_has_the_metadata_of_its_source(tmp_path, fuse):
    pan, ms = digitalglobe(tmp_path)
    gdal.BuildVRT(str(tmp_path / "ms.vrt"), [str(ms)]).FlushCache()
    assert "names WorldView-3" in sensor_said(fuse(pan, tmp_path / "ms.vrt")[1])


def test_metadata_within_a_zip(tmp_path, fuse):
    pan, ms = gaofen(tmp_path)
    shutil.make_archive(str(tmp_path / "scene"), "zip", tmp_path)
    zipped = f"/vsizip/{tmp_path}/scene.zip"
    assert sensor_said(fuse(f"{zipped}/{pan.name}", f"{zipped}/{ms.name}")[1]).startswith("Sensor gf2: ")


@pytest.mark.parametrize(
    ("number", "sensor", "levels", "others"),
    [
        (8, "landsat89", (100, 200, 300, 400, 500, 600), "B1 B9 B10 B11 QA_PIXEL QA_RADSAT SAA VZA"),
        (7, "landsat7", (0, 100, 200, 300, 400, 700), "B6_VCID_1 B6_VCID_2 QA_PIXEL"),
    ],
)
def test_all_files_of_a_landsat_scene_in_any_order(tmp_path, fuse, number, sensor, levels, others):
    files = landsat(tmp_path, number)
    shuffled = [files[name] for name in sorted(files, reverse=True)]  # PAN is among them
    image, said = fuse(files["B8"], shuffled)
    assert sensor_said(said).startswith(f"Sensor {sensor}: the metadata entry ")
    (left,) = [line for line in said if line.startswith("Left out (")]
    assert {f"_{name}.TIF" for name in ("B8", *others.split())} == {
        re.search(r"_T1(_.*)", name)[1] for name in left.split(": ")[1].split(", ")
    }
    assert offsets(image) == [x - levels[0] for x in reversed(levels)]


def test_a_landsat_scene_without_mtl_is_recognised_by_its_file_names(tmp_path, fuse):
    files = landsat(tmp_path)
    next(tmp_path.glob("*_MTL.txt")).unlink()
    _, said = fuse(files["B8"], [files[name] for name in ("B4", "B3", "B2", "QA_PIXEL")])
    assert re.match(r"Sensor landsat89: the file name LC08_.* names Landsat 8 and 9$", sensor_said(said))


def test_requested_bands_keep_their_order(tmp_path, fuse):
    files = landsat(tmp_path)
    image, said = fuse(files["B8"], [files[name] for name in ("B5", "B10", "B2")], "--bands", "3,2,1")
    assert offsets(image) == [0, 700, 300]
    assert not [line for line in said if "order" in line or "Left out" in line]


def test_the_bands_of_a_named_sensor_keep_their_order(tmp_path, fuse):
    pan, ms, pan_at, ms_at = ramps(bands=4)
    files = (
        write(tmp_path / "pan.tif", pan, pan_at),
        write(tmp_path / "ms.tif", ms, ms_at, names=["NIR", "Red", "Green", "Blue"]),
    )
    assert offsets(fuse(*files, "--sensor", "qb")[0]) == [0, 500, 1000, 1500]


def test_bands_are_identified_by_wavelength(tmp_path):
    pan, ms, pan_at, ms_at = ramps(bands=4)
    write(tmp_path / "pan.tif", pan, pan_at)
    write(tmp_path / "ms.tif", ms, ms_at)
    source = gdal.Open(str(tmp_path / "ms.tif"), gdal.GA_Update)
    for index, um in enumerate((0.83, 0.66, 0.56, 0.485), 1):
        source.GetRasterBand(index).SetMetadata({"wavelength": str(um), "wavelength_units": "Micrometers"})
    del source
    scene = open_scene(tmp_path / "pan.tif", tmp_path / "ms.tif")
    sensor = identified(scene, "qb", lambda notice: None)
    assert sensor.identified
    assert sensor.bands == ("nir", "red", "green", "blue")


SWELLING = '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><a>&d;</a>'


@pytest.mark.parametrize("text", ["", "<broken", "<a><b/></a>", "no = ", "\0\1\2", "END_GROUP = X\n=\n", SWELLING])
def test_files_without_metadata_are_ignored(tmp_path, fuse, text):
    pan, ms = gaofen(tmp_path)
    ms.with_suffix(".xml").write_text(text)
    assert sensor_said(fuse(pan, ms)[1]).startswith("Sensor general: nothing identifies")
    assert vendor_metadata.parsed(text) == []


def test_groups_and_elements_become_dotted_keys():
    entries = vendor_metadata.parsed('a = 1;\nBEGIN_GROUP = G\n\tb = "x";\nEND_GROUP = G\nc = 2;\nEND;\n')
    assert entries == [("a", "1"), ("G.b", "x"), ("c", "2")]
    assert vendor_metadata.parsed("<a xmlns='u'><b>1</b><c><b>2</b></c></a>") == [("a.b", "1"), ("a.c.b", "2")]
    assert vendor_metadata.parsed("<p:a xmlns:p='u'> <b> 1 &amp; 2 </b> more</p:a>") == [("a.b", "1 & 2")]


def test_too_few_bands_identify_no_sensor(tmp_path, fuse):
    pan, ms, pan_at, ms_at = ramps(bands=1)
    files = write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at)
    image, said = fuse(*files)
    assert sensor_said(said).startswith("Sensor general: nothing identifies the sensor of 1 bands")
    assert np.squeeze(image).shape == pan.shape
