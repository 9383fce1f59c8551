"""Weights see the bands in their own order; an output has them in the order of MS."""

from itertools import permutations

import numpy as np
import pytest
from command import ssdiff
from files import read, sample_files, write
from osgeo import gdal
from vendors import airbus

from ssdiff_core.common.errors import GeometryError
from ssdiff_core.common.paths import RESOURCES
from ssdiff_core.domain import sensors
from ssdiff_core.domain.band_groups import groups, near_infrared
from ssdiff_core.inprocess.backend import LocalBackend
from ssdiff_core.weights.card import read_card

BUNDLED = sorted((RESOURCES / "weights").glob("*.safetensors"))
SIDE = 32
"rows and columns of MS"
AS_IT_IS = ("--align", "none", "--adapt", "none")


def orders(bands):
    """All orders of four bands; of more bands each rotation, and the reverse."""
    every = tuple(range(bands))
    turned = [every[k:] + every[:k] for k in range(bands)]
    found = list(permutations(every)) if bands == 4 else [*turned, every[::-1]]
    return [order for order in found if order != every]


def scene_for(card):
    """PAN and MS of as many bands as the weights take, with the detail of the bundled sample."""
    with np.load(RESOURCES / "sample" / "eureka.npz") as file:
        pan, ms = (file[name].astype(float) for name in ("pan", "ms"))
    high, ms = int(SIDE * card.ratio), ms[:SIDE, :SIDE].transpose(2, 0, 1)
    mixed = [ms[k % 4] * (1 + k / 8) + 20 * k + ms[(k + 1) % 4] * (k // 4) / 4 for k in range(len(card.bands))]
    return pan[:high, :high].astype(np.uint16), np.stack(mixed).astype(np.uint16)


def fused(folder, name, ms, *options, names=None):
    named = {} if names is None else {"names": names}
    size = read(folder / "pan.tif").shape[0] // ms.shape[1]
    write(folder / "ms.tif", ms, at(size), **named)
    done = ssdiff("pansharpen", folder / "pan.tif", folder / "ms.tif", folder / name, *AS_IT_IS, *options)
    return read(folder / name), done.stderr


def at(size):
    return (400_000.0, size * 0.6, 0.0, 4_500_000.0, 0.0, -size * 0.6)


@pytest.mark.parametrize("weights", BUNDLED, ids=lambda path: path.stem)
def test_the_pixels_of_a_band_do_not_depend_on_the_order_of_the_bands(weights, tmp_path):
    card = read_card(weights)
    pan, ms = scene_for(card)
    write(tmp_path / "pan.tif", pan, at(1))
    options = ("--weights", weights, "--sensor", card.sensor)
    expected, _ = fused(tmp_path, "usual.tif", ms, *options, names=card.bands)
    for order in map(list, orders(len(ms))):
        names = [card.bands[band] for band in order]
        found, said = fused(tmp_path, "other.tif", ms[order], *options, names=names)
        assert f"in the order {', '.join(card.bands)}" in said
        assert np.array_equal(found, expected[order]), names


@pytest.mark.parametrize("weights", BUNDLED, ids=lambda path: path.stem)
def test_weights_see_every_order_of_their_bands_in_their_own(weights):
    card = read_card(weights)
    own = sensors.centres(card.bands, card.wavelengths_nm)
    for order in permutations(range(len(own))):
        ((*found,),) = groups(len(own), len(own), [own[band] for band in order], own)
        assert [order[band] for band in found] == list(range(len(own)))


def test_weights_in_any_order_see_bands_of_any_order():
    own, wavelengths = (660, 550, 480, 830), (840, 485, 560, 655)
    assert groups(4, 4, wavelengths, own) == [(3, 2, 1, 0)]
    assert groups(8, 4, (427, 480, 547, 606, 660, 724, 828, 911), own) == [(4, 2, 0, 6), (5, 3, 1, 7)]


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """A folder with PAN and MS of the bundled sample, and MS and what it is fused to."""
    folder = tmp_path_factory.mktemp("sample")
    _, ms, _ = sample_files(folder)
    ms = read(ms)
    return folder, ms, fused(folder, "usual.tif", ms, names=("blue", "green", "red", "nir"))[0]


@pytest.mark.parametrize("order", [(2, 1, 0, 3), (3, 2, 1, 0), (1, 3, 0, 2)])
def test_wavelengths_and_colour_interpretations_tell_the_order_as_names_do(sample, tmp_path, order):
    folder, ms, expected = sample
    where, nm = [str(folder / "ms.tif")], (470, 530, 640, 860)  # of no known sensor
    colours = (gdal.GCI_BlueBand, gdal.GCI_GreenBand, gdal.GCI_RedBand, gdal.GCI_Undefined)
    write(folder / "ms.tif", ms[list(order)], at(4))
    for kind in ("wavelength", "colour"):
        file = gdal.GetDriverByName("VRT").CreateCopy(str(tmp_path / f"{kind}.vrt"), gdal.Open(*where))
        for number, band in enumerate(order, 1):
            if kind == "colour":
                file.GetRasterBand(number).SetColorInterpretation(colours[band])
            else:
                file.GetRasterBand(number).SetMetadata({"wavelength": str(nm[band]), "wavelength_units": "nm"})
        del file
        out = tmp_path / f"{kind}.tif"
        said = ssdiff("pansharpen", folder / "pan.tif", tmp_path / f"{kind}.vrt", out, *AS_IT_IS).stderr
        assert "in the order" in said
        assert np.array_equal(read(out), expected[list(order)])


@pytest.mark.parametrize("place", range(4))
def test_near_infrared_is_recognised_without_names(sample, place):
    folder, ms, expected = sample
    order = [0, 1, 2]
    order.insert(place, 3)
    found, said = fused(folder, "unnamed.tif", ms[order])
    assert np.array_equal(found, expected[order])
    assert (f"Band {place + 1} of MS correlates" in said) == (place != 3)
    assert "Nothing identifies the bands" not in said


def test_near_infrared_is_not_guessed_in_a_scene_without_vegetation(sample):
    """All bands resemble each other."""
    folder, ms, _ = sample
    grey = np.stack([ms[1] + 100 * k for k in range(4)])
    assert near_infrared(grey.reshape(4, -1).astype(float)) is None
    _, said = fused(folder, "grey.tif", grey)
    assert "the network takes them for blue, green, red, nir. If that is wrong" in said


def test_bands_that_the_user_orders_are_not_doubted(sample):
    folder, ms, expected = sample
    found, said = fused(folder, "given.tif", ms[[3, 0, 1, 2]], "--bands", "2,3,4,1")
    assert np.array_equal(found, expected)
    assert "network takes" not in said


def test_the_output_has_the_order_that_the_user_asks_for(sample):
    folder, ms, expected = sample
    names = ("nir", "blue", "green", "red")
    found, _ = fused(folder, "asked.tif", ms[[3, 0, 1, 2]], "--bands", "4,1,2", names=names)
    file = gdal.Open(str(folder / "asked.tif"))
    assert [file.GetRasterBand(number).GetDescription() for number in (1, 2, 3)] == ["red", "nir", "blue"]
    assert np.abs(found.astype(float) - expected[[2, 3, 0]]).mean() < 20


def test_the_output_of_airbus_keeps_the_order_of_ms(tmp_path):
    """Its products have red first, or blue first; the network sees blue first in either case."""
    for name, order in (("red", ("B2", "B1", "B0", "B3")), ("blue", ("B0", "B1", "B2", "B3"))):
        (tmp_path / name).mkdir()
        pan, ms = airbus(tmp_path / name, order=order)
        said = ssdiff("pansharpen", pan, ms, tmp_path / f"{name}.tif", *AS_IT_IS).stderr
        assert ("in the order blue, green, red, nir" in said) == (name == "red")
        levels = read(tmp_path / f"{name}.tif").mean((1, 2))
        assert levels.argsort().tolist() == read(ms).mean((1, 2)).argsort().tolist()


def test_weights_adapt_to_the_bands_in_their_own_order(sample, monkeypatch):
    """Both within a run and by `ssdiff adapt`."""
    folder, ms, _ = sample
    trained = []

    def adapt(self, scenes, job, notify, progress):
        trained.append((tuple(band.name for scene in scenes for band in scene.ms), job.sensor.bands))
        raise GeometryError("stopped")

    monkeypatch.setattr(LocalBackend, "adapt", adapt)
    names = ("nir", "red", "blue", "green")
    fused(folder, "adapted.tif", ms[[3, 2, 0, 1]], "--adapt", "8", names=names)
    ssdiff("adapt", folder / "pan.tif", folder / "ms.tif", "-o", folder / "new.safetensors", expect=1)
    assert trained == [(("blue", "green", "red", "nir"),) * 2] * 2
