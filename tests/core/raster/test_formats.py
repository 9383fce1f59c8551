"""What GDAL opens, the command fuses: real files of each format and of each kind of content, end to end."""

import contextlib
import functools
import http.server
import os
import threading
import zipfile

import numpy as np
import pytest
from files import ramps, read, write
from osgeo import gdal, osr
from vendors import IMD

from ssdiff_core.cli.main import main
from ssdiff_core.domain.methods import CLASSICAL


@pytest.fixture
def fuse(tmp_path, capsys):
    """Runs the command with EXP; answers the fused file and what was said."""

    def run(pan, ms, *options, method="exp", expect=0):
        out = tmp_path / "fused.tif"
        asked = ["--method", method, "--progress", "none", "--align", "none", *options]
        code = main(["pansharpen", str(pan), str(ms), str(out), *asked])
        said = capsys.readouterr().err
        assert code == expect, said
        return (gdal.Open(str(out)) if expect == 0 else None), said

    return run


@pytest.fixture
def plain(tmp_path):
    """The pair that every format must fuse to the same image."""
    pan, ms, pan_at, ms_at = ramps(256, 320)
    return write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at)


def is_the_ramp(image, margin=8, bands=3):
    r, c = np.mgrid[: image.shape[1], : image.shape[2]]
    expected = np.stack([1000 + 4 * r + 8 * c + 500 * k for k in range(bands)])
    inner = (slice(None), slice(margin, -margin), slice(margin, -margin))
    return image.shape[0] == bands and np.abs(image.astype(float) - expected)[inner].max() <= 1


LOSSLESS = {
    "JP2OpenJPEG": ["QUALITY=100", "REVERSIBLE=YES"],
    "COG": [],
    "VRT": [],
    "ENVI": [],
}


@pytest.mark.parametrize("driver", LOSSLESS)
def test_formats_of_gdal(tmp_path, plain, fuse, driver):
    if gdal.GetDriverByName(driver) is None:
        pytest.skip(f"this GDAL has no {driver}")
    files = []
    for path in plain:
        files.append(tmp_path / f"{path.stem}.{driver}")
        gdal.Translate(str(files[-1]), str(path), format=driver, creationOptions=LOSSLESS[driver])
    fused, _ = fuse(*files)
    assert is_the_ramp(fused.ReadAsArray())
    assert fused.GetGeoTransform() == pytest.approx(gdal.Open(str(plain[0])).GetGeoTransform())


