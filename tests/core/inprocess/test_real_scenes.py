"""Real Landsat 7 and 8 scenes, end to end: each classical method keeps the radiometry of MS and the detail of PAN."""

from __future__ import annotations

import numpy as np
import pytest
from files import read
from landsat import SCENES, files, scene
from osgeo import gdal

from ssdiff_core.cli.main import main
from ssdiff_core.domain.kernels import blur, mtf_sigma
from ssdiff_core.domain.methods import CLASSICAL as METHODS

MAX_ERROR = {"landsat8": 0.10, "landsat7": 0.36}
"maximum RMSE of the degraded fused image against MS, in standard deviations of MS; Landsat 7 has few counts"
MIN_DETAIL_CORRELATION = {"landsat8": 0.95, "landsat7": 0.86}
"minimum correlation of the detail of the visible bands with that of PAN"


def degraded(image, at, n, gain):
    """Degrades an image by a factor of 2. at: position of the centre of the first sample."""
    read_at = blur(at + 2 * np.arange(n), image.shape[-1], mtf_sigma(gain, 2), 8)
    return read_at @ image.astype(np.float32) @ read_at.T


def fused(folder, pan, ms, method, *options):
    out = folder / "fused.tif"
    parts = [part for file in ms for part in ("--ms", str(file))]
    options = options or ("--align", "none")
    assert main(["pansharpen", str(pan), str(out), *parts, "--method", method, "--progress", "none", *options]) == 0
    return read(out)


def error_against_ms(image, ms, at, gain=0.3):
    """Returns the RMSE of the degraded fused image against each MS band, in standard deviations of the band."""
    side = ms.shape[1]
    inner = (slice(None), slice(8, -8), slice(8, -8))
    error = (degraded(padded(image, 2 * side), at, side, gain) - ms)[inner]
    return np.sqrt((error**2).mean((1, 2))) / ms[inner].std((1, 2))


def padded(image, side):
    rest = [(0, 0), *((0, side - n) for n in image.shape[1:])]
    return np.pad(image, rest, mode="edge")


def detail(image):
    smooth = blur(np.arange(image.shape[-1]), image.shape[-1], 2.0, 8)
    rows = blur(np.arange(image.shape[-2]), image.shape[-2], 2.0, 8)
    image = image.astype(np.float32)
    return (image - rows @ image @ smooth.T)[..., 8:-8, 8:-8]


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def ergas(image, truth):
    image, truth = (x[:, 6:-6, 6:-6].astype(float) for x in (image, truth))
    return 50 * np.sqrt((((image - truth) ** 2).mean((1, 2)) / truth.mean((1, 2)) ** 2).mean())


@pytest.mark.parametrize("method", [method for method in METHODS if method != "brovey"])
@pytest.mark.parametrize("name", SCENES)
def test_a_method_keeps_the_radiometry_of_ms_and_the_detail_of_pan(tmp_path, name, method):
    pan, ms = scene(name)
    at = SCENES[name][2]
    image = fused(tmp_path, *files(tmp_path, name, pan, ms), method)
    wrong = fused(tmp_path, *files(tmp_path, name, pan, ms, off=1.0), method)
    wrong = np.pad(wrong, [(0, 0), *((256 - n, 0) for n in wrong.shape[1:])], mode="edge")
    right, misplaced = error_against_ms(image, ms, at)[:3].mean(), error_against_ms(wrong, ms, at)[:3].mean()
    detail_correlations = [
        correlation(band, detail(pan[: image.shape[1], : image.shape[2]])) for band in detail(image)[:3]
    ]
    print(name, method, right, misplaced, np.round(detail_correlations, 3))
    assert right < MAX_ERROR[name]
    assert right < misplaced * (0.55 if method.startswith("mtf") else 0.8)
    if method != "exp":
        assert min(detail_correlations) > MIN_DETAIL_CORRELATION[name]


@pytest.mark.parametrize("name", SCENES)
def test_brovey_keeps_the_proportions_of_the_bands(tmp_path, name):
    """Brovey does not match PAN to MS, whose counts are in other units, so only the proportions are kept."""
    pair = files(tmp_path, name, *scene(name))
    how = ("--dtype", "float32", "--align", "none")
    smooth, image = (fused(tmp_path, *pair, method, *how) for method in ("exp", "brovey"))
    assert np.allclose(image[1:] / image[0], smooth[1:] / smooth[0], rtol=1e-3)
    pan = scene(name)[0][: image.shape[1], : image.shape[2]]
    assert correlation(detail(image)[:3].mean(0), detail(pan)) > 0.85


@pytest.mark.parametrize("name", SCENES)
def test_the_output_has_the_grid_of_pan(tmp_path, name):
    pair = files(tmp_path, name, *scene(name))
    fused(tmp_path, *pair, "exp")
    out, pan = gdal.Open(str(tmp_path / "fused.tif")), gdal.Open(str(pair[0]))
    assert out.GetGeoTransform() == pan.GetGeoTransform()
    assert out.GetSpatialRef().IsSame(pan.GetSpatialRef())
    side = 255 if name == "landsat8" else 256  # half of the last MS sample is outside PAN
    assert (out.RasterYSize, out.RasterXSize) == (side, side)


@pytest.mark.parametrize("name", SCENES)
def test_no_method_is_worse_than_interpolation(tmp_path, name):
    """Wald's protocol: PAN and MS are degraded by 2, fused, and compared with the original MS."""
    pan, ms = scene(name)
    at = SCENES[name][2]
    low_pan = np.rint(degraded(pan, at, 128, 0.15)).astype(pan.dtype)
    low_ms = np.rint(degraded(ms, at, 64, 0.3)).astype(ms.dtype)
    pair = files(tmp_path, name, low_pan, low_ms, pixel=30.0)
    side = 127 if name == "landsat8" else 128
    truth = ms[:, :side, :side]
    scores = {m: ergas(fused(tmp_path, *pair, m), truth) for m in METHODS if m != "brovey"}
    print(name, {method: round(score, 3) for method, score in scores.items()})
    assert max(scores, key=scores.get) == "exp"
    assert scores["mtf-glp-fs"] < 0.8 * scores["exp"]


@pytest.mark.parametrize("name", SCENES)
def test_sensor_bands_and_alignment_are_reported(tmp_path, name, capsys):
    fused(tmp_path, *files(tmp_path, name, *scene(name)), "exp", "--align", "warn")
    printed = capsys.readouterr().err
    assert f"Sensor {'landsat89' if name == 'landsat8' else name}: the file name" in printed
    assert "bleed" not in printed
    shift = printed.split("MS is shifted against PAN by ")[1]
    rows, cols = (float(part.split()[0]) for part in shift.split("rows and "))
    assert max(abs(rows), abs(cols)) < 0.2
