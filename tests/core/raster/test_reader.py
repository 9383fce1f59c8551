import numpy as np
import pytest
from files import Interpolate, ramps, utm, write
from osgeo import gdal, osr
from scenes import SAMPLE

from ssdiff_core.classical.engine import ClassicalEngine
from ssdiff_core.classical.parallel import scene_stats
from ssdiff_core.common.errors import GeometryError, RasterError
from ssdiff_core.domain.block_passes import blocks_of
from ssdiff_core.domain.grid import apply
from ssdiff_core.domain.kernels import blur, mtf_sigma
from ssdiff_core.domain.registration import band_offsets
from ssdiff_core.domain.window import Window
from ssdiff_core.raster.reader import Reader, alignment, open_scene


def pair(folder, pan, ms, pan_at, ms_at, **rest):
    return write(folder / "pan.tif", pan, pan_at, **rest), write(folder / "ms.tif", ms, ms_at, **rest)


def fused(scene, window=None):
    engine = Interpolate()
    window = window or scene.window
    return engine.fuse(Reader(scene).read(window, engine.reach, engine.ms_halo))


def assert_ramp(image, window, margin=12, within=0.51):
    r, c = np.mgrid[window.row : window.stop[0], window.col : window.stop[1]]
    expected = np.stack([1000 + 4 * r + 8 * c + 500 * k for k in range(len(image))])
    inner = (slice(None), slice(margin, -margin), slice(margin, -margin))
    assert np.abs(image - expected)[inner].max() < within


@pytest.mark.parametrize("at", [(1.5, 1.5), (2.0, 2.0), (0.3, -2.1)])
def test_a_ramp_stays_a_ramp_at_the_phase_of_the_geotransforms(tmp_path, at):
    scene = open_scene(*pair(tmp_path, *ramps(at=at)))
    assert scene.placement.at == pytest.approx(at, abs=1e-6)
    assert_ramp(fused(scene), scene.window)
    assert scene.notices == ()


def test_landsats_half_pixel_at_ratio_2(tmp_path):
    scene = open_scene(*pair(tmp_path, *ramps(ratio=2, at=(0.0, 0.0), pixel=15)))
    assert_ramp(fused(scene), scene.window)


def test_pixel_is_point_files_are_positioned_correctly(tmp_path):
    pan, ms, pan_at, ms_at = ramps()
    write(tmp_path / "pan.tif", pan, pan_at)
    write(tmp_path / "ms.tif", ms, ms_at)
    for name in ("pan", "ms"):
        source = gdal.Open(str(tmp_path / f"{name}.tif"))
        source.SetMetadataItem("AREA_OR_POINT", "Point")
        gdal.Translate(str(tmp_path / f"{name}_point.tif"), source, metadataOptions=["AREA_OR_POINT=Point"])
    scene = open_scene(tmp_path / "pan_point.tif", tmp_path / "ms_point.tif")
    assert scene.placement.at == pytest.approx((1.5, 1.5), abs=1e-6)
    assert_ramp(fused(scene), scene.window)


def test_ms_that_covers_a_part_of_pan_gives_that_part(tmp_path):
    pan, ms, pan_at, ms_at = ramps()
    x, y = ms_at[0] + 5 * 2.0, ms_at[3] - 10 * 2.0
    scene = open_scene(*pair(tmp_path, pan, ms[:, 10:30, 5:45], pan_at, (x, 2.0, 0, y, 0, -2.0)))
    assert scene.window == Window(40, 20, 80, 160)
    assert_ramp(fused(scene), scene.window)


def test_an_extent_is_a_window_of_the_same_image(tmp_path):
    files = pair(tmp_path, *ramps())
    whole = open_scene(*files)
    part = open_scene(*files, extent=(500_010.2, 3_999_940.0, 500_050.0, 3_999_980.1))
    assert part.window == Window(39, 20, 81, 80)
    here = (slice(None), *part.window.within(whole.window))
    assert np.allclose(fused(part), fused(whole)[here], atol=1e-3)
    x0, y0, x1, y1 = part.grid.footprint()
    assert (x0, y0, x1, y1) == pytest.approx((500_010, 3_999_940, 500_050, 3_999_980.5))