def test_both_rasters_may_be_in_one_zip(tmp_path, plain, fuse):
    with zipfile.ZipFile(tmp_path / "both.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in plain:
            archive.write(path, f"scene/{path.name}")
    fused, _ = fuse(*(f"/vsizip/{tmp_path}/both.zip/scene/{path.name}" for path in plain))
    assert is_the_ramp(fused.ReadAsArray())


def test_digitalglobes_tiles_are_one_image(tmp_path, plain, fuse):
    ms = gdal.Open(str(plain[1])).ReadAsArray()
    (tmp_path / "ms").mkdir()
    groups = ""
    for k, (first, last) in enumerate(((0, 47), (48, 79)), 1):
        part = ms[:, :, first : last + 1]
        write(tmp_path / "ms" / f"X_R1C{k}.TIF", part, (500_000.0 + 2 * first, 2.0, 0.0, 4_000_000.0, 0.0, -2.0))
        corners = {"UL": (first, 0), "UR": (last, 0), "LR": (last, 63), "LL": (first, 63)}
        offsets = "".join(f"\t{c}ColOffset = {x};\n\t{c}RowOffset = {y};\n" for c, (x, y) in corners.items())
        groups += f'BEGIN_GROUP = TILE_{k}\n\tfilename = "X_R1C{k}.TIF";\n{offsets}END_GROUP = TILE_{k}\n'
    (tmp_path / "ms" / "X.TIL").write_text(f'bandId = "Multi";\nnumTiles = 2;\ntileUnits = "Pixels";\n{groups}END;\n')
    text = IMD.format(bands="", satellite="WV03")
    text = text.replace("numRows = 40", "numRows = 64").replace("numColumns = 50", "numColumns = 80")
    (tmp_path / "ms" / "X.IMD").write_text(text)
    fused, said = fuse(plain[0], tmp_path / "ms" / "X.TIL")
    assert is_the_ramp(fused.ReadAsArray())
    assert "names WorldView-3" in said


class Ranges(http.server.SimpleHTTPRequestHandler):
    """Files with byte ranges, and how many requests and bytes there were."""

    def __init__(self, *args, counts, **kwargs):
        self.counts = counts
        super().__init__(*args, **kwargs)

    def send_head(self):
        asked = self.headers.get("Range", "")
        path = self.translate_path(self.path)
        self.counts["requests"] += 1
        if not asked.startswith("bytes=") or not os.path.isfile(path):
            return super().send_head()
        first, _, last = asked[6:].partition("-")
        size = os.path.getsize(path)
        first, last = int(first), min(int(last or size - 1), size - 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        self.counts["bytes"] += last + 1 - first
        with open(path, "rb") as file:
            file.seek(first)
            self.wfile.write(file.read(last + 1 - first))

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def served(folder):
    """A folder over HTTP: its address and the counts."""
    counts = {"requests": 0, "bytes": 0}
    handler = functools.partial(Ranges, directory=str(folder), counts=counts)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"/vsicurl/http://127.0.0.1:{server.server_address[1]}", counts
        server.shutdown()
        thread.join()


def test_files_over_http_are_read_about_once(tmp_path, fuse):
    """Survey, alignment and fusion each open the files; what has come once is not fetched for each of them."""
    pan, ms, pan_at, ms_at = ramps(768, 768)
    rng = np.random.default_rng(0)
    (tmp_path / "web").mkdir()
    for name, image, at in (("pan", pan, pan_at), ("ms", ms, ms_at)):
        write(tmp_path / "plain.tif", image + rng.integers(0, 50, image.shape).astype(np.uint16), at)
        gdal.Translate(str(tmp_path / "web" / f"{name}.tif"), str(tmp_path / "plain.tif"), format="COG")
    here, _ = fuse(tmp_path / "web" / "pan.tif", tmp_path / "web" / "ms.tif", "--align", "warn", method="gsa")
    here = here.ReadAsArray()
    size = sum(path.stat().st_size for path in (tmp_path / "web").iterdir())
    with served(tmp_path / "web") as (address, counts):
        fused, _ = fuse(f"{address}/pan.tif", f"{address}/ms.tif", "--align", "warn", method="gsa")
    assert np.array_equal(fused.ReadAsArray(), here)
    print(f"{counts['requests']} requests, {counts['bytes'] / size:.2f} times the files")
    assert counts["bytes"] < 2 * size
    assert counts["requests"] < 150


def test_a_url_that_is_not_there_is_one_sentence(tmp_path, plain, fuse):
    with served(tmp_path) as (address, _):
        _, said = fuse(plain[0], f"{address}/nowhere.tif", expect=1)
    assert said.count("\n") == 1
    assert "nowhere.tif cannot be opened" in said


# --- contents --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", CLASSICAL)
@pytest.mark.parametrize("bands", [1, 16])
def test_one_band_and_sixteen(tmp_path, fuse, bands, method):
    pan, ms, pan_at, ms_at = ramps(bands=bands)
    pan += 250 * (bands - 1)  # the mean of the bands
    files = write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at)
    fused, _ = fuse(*files, method=method)
    image = fused.ReadAsArray().reshape(bands, *pan.shape)
    assert image.min() > 0
    inner = (slice(None), slice(20, -20), slice(20, -20))
    lms = 1000 + sum(np.mgrid[:160, :200] * np.array([4, 8])[:, None, None]) + 500 * np.arange(bands)[:, None, None]
    assert np.abs(image - lms)[inner].mean() < 0.05 * lms.mean()


def test_negative_values_are_kept(tmp_path, fuse):
    pan, ms, pan_at, ms_at = ramps(dtype=np.int16)
    files = write(tmp_path / "pan.tif", pan - np.int16(2000), pan_at), write(tmp_path / "ms.tif", ms - 2000, ms_at)
    fused, _ = fuse(*files)
    image = fused.ReadAsArray()
    assert image.dtype == np.int16
    assert image.min() < -900
    assert is_the_ramp(image + np.int16(2000))
    assert fused.GetRasterBand(1).GetMaskFlags() & gdal.GMF_ALL_VALID


@pytest.mark.parametrize("nodata", [np.nan, -9999.0])
def test_floats_with_nodata(tmp_path, fuse, nodata):
    pan, ms, pan_at, ms_at = ramps(dtype=np.float32)
    pan[:20], ms[1, 20:, 30:] = nodata, nodata
    files = [write(tmp_path / f"{n}.tif", i, at, nodata=nodata) for n, i, at in (("p", pan, pan_at), ("m", ms, ms_at))]
    fused, _ = fuse(*files, method="mtf-glp-fs")
    assert str(fused.GetRasterBand(1).GetNoDataValue()) == str(nodata)
    seen = fused.GetRasterBand(2).GetMaskBand().ReadAsArray() > 0
    assert not seen[:20].any()
    assert not seen[76:, 116:].any()
    assert seen[20:76].all()
    assert np.isfinite(fused.ReadAsArray()[:, seen]).all()


@pytest.mark.parametrize("hidden", ["mask", "alpha"])
def test_what_a_mask_or_alpha_hides_is_transparent_in_the_output(tmp_path, fuse, hidden):
    pan, ms, pan_at, ms_at = ramps(dtype=np.uint8)
    seen = np.ones(ms.shape[1:], bool)
    seen[:10] = False
    write(tmp_path / "pan.tif", pan, pan_at)
    if hidden == "mask":
        write(tmp_path / "ms.tif", ms, ms_at, mask=seen)
    else:
        options = ["PHOTOMETRIC=RGB", "ALPHA=YES"]
        write(tmp_path / "ms.tif", np.concatenate([ms, seen[None].astype(np.uint8) * 255]), ms_at, options=options)
    fused, _ = fuse(tmp_path / "pan.tif", tmp_path / "ms.tif")
    assert fused.RasterCount == 3
    shown = fused.GetRasterBand(1).GetMaskBand().ReadAsArray() > 0
    assert not shown[:40].any()
    assert shown[44:].all()


@pytest.mark.parametrize("larger", ["PAN", "MS", "each on one side"])
def test_the_output_covers_the_overlap_of_pan_and_ms(tmp_path, fuse, larger):
    pan, ms, (x, *_), _ = ramps(240, 280)
    cut = {"PAN": ((0, 0), (13, 7)), "MS": ((50, 35), (0, 0)), "each on one side": ((30, 0), (0, 11))}[larger]
    (top, left), (down, right) = cut
    files = (
        write(
            tmp_path / "pan.tif",
            pan[top : top + 150, left : left + 170],
            (x + left / 2, 0.5, 0, 4e6 - top / 2, 0, -0.5),
        ),
        write(tmp_path / "ms.tif", ms[:, down:, right:], (x + right * 2, 2.0, 0, 4e6 - down * 2, 0, -2.0)),
    )
    fused, _ = fuse(*files)
    row, col = max(top, 4 * down), max(left, 4 * right)
    height, width = min(top + 150, 240) - row, min(left + 170, 280) - col
    assert (fused.RasterYSize, fused.RasterXSize) == (height, width)
    assert fused.GetGeoTransform() == pytest.approx((x + col / 2, 0.5, 0, 4e6 - row / 2, 0, -0.5))
    image = fused.ReadAsArray().astype(float)
    r, c = np.mgrid[row : row + height, col : col + width]
    assert np.abs(image[0] - (1000 + 4 * r + 8 * c))[12:-12, 12:-12].max() <= 1


def test_an_extent_at_odd_places_is_snapped_to_pan(plain, fuse):
    fused, _ = fuse(*plain, "--extent", "500013.37,3999921.11,500077.77,3999970.01")
    assert fused.GetGeoTransform() == pytest.approx((500_013, 0.5, 0, 3_999_970.5, 0, -0.5))
    assert (fused.RasterYSize, fused.RasterXSize) == (99, 130)


def test_a_pair_in_degrees(tmp_path, fuse):
    pan, ms, _, _ = ramps()
    wgs84 = osr.SpatialReference()
    wgs84.ImportFromEPSG(4326)
    step = 5e-6
    files = (
        write(tmp_path / "pan.tif", pan, (9.0, step, 0, 48.0, 0, -step), crs=wgs84.ExportToWkt()),
        write(tmp_path / "ms.tif", ms, (9.0, 4 * step, 0, 48.0, 0, -4 * step), crs=wgs84.ExportToWkt()),
    )
    fused, said = fuse(*files)
    assert "warped" not in said
    assert is_the_ramp(fused.ReadAsArray())


@pytest.mark.parametrize("which", ["both", "MS", "PAN"])
def test_rasters_from_south_to_north(tmp_path, fuse, which):
    pan, ms, pan_at, ms_at = ramps()
    files = []
    for name, image, at, pixel in (("PAN", pan, pan_at, 0.5), ("MS", ms, ms_at, 2.0)):
        if which in ("both", name):
            at = (*at[:3], at[3] - image.shape[-2] * pixel, 0.0, pixel)
            image = image[..., ::-1, :]
        files.append(write(tmp_path / f"{name}.tif", image, at))
    fused, _ = fuse(*files)
    assert fused.GetGeoTransform()[5] == (-0.5 if which == "MS" else 0.5)
    image = fused.ReadAsArray()
    assert is_the_ramp(image if which == "MS" else image[:, ::-1])


def test_a_pair_at_an_angle_is_fused_on_pans_own_grid(tmp_path, fuse):
    leaning = (500_000.0, 0.4, 0.3, 4_000_000.0, 0.3, -0.4)
    pan, ms, _, ms_at = ramps()
    files = write(tmp_path / "pan.tif", pan, leaning), write(tmp_path / "ms.tif", ms, ms_at)
    fused, said = fuse(*files)
    assert said.count("it is warped onto PAN's grid") == 1
    assert fused.GetGeoTransform()[1:3] == pytest.approx(leaning[1:3])
    assert fused.GetRasterBand(1).GetNoDataValue() is not None


def test_files_of_different_sizes_are_one_sentence(tmp_path, plain, fuse, capsys):
    gdal.Translate(str(tmp_path / "other.tif"), str(plain[1]), srcWin=[0, 0, 60, 60], bandList=[1])
    parts = ["--ms", str(plain[1]), "--ms", str(tmp_path / "other.tif")]
    out = tmp_path / "fused.tif"
    assert main(["pansharpen", str(plain[0]), str(out), *parts, "--method", "exp"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("ssdiff: the MS files have different grids")
    assert said.count("\n") == 1
    assert not out.exists()
    assert read(plain[1]).shape == (3, 64, 80)


def test_bands_of_different_types_get_a_common_type(tmp_path, plain, capsys):
    parts = []
    for index, kind in ((1, gdal.GDT_Byte), (2, gdal.GDT_Int16), (3, gdal.GDT_UInt16)):
        gdal.Translate(
            str(tmp_path / f"{index}.tif"),
            str(plain[1]),
            bandList=[index],
            outputType=kind,
            scaleParams=[[0, 2**16, 0, 200]],
        )
        parts += ["--ms", str(tmp_path / f"{index}.tif")]
    out = tmp_path / "fused.tif"
    assert main(["pansharpen", str(plain[0]), str(out), *parts, "--method", "exp", "--progress", "none"]) == 0
    assert read(out).dtype == np.int32


def test_a_vrt_without_its_source_is_an_error_in_one_sentence(tmp_path, plain, fuse):
    gdal.BuildVRT(str(tmp_path / "ms.vrt"), [str(plain[1])]).FlushCache()
    plain[1].unlink()
    _, said = fuse(plain[0], tmp_path / "ms.vrt", expect=1)
    assert "ms.vrt cannot be read" in said.splitlines()[-1]
    assert not (tmp_path / "fused.tif").exists()
