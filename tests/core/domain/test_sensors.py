"""Sensors: plausible profiles, and recognition that reports its reason and uses the general profile when in doubt."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssdiff_core.common.errors import ConfigError
from ssdiff_core.domain import sensors

IDS = (
    *("wv4", "wv3", "wv2"),
    *("qb", "gf2", "ge1", "ikonos", "pleiades", "spot67"),
    *("landsat89", "landsat7"),
    *("pneo", "sv1", "gf1", "gf6", "gf7", "kompsat3", "zy3"),
    "general",
)
KNOWN = [name for name in IDS if name != "general"]
W8 = ("coastal", "blue", "green", "yellow", "red", "rededge", "nir1", "nir2")
BGRN = ("blue", "green", "red", "nir")


def test_every_sensor_of_the_design_has_a_profile():
    assert sensors.ids() == IDS
    with pytest.raises(ConfigError, match="unknown sensor 'wv9'; the sensors are wv4"):
        sensors.get("wv9")


@pytest.mark.parametrize("name", KNOWN)
def test_profiles_are_plausible(name):
    sensor = sensors.get(name)
    n = len(sensor.bands)
    assert len(set(sensor.bands)) == n == len(sensor.wavelengths) == len(sensor.mtf) == len(sensor.pan_weights)
    assert all(0.2 < gain < 0.4 for gain in sensor.mtf)
    assert 0.1 < sensor.pan_mtf < 0.2
    assert sensor.source
    edges = [band["nm"] for band in json.loads(sensors.FILE.read_text(encoding="utf-8"))[name]["bands"]]
    assert all(lo < nm < hi for (lo, hi), nm in zip(edges, sensor.wavelengths))


def test_gains_are_those_of_the_toolbox():
    assert sensors.get("qb").mtf == (0.34, 0.32, 0.30, 0.22)
    assert sensors.get("ikonos").mtf == (0.26, 0.28, 0.29, 0.28)
    assert sensors.get("ge1").mtf == sensors.get("wv4").mtf == (0.23,) * 4
    assert sensors.get("wv2").mtf == (0.35,) * 7 + (0.27,)
    assert sensors.get("wv3").mtf == (0.325, 0.355, 0.360, 0.350, 0.365, 0.360, 0.335, 0.315)
    assert sensors.get("gf2").mtf == (0.3,) * 4
    assert [sensors.get(name).scale for name in ("gf2", "wv3", "spot67", "general")] == [1023, 2047, 4095, None]


def test_pan_weights_follow_its_spectral_range():
    eight = sensors.get("landsat89")
    assert dict(zip(eight.bands, eight.pan_weights))["nir"] == 0
    quickbird = dict(zip(BGRN, sensors.get("qb").pan_weights))
    assert quickbird["nir"] > quickbird["green"] > quickbird["blue"] > 0.1


@given(st.sampled_from(KNOWN), st.data())
def test_a_selection_of_bands_keeps_their_properties(name, data):
    sensor = sensors.get(name)
    names = data.draw(st.lists(st.sampled_from(sensor.bands), min_size=1, unique=True))
    picked = sensor.only(names)
    assert picked.bands == tuple(names)
    assert sum(picked.pan_weights) == pytest.approx(1)
    whole = {band: (nm, gain) for band, nm, gain in zip(sensor.bands, sensor.wavelengths, sensor.mtf)}
    assert [whole[band] for band in names] == list(zip(picked.wavelengths, picked.mtf))


@given(st.lists(st.floats(400, 2500), min_size=1, max_size=9, unique=True), st.floats(400, 600), st.floats(1, 500))
def test_weights_of_pan_are_shares(centres, start, width):
    weights = sensors._pan_weights(centres, (start, start + width))
    assert sum(weights) == pytest.approx(1)
    assert min(weights) >= 0


@pytest.mark.parametrize("name", ["wv2", "wv3"])
def test_four_bands_of_worldview_are_blue_green_red_nir1(name):
    four = sensors.get(name, 4)
    assert four.bands == ("blue", "green", "red", "nir1")
    assert four.mtf == tuple(sensors.get(name).mtf[i] for i in (1, 2, 4, 6))
    with pytest.raises(ConfigError, match="has products of 3 or 4 or 8 bands; MS has 5"):
        sensors.get(name, 5)


@given(st.integers(1, 16))
def test_general_takes_any_number_of_bands(bands):
    sensor = sensors.get("general", bands)
    assert (sensor.mtf, sensor.pan_mtf, sensor.scale) == ((0.3,) * bands, 0.15, None)
    assert len(sensor.bands) == bands == len(sensor.pan_weights)


SPOT = "Dataset_Sources.Source_Identification.Strip_Source.MISSION"


@pytest.mark.parametrize(
    ("metadata", "bands", "expected"),
    [
        ({"IMD": {"IMAGE_1.satId": '"WV03"'}}, 8, "wv3"),
        ({"IMD.satId": "WV02"}, 4, "wv2"),
        ({"satId": "QB02"}, 4, "qb"),
        ({"": {"AREA_OR_POINT": "Area"}, "IMAGERY": {"SATELLITEID": "WV04"}}, 4, "wv4"),
        ({"IMAGERY": {"SATELLITEID": "GE01"}}, 4, "ge1"),
        ({"Source Image Metadata.Sensor": "IKONOS-2"}, 4, "ikonos"),
        ({SPOT: "SPOT", f"{SPOT}_INDEX": "6"}, 4, "spot67"),
        ({"MISSION": "PHR", "MISSION_INDEX": "1B"}, 4, "pleiades"),
        ({"IMAGERY": {"SATELLITEID": "PHR 1A"}}, 4, "pleiades"),
        ({"METADATA": {"MISSION": "Pléiades"}}, 4, "pleiades"),
        ({"SatelliteID": "GF2"}, 4, "gf2"),
        ({"MISSION": "PNEO", "MISSION_INDEX": "3"}, 6, "pneo"),
        ({"satellite": "Pleiades Neo"}, 4, "pneo"),
        ({"SatelliteID": "SV1-01"}, 4, "sv1"),
        ({"SatelliteID": "GF1B"}, 4, "gf1"),
        ({"SatelliteID": "GF6"}, 4, "gf6"),
        ({"SatelliteID": "GF7"}, 4, "gf7"),
        ({"Satellite": "KOMPSAT-3A"}, 4, "kompsat3"),
        ({"SatelliteID": "ZY3-02"}, 4, "zy3"),
        ({"SatelliteID": "ZY302"}, 4, "zy3"),
        ({"MTL": {"SPACECRAFT_ID": '"LANDSAT_8"'}}, 6, "landsat89"),
        ({"SPACECRAFT_ID": "LANDSAT_9"}, 4, "landsat89"),
        ({"L1_METADATA_FILE.SPACECRAFT_ID": "Landsat7"}, 6, "landsat7"),
        ({"LANDSAT_PRODUCT_ID": "LC09_L1TP_015033_20220101_20220101_02_T1"}, 6, "landsat89"),
    ],
)
def test_a_satellite_in_the_metadata_is_recognised(metadata, bands, expected):
    found = sensors.recognise(bands, sensors.get(expected).ratio, metadata=metadata)
    assert found.sensor.id == expected
    assert len(found.sensor.mtf) == bands
    assert sensors.get(expected).label in str(found.notice)
    assert found.notice.kind.startswith("sensor")


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({"MISSION": "SPOT", "MISSION_INDEX": "5"}, "SPOT 5"),
        ({"SatelliteID": "GF4"}, "GF4"),
        ({"satellite": "ZY1E"}, "ZY1E"),
        ({"SPACECRAFT_ID": "LANDSAT_5"}, "LANDSAT_5"),
        ({"satId": "WV01"}, "WV01"),
    ],
)
def test_a_satellite_without_a_profile_is_named_and_general(metadata, name):
    found = sensors.recognise(4, 4, metadata=metadata)
    assert found.sensor.id == "general"
    assert (found.notice.kind, found.notice.values["text"]) == ("sensor_without_profile", name)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("/data/GF2_PMS1_E113.2_N23.1_20170101_L1A0002-MSS1.tiff", "gf2"),
        ("IMG_PHR1A_MS_201206.JP2", "pleiades"),
        ("IMG_SPOT7_MS_2015.TIF", "spot67"),
        ("LC08_L1TP_B4.TIF", "landsat89"),
        ("LC80140322013268LGN00_B4.TIF", "landsat89"),
        ("LE07_L1TP_B4.TIF", "landsat7"),
        ("wv3_1_ms.tif", "wv3"),
        ("IMG_PNEO3_STD_202305170722489_MS-FS_ORT_PWOI_000373521_3_2_F_1_RGB_R4C1.TIF", "pneo"),
        ("SV1-01_20171021_L2A0000192762_1109170051408_01-MUX.tiff", "sv1"),
        ("GF1D_PMS_E111.4_N24.6_20190817_L1A1256618333-MUX.tiff", "gf1"),
        ("K3A_20161103041035_08886_00133189_L1G_B.tif", "kompsat3"),
        ("ZY302_TMS_E122.0_N29.9_20210219_L2D0000840534-MUX.tiff", "zy3"),
        ("a_k3_b.tif", "general"),
        ("/projects/wv3/image.tif", "general"),
        ("flow3v2.tif", "general"),
        ("image_ge10.tif", "general"),
    ],
)
def test_a_satellite_in_a_file_name_is_recognised_as_a_word(file, expected):
    assert sensors.recognise(4, 4, files=[file]).sensor.id == expected


def test_metadata_takes_precedence_over_the_file_name():
    assert sensors.recognise(8, 4, metadata={"satId": "WV02"}, files=["wv3.tif"]).sensor.id == "wv2"


def test_descriptions_give_the_order_of_the_bands():
    meant = {"satId": "PHR1A"}
    usual = sensors.recognise(4, 4, metadata={"MISSION": "PHR"})
    assert usual.sensor.bands == ("red", "green", "blue", "nir")
    assert str(usual.notice).endswith("; nothing identifies its bands: they are assumed to be red, green, blue, nir")
    given_names = ["Blue", "Green", "Red", "NIR"]
    assert sensors.recognise(4, 4, given_names, meant).sensor.bands == BGRN
    landsat = sensors.recognise(
        3, 2, ["LC08_X_B5.TIF", "LC08_X_B4.TIF", "LC08_X_B3.TIF"], {"SPACECRAFT_ID": "LANDSAT_8"}
    )
    assert landsat.sensor.bands == ("nir", "red", "green")
    five = sensors.recognise(5, 4, ["blue", "green", "red", "red edge", "nir1"], {"satId": "WV03"})
    assert five.sensor.mtf == (0.355, 0.360, 0.365, 0.360, 0.335)


def test_unidentified_bands_are_not_guessed():
    found = sensors.recognise(5, 4, metadata={"satId": "WV03"})
    assert (found.sensor.id, len(found.sensor.mtf)) == ("general", 5)
    assert found.notice.kind == "sensor_by_metadata_unknown_bands"


BY_WAVELENGTHS = ["wv2", "wv3", "ikonos", "pleiades", "pneo", "spot67", "zy3", "landsat7", "landsat89"]
"without QuickBird, GaoFen, SuperView and KOMPSAT, whose band edges are the same"


@pytest.mark.parametrize("name", BY_WAVELENGTHS)
def test_wavelengths_alone_identify_a_sensor(name):
    sensor = sensors.get(name)
    found = sensors.recognise(len(sensor.bands), sensor.ratio, wavelengths=sensor.wavelengths).sensor
    assert (found.id, found.bands, found.mtf) == (name, sensor.bands, sensor.mtf)


def test_wavelengths_that_several_sensors_share_name_the_bands():
    found = sensors.recognise(4, 4, wavelengths=(660, 555, 485, 830)).sensor
    assert (found.id, found.bands, found.identified) == ("general", ("red", "green", "blue", "nir"), True)
    assert sensors.recognise(2, 4, wavelengths=(485, 487)).sensor.bands == ("b1", "b2")


def test_names_alone_identify_a_sensor_only_if_unique():
    names = ["Blue", "Green", "Red", "NIR", "SWIR1", "SWIR2"]
    assert sensors.recognise(6, 2, names, bit_depth=8).sensor.id == "landsat7"
    assert sensors.recognise(6, 2, names, bit_depth=16).sensor.id == "landsat89"
    assert sensors.recognise(6, 2, names).sensor.id == "general"
    eight = sensors.recognise(8, 4, W8, bit_depth=16).sensor
    assert (eight.id, eight.bands) == ("general", W8)  # WorldView-2 and -3 alike
    assert sensors.recognise(4, 4, BGRN, bit_depth=10).sensor.id == "general"


def test_count_and_ratio_alone_are_general():
    found = sensors.recognise(4, 4)
    assert found.sensor.bands == ("b1", "b2", "b3", "b4")
    assert found.notice.kind == "sensor_unknown"


@pytest.mark.parametrize(
    ("descriptions", "expected"),
    [
        (["Coastal Blue", "Blue", "Green", "Yellow", "Red", "Red Edge", "NIR1", "NIR 2"], W8),
        (["C", "B", "G", "Y", "R", "RE", "N", "N2"], W8),
        (["nir2", "Band 6 - Red-Edge", "green (510-580 nm)"], ("nir2", "rededge", "green")),
        (["near infrared 1", "near_infrared_2"], ("nir1", "nir2")),
        (["Band 1", "Band 2"], None),
        (["red", "red"], None),
        (["red", ""], None),
        ([], None),
    ],
)
def test_bands_are_identified_by_their_names(descriptions, expected):
    assert sensors.order_bands(descriptions, (), sensors.get("wv3")) == expected


@given(st.permutations(range(8)), st.lists(st.floats(-8, 8), min_size=8, max_size=8))
def test_bands_are_identified_by_their_wavelengths(order, off):
    sensor = sensors.get("wv3")
    nm = [sensor.wavelengths[i] + d for i, d in zip(order, off)]
    assert sensors.order_bands(["Band 1"] * 8, nm, sensor) == tuple(sensor.bands[i] for i in order)


@given(st.integers(1, 16), st.floats(1.5, 8), st.lists(st.text(max_size=12), max_size=4), st.text(max_size=12))
def test_recognition_always_returns_a_fitting_profile(bands, ratio, descriptions, text):
    found = sensors.recognise(bands, ratio, descriptions, {"satId": text, "x": {"y": None}}, None, (), descriptions)
    assert len(found.sensor.bands) == len(found.sensor.mtf) == len(found.sensor.pan_weights) == bands
    assert found.notice.kind.startswith("sensor")