def on_ground(transform, height, width, slope=(0.02, -0.03), crs=None, bands=1):
    """An image of ground that rises evenly in PAN's CRS, on any grid of any CRS: any error of place shows in counts."""
    r, c = np.mgrid[:height, :width]
    x, y = apply(transform, c + 0.5, r + 0.5)
    if crs:
        to = osr.CoordinateTransformation(axes_x_y(crs), axes_x_y(utm()))
        x, y = np.array(to.TransformPoints(np.stack([x.ravel(), y.ravel()], 1)))[:, :2].T.reshape(2, height, width)
    level = 3000 + slope[0] * 100 * (x - 500_000) + slope[1] * 100 * (y - 4_000_000)
    return np.stack([level + 500 * k for k in range(bands)]).astype(np.float32)


def axes_x_y(wkt):
    crs = osr.SpatialReference(wkt=wkt)
    crs.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    return crs


def geographic():
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(4326)
    return crs.ExportToWkt()


def turned(degrees, pixel, x=500_100.0, y=3_999_900.0, height=0, width=0):
    """A grid that leans, with (x, y) in its middle."""
    cos, sin = pixel * np.cos(np.radians(degrees)), pixel * np.sin(np.radians(degrees))
    t = (0.0, cos, sin, 0.0, sin, -cos)
    dx, dy = apply(t, width / 2, height / 2)
    return (x - dx, *t[1:3], y - dy, *t[4:])


NORTH_UP = (500_000.0, 0.5, 0.0, 4_000_000.0, 0.0, -0.5)
MS_NORTH_UP = (500_000.0, 2.0, 0.0, 4_000_000.0, 0.0, -2.0)
GEOGRAPHIC = (8.9999, 2e-5, 0.0, 36.1444, 0.0, -2e-5)
"about 2 m, over the same ground: 9 degrees east is the middle of the zone"
WARPED = {
    "MS in degrees": (NORTH_UP, GEOGRAPHIC, geographic()),
    "MS at an angle": (NORTH_UP, turned(20, 2.0, height=150, width=150), None),
    "PAN at an angle": (turned(-33, 0.5, height=400, width=400), MS_NORTH_UP, None),
    "both, at different angles": (turned(12, 0.5, height=400, width=400), turned(50, 2.0, height=150, width=150), None),
    "PAN at an angle, MS in degrees": (turned(7, 0.5, height=400, width=400), GEOGRAPHIC, geographic()),
}


@pytest.mark.parametrize("case", WARPED)
def test_ms_on_another_grid_is_warped_onto_pan_and_this_is_reported(tmp_path, case):
    pan_at, ms_at, crs = WARPED[case]
    pan = write(tmp_path / "pan.tif", on_ground(pan_at, 400, 400), pan_at)
    ms = write(tmp_path / "ms.tif", on_ground(ms_at, 150, 150, crs=crs), ms_at, crs=crs)
    scene = open_scene(pan, ms)
    assert len(scene.notices) == 1
    assert "it is warped onto PAN's grid, at a ratio of 4" in str(scene.notices[0])
    assert scene.grid.transform[1:3] == pan_at[1:3]
    image = fused(scene)[0]
    error = np.abs(image - on_ground(scene.grid.transform, *image.shape)[0])
    seen = np.isfinite(error)
    assert seen.mean() > 0.5
    assert np.nanquantile(error, 0.95) < 0.01  # a tenth of a PAN pixel is 0.1 to 0.15 counts
    assert np.nanmax(error) < 6  # at the rim of MS its last sample goes on


@pytest.mark.parametrize("case", ["MS in degrees", "both, at different angles"])
def test_warping_does_not_depend_on_blocks(tmp_path, case):
    pan_at, ms_at, crs = WARPED[case]
    pan = write(tmp_path / "pan.tif", on_ground(pan_at, 400, 400), pan_at)
    rough = np.random.default_rng(0).uniform(0, 1000, (2, 150, 150)).astype(np.float32)
    scene = open_scene(pan, write(tmp_path / "ms.tif", rough, ms_at, crs=crs))
    whole = fused(scene)
    for window in (Window(150, 130, 77, 90), Window(200, 200, 16, 16)):
        part = fused(scene, window)
        assert np.isfinite(part).any()
        assert np.allclose(part, whole[(slice(None), *window.within(scene.window))], atol=1e-2, equal_nan=True)


def test_warped_bands_of_several_files_keep_their_order_and_their_holes(tmp_path):
    pan_at, ms_at, _ = WARPED["MS at an angle"]
    pan = write(tmp_path / "pan.tif", on_ground(pan_at, 400, 400), pan_at)
    two = on_ground(ms_at, 150, 150, bands=2)
    two[1, 70:80, 70:80] = -1
    files = [write(tmp_path / f"{k}.tif", two[k], ms_at, nodata=-1) for k in (1, 0)]
    image = fused(open_scene(pan, files))
    middle = image[:, 196:204, 196:204]
    assert np.isnan(middle).all()
    assert np.allclose((image[0] - image[1])[np.isfinite(image[0])], 500, atol=0.1)


def test_ms_that_runs_from_south_to_north_keeps_its_samples(tmp_path):
    pan, ms, pan_at, ms_at = ramps()
    upside_down = (ms_at[0], 2.0, 0.0, ms_at[3] - 2.0 * ms.shape[1], 0.0, 2.0)
    scene = open_scene(*pair(tmp_path, pan, ms[:, ::-1], pan_at, upside_down))
    assert_ramp(fused(scene), scene.window)
    block = Reader(scene).read(scene.window)
    assert np.allclose(block.ms[:, 1:-1, 1:-1], ms[:, 1:-1, 1:-1], atol=1e-2)


def test_a_pair_from_south_to_north_keeps_its_orientation(tmp_path):
    pan, ms, pan_at, ms_at = ramps()
    files = pair(tmp_path, pan, ms, *((*t[:3], 4_000_000.0, 0.0, abs(t[5])) for t in (pan_at, ms_at)))
    scene = open_scene(*files)
    assert scene.notices == ()
    assert_ramp(fused(scene), scene.window)
    assert scene.grid.transform[5] == 0.5


def test_another_crs_without_common_ground_is_one_sentence(tmp_path):
    pan, ms, pan_at, _ = ramps()
    write(tmp_path / "pan.tif", pan, pan_at)
    write(tmp_path / "ms.tif", ms, (150.0, 2e-5, 0, -20.0, 0, -2e-5), crs=geographic())
    with pytest.raises(GeometryError, match=r"do not overlap|no ground in common") as caught:
        open_scene(tmp_path / "pan.tif", tmp_path / "ms.tif")
    assert "\n" not in str(caught.value)


def test_warped_ms_of_a_ratio_that_is_none_is_an_error(tmp_path):
    pan_at, ms_at = NORTH_UP, turned(20, 20.0, height=150, width=150)
    pan = write(tmp_path / "pan.tif", on_ground(pan_at, 400, 400), pan_at)
    with pytest.raises(GeometryError, match="PAN pixels are 40 times finer"):
        open_scene(pan, write(tmp_path / "ms.tif", on_ground(ms_at, 150, 150), ms_at))


def test_pan_and_ms_in_the_wrong_order_are_an_error(tmp_path):
    fine, coarse = (turned(0, pixel, height=150, width=150) for pixel in (0.5, 2.0))
    pan = write(tmp_path / "pan.tif", on_ground(coarse, 150, 150), coarse)
    with pytest.raises(GeometryError, match="MS pixels are 4 times finer than PAN pixels: are the two named in the wr"):
        open_scene(pan, write(tmp_path / "ms.tif", on_ground(fine, 150, 150), fine))


def test_a_fractional_ratio_is_interpolated_at_the_exact_positions(tmp_path):
    pan, _, pan_at, _ = ramps(360, 360)
    i, j = np.mgrid[:100, :100]
    ratio = 3.6
    ms = (1000 + 4 * ((i + 0.5) * ratio - 0.5) + 8 * ((j + 0.5) * ratio - 0.5)).astype(np.float32)[None]
    ms_at = (500_000.0, 0.5 * ratio, 0, 4_000_000.0, 0, -0.5 * ratio)
    scene = open_scene(*pair(tmp_path, pan, ms, pan_at, ms_at))
    assert scene.placement.ratio == pytest.approx(3.6)
    assert_ramp(fused(scene), scene.window)


def test_files_without_georeference_share_their_ground(tmp_path):
    pan, ms, *_ = ramps()
    scene = open_scene(*pair(tmp_path, pan, ms, None, None))
    assert "Neither PAN nor MS is georeferenced" in str(scene.notices[0])
    assert_ramp(fused(scene), scene.window)
    assert not scene.grid.placed


def test_one_georeferenced_file_of_two_is_an_error_that_names_both(tmp_path):
    pan, ms, pan_at, _ = ramps()
    with pytest.raises(GeometryError, match=r"only one.*x 500000 to 500100.*50 x 40 pixels, not georeferenced"):
        open_scene(*pair(tmp_path, pan, ms, pan_at, None))


def test_one_file_a_band_in_any_order(tmp_path):
    pan, ms, pan_at, ms_at = ramps()
    pan_file = write(tmp_path / "pan.tif", pan, pan_at)
    files = [write(tmp_path / f"B{k}.tif", ms[k], ms_at) for k in range(3)]
    scene = open_scene(pan_file, [files[2], files[0]])
    image = fused(scene)
    assert np.allclose(image[0] - image[1], 1000, atol=0.01)
    picked = fused(open_scene(pan_file, files, bands=(3, 1)))
    assert np.array_equal(picked, image)


def test_bands_of_different_sizes_are_an_error(tmp_path):
    pan, ms, pan_at, ms_at = ramps()
    files = [write(tmp_path / "a.tif", ms[0], ms_at), write(tmp_path / "b.tif", ms[0, :-1], ms_at)]
    with pytest.raises(GeometryError, match=r"have different grids.*a\.tif.*b\.tif"):
        open_scene(write(tmp_path / "pan.tif", pan, pan_at), files)


def test_a_band_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(GeometryError, match="there is no band 4: MS has bands 1 to 3"):
        open_scene(*pair(tmp_path, *ramps()), bands=(1, 4))


def test_nodata_of_either_input_masks_dependent_pixels(tmp_path):
    pan, ms, pan_at, ms_at = ramps()
    pan[80, 90], ms[1, 10, 20] = 7, 7
    scene = open_scene(*pair(tmp_path, pan, ms, pan_at, ms_at, nodata=7))
    assert scene.masked
    masked = np.isnan(fused(scene))
    assert masked[:, 80, 90].all()
    assert masked[:, 36:48, 76:88].all()  # the sample and its neighbours
    assert masked[0].sum() == 1 + 12 * 12


def test_masks_and_alpha_bands_are_honoured(tmp_path):
    pan, ms, pan_at, ms_at = ramps()
    seen = np.ones(pan.shape, bool)
    seen[:20] = False
    write(tmp_path / "pan.tif", pan, pan_at, mask=seen)
    alpha = np.full(ms.shape[1:], 65535, np.uint16)
    alpha[:, :3] = 0
    write(tmp_path / "ms.tif", np.concatenate([ms, alpha[None]]), ms_at, options=["PHOTOMETRIC=RGB", "ALPHA=YES"])
    scene = open_scene(tmp_path / "pan.tif", tmp_path / "ms.tif")
    assert len(scene.ms) == 3
    image = fused(scene)
    assert np.isnan(image[:, :20]).all()
    assert np.isnan(image[:, :, :16]).all()
    assert np.isfinite(image[:, 20:, 16:]).all()


@pytest.mark.parametrize("content", [b"", b"II*\0garbage", b"nothing at all"])
def test_a_file_that_is_not_a_raster_is_an_error_in_one_sentence(tmp_path, content):
    (tmp_path / "x.tif").write_bytes(content)
    with pytest.raises(RasterError, match=r"x\.tif cannot be opened") as caught:
        open_scene(tmp_path / "x.tif", tmp_path / "x.tif")
    assert "\n" not in str(caught.value)


def test_vrt_and_zip_are_files_like_others(tmp_path):
    import zipfile

    pan, ms = pair(tmp_path, *ramps())
    gdal.BuildVRT(str(tmp_path / "ms.vrt"), [str(ms)]).FlushCache()
    with zipfile.ZipFile(tmp_path / "pan.zip", "w") as archive:
        archive.write(pan, "pan.tif")
    scene = open_scene(f"/vsizip/{tmp_path}/pan.zip/pan.tif", tmp_path / "ms.vrt")
    assert_ramp(fused(scene), scene.window)


def test_another_zone_of_utm_is_another_crs(tmp_path):
    pan, ms, pan_at, ms_at = ramps()
    write(tmp_path / "pan.tif", pan, pan_at)
    write(tmp_path / "ms.tif", ms, ms_at, crs=utm(33))
    with pytest.raises(GeometryError, match="do not overlap"):
        open_scene(tmp_path / "pan.tif", tmp_path / "ms.tif")


@pytest.fixture
def split(tmp_path):
    """The bundled sample with its second band a PAN pixel further down and half a one to the left, and the truth."""
    with np.load(SAMPLE) as file:
        pan, ms, truth = file["pan"], file["ms"].transpose(2, 0, 1).astype(np.float32), file["truth"].transpose(2, 0, 1)
    off = np.array([1.0, -0.5])
    down, across = (blur(1.5 + 4 * np.arange(64) - step, 256, mtf_sigma(0.3, 4), 14) for step in off)
    ms[1] = down @ truth[1].astype(np.float32) @ across.T
    return open_scene(*pair(tmp_path, pan, ms, (0, 0.5, 0, 0, 0, -0.5), (0, 2.0, 0, 0, 0, -2.0))), off, truth


def test_a_shifted_band_is_moved_to_its_position(split):
    scene, off, truth = split
    before = alignment(scene)
    bands = band_offsets(before)
    assert np.abs(np.array([before.rows, before.cols]) + bands[1] - off).max() < 0.15
    right = scene.shifted(before.rows, before.cols, bands)
    after = alignment(right)
    assert max(abs(after.rows), abs(after.cols)) < 0.15
    assert max(abs(after.bands[1].rows), abs(after.bands[1].cols)) < 0.15
    together = scene.shifted(before.rows, before.cols)
    ground = [(slice(None), *one.window.within(scene.window)) for one in (together, right)]
    once, each = (np.abs(sharpened(one) - truth[here]) for one, here in zip((together, right), ground))
    inner = (slice(None), slice(16, -16), slice(16, -16))
    gain = each[inner].mean((1, 2)) / once[inner].mean((1, 2))
    print(f"error of each band, put right alone against together: {gain.round(3)}")
    assert max(gain) < 1
    assert gain[1] < 0.9


def sharpened(scene):
    engine = ClassicalEngine("mtf-glp-fs", scene.placement.ratio)
    stats = scene_stats(scene, lambda: Reader(scene), engine.survey((0.3,) * len(scene.ms), 0.15))
    return engine.fuse(Reader(scene, stats).read(scene.window, engine.reach, engine.ms_halo))


def test_an_aligned_band_does_not_depend_on_blocks(split):
    scene = split[0].shifted(0.1, 0.2, ((0, 0), (0.7, 0), (0, 0), (5.3, -0.5)))
    whole = fused(scene)
    for window in blocks_of(scene.window, 60):
        assert np.allclose(fused(scene, window), whole[(slice(None), *window.within(scene.window))], atol=1e-2)


def test_holes_of_a_band_put_right_go_with_it(tmp_path):
    pan, ms, pan_at, ms_at = ramps()
    ms[1, 20, 30] = 7
    scene = open_scene(*pair(tmp_path, pan, ms, pan_at, ms_at, nodata=7)).shifted(0, 0, ((0, 0), (8.0, 0), (0, 0)))
    block = Reader(scene).read(scene.window)
    rows, cols = np.nonzero(np.isnan(block.ms).any(0))
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (17, 19, 29, 31)  # at 18: two samples further up
    assert np.isnan(block.ms).all(0)[17:20, 29:32].all()


def test_a_displaced_ms_covers_only_its_own_ground(tmp_path):
    """A shift moves the ground that MS covers; nothing beyond it is made up, and every block can still be read."""
    scene = open_scene(*pair(tmp_path, *ramps()))
    moved = scene.shifted(3.0, -2.0)
    assert moved.window == Window(0, 2, 157, 198)
    assert moved.window == moved.ground
    assert fused(moved).shape[1:] == moved.window.shape


@pytest.mark.parametrize(
    "transform",
    [
        (0.0, 1.0, 2.0, 0.0, 1.0, 2.0),
        (5.0, 0.0, 0.0, 5.0, 0.0, 1.0),
        (0.0, float("nan"), 0.0, 0.0, 0.0, -1.0),
        (float("inf"), 1.0, 0.0, 0.0, 0.0, -1.0),
        (1e300, 1.0, 0.0, 0.0, 0.0, -1.0),
        (0.0, 1e-300, 0.0, 0.0, 0.0, -1e-300),
        (0.0, 1e308, 0.0, 0.0, 0.0, -1e308),
    ],
)
@pytest.mark.parametrize("which", [0, 1])
def test_a_transform_without_area_or_end_is_one_sentence_that_names_the_file(tmp_path, transform, which):
    at = [(0.0, 1.0, 0.0, 0.0, 0.0, -1.0), (0.0, 4.0, 0.0, 0.0, 0.0, -4.0)]
    at[which] = transform
    files = [
        write(tmp_path / f"{n}.tif", np.ones((1, side, side), np.uint16), t) for n, side, t in zip("pm", (16, 4), at)
    ]
    with pytest.raises(GeometryError, match=f"{files[which].name} has a geotransform"):
        open_scene(*files)
