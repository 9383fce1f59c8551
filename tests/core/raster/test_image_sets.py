"""Sets of images in HDF5 files: read by GDAL, written without a library, and refused with one sentence."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from image_sets import arrays, write_matlab, write_set
from osgeo import gdal

from ssdiff_core.classical.engine import ClassicalEngine
from ssdiff_core.common.errors import RasterError
from ssdiff_core.domain.image_set import Images
from ssdiff_core.raster.image_sets import StoredImages, written


@pytest.fixture(scope="module")
def values():
    return arrays(3, side=32)


def test_a_set_is_read_image_by_image(values, tmp_path):
    read = StoredImages(write_set(tmp_path / "set.h5", values))
    assert (read.count, read.bands, read.ratio, read.shape, read.has_truth) == (3, 4, 4, (32, 32), True)
    images = read.read(1, 2)
    assert np.array_equal(images.pan, values["pan"][1:, 0].astype(np.float32))
    for name in ("ms", "lms"):
        assert np.array_equal(getattr(images, name), values[name][1:].astype(np.float32))
    assert np.array_equal(images.truth, values["gt"][1:].astype(np.float32))


def test_a_set_at_full_resolution_has_no_truth(values, tmp_path):
    read = StoredImages(write_set(tmp_path / "set.h5", {name: values[name] for name in ("ms", "lms", "pan")}))
    assert not read.has_truth
    assert read.read(2).truth is None


@pytest.mark.parametrize("options", [{}, {"libver": ("v108", "v108")}])
def test_every_version_of_the_format_and_compressed_arrays_are_read(values, tmp_path, options):
    with h5py.File(tmp_path / "set.h5", "w", **options) as file:
        for name, array in values.items():
            file.create_dataset(name, data=array, chunks=(2, *array.shape[1:]), compression="gzip")
    assert np.array_equal(StoredImages(tmp_path / "set.h5").read(2).ms, values["ms"][2:].astype(np.float32))


@pytest.mark.parametrize("order", ["nchw", "nhwc", "hwc"])
@pytest.mark.parametrize("count", [3, 1])
def test_a_matlab_file_has_the_same_images_though_its_axes_are_reversed(values, tmp_path, order, count):
    count = count if "n" in order else 1
    some = {name: array[:count] for name, array in values.items()}
    straight = StoredImages(write_set(tmp_path / "set.h5", some)).read(0, count)
    reverse = StoredImages(write_matlab(tmp_path / "set.mat", some, order))
    assert (reverse.count, reverse.bands, reverse.shape) == (count, 4, (32, 32))
    for name in ("pan", "ms", "lms", "truth"):
        assert np.array_equal(getattr(reverse.read(0, count), name), getattr(straight, name))
        assert np.array_equal(getattr(reverse.read(count - 1), name), getattr(straight, name)[-1:])


def test_interpolating_the_ms_of_an_image_gives_its_lms_also_at_the_edges(values, tmp_path):
    images = StoredImages(write_set(tmp_path / "set.h5", values)).read(1)
    exp = ClassicalEngine("exp", 4, "23tap").fuse(images.block(0, "23tap"))
    assert np.abs(exp - values["lms"][1]).max() < 0.01


@pytest.mark.parametrize("truth", [True, False])
def test_a_written_set_is_read_by_gdal_and_by_the_hdf5_library(values, tmp_path, truth):
    with written(tmp_path / "set.h5", 3, 4, (32, 32), 4, truth) as write:
        for i in (2, 0, 1):
            write(i, Images(values["pan"][i], *(values[name][i : i + 1] for name in ("ms", "lms", "gt"))))
    names = ("gt", "lms", "ms", "pan")[not truth :]
    with h5py.File(tmp_path / "set.h5") as file:
        assert tuple(file) == names
        for name in names:
            assert file[name].dtype == np.float32
            assert np.array_equal(file[name][:], values[name].astype(np.float32))
    read = StoredImages(tmp_path / "set.h5")
    assert read.has_truth == truth
    assert np.array_equal(read.read(0, 3).lms, values["lms"].astype(np.float32))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set.h5"]


def test_an_unfinished_set_does_not_get_its_name(tmp_path):
    with pytest.raises(KeyError), written(tmp_path / "set.h5", 3, 4, (32, 32), 4):
        raise KeyError("interrupted")
    assert list(tmp_path.iterdir()) == []


def changed(values, **others):
    return {name: array for name, array in (values | others).items() if array is not None}


FAULTS = {
    "no_ms": (lambda v: changed(v, ms=None), "has no array 'ms'"),
    "no_pan": (lambda v: changed(v, pan=None), "has no array 'pan'"),
    "bands_last": (lambda v: {n: a.transpose(0, 2, 3, 1) for n, a in v.items()}, "axes in another order: pan has"),
    "ms_bands_last": (lambda v: changed(v, ms=v["ms"].transpose(0, 2, 3, 1)), "no whole ratio"),
    "lms_bands_last": (lambda v: changed(v, lms=v["lms"].transpose(0, 2, 3, 1)), "lms has the shape (3, 32, 32, 4)"),
    "three_axes": (lambda v: changed(v, pan=v["pan"][:, 0]), "no whole ratio"),
    "one_axis": (lambda v: changed(v, pan=v["pan"].ravel()), "axes in another order"),
    "ms_of_three_axes": (lambda v: changed(v, ms=v["ms"][:, 0]), "ms has the shape (3, 8, 8), and (images, bands"),
    "gt_of_ms": (lambda v: changed(v, gt=v["ms"]), "gt has the shape (3, 4, 8, 8), and (3, 4, 32, 32) is expected"),
    "fewer_images": (lambda v: changed(v, lms=v["lms"][:2]), "lms has the shape (2, 4, 32, 32)"),
    "no_ratio": (lambda v: changed(v, ms=v["ms"][..., :7, :7]), "no whole ratio"),
    "fractions": (lambda v: {n: a / 2047 for n, a in v.items()}, "values up to 0."),
    "nan": (lambda v: changed(v, pan=np.full_like(v["pan"], np.nan)), "pan of image 1 has values that are not numbers"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_malformed_set_is_an_error_of_one_sentence(fault, values, tmp_path):
    change, words = FAULTS[fault]
    with pytest.raises(RasterError) as error:
        StoredImages(write_set(tmp_path / "set.h5", change(values)))
    assert words in str(error.value)
    assert "set.h5" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("write", [write_set, write_matlab])
def test_a_truncated_file_is_an_error_of_one_sentence_and_prints_nothing(values, tmp_path, write, capfd):
    whole = write(tmp_path / "set.h5", values).read_bytes()
    for share in (0.999, 0.5, 0.01):
        (tmp_path / "set.h5").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(RasterError, match=r"set\.h5 is incomplete|damaged"):
            StoredImages(tmp_path / "set.h5")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "not an HDF5 file"), (b"text" * 999, "not an HDF5 file"), (b"\x89HDF\r\n\x1a\n\x09", "unknown version")],
)
def test_other_files_are_errors_of_one_sentence(tmp_path, content, words):
    (tmp_path / "set.h5").write_bytes(content)
    with pytest.raises(RasterError, match=words):
        StoredImages(tmp_path / "set.h5")


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(RasterError, match="No such file"):
        StoredImages(tmp_path / "set.h5")


def test_a_damaged_image_is_an_error_and_the_others_are_read(values, tmp_path):
    with h5py.File(tmp_path / "set.h5", "w") as file:
        for name, array in values.items():
            file.create_dataset(name, data=array, chunks=(1, *array.shape[1:]), compression="gzip")
        chunk = file["gt"].id.get_chunk_info(1)
    with open(tmp_path / "set.h5", "r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(b"\0" * 64)
    read = StoredImages(tmp_path / "set.h5")
    assert np.array_equal(read.read(2).truth, values["gt"][2:].astype(np.float32))
    with pytest.raises(RasterError, match="may be damaged"):
        read.read(1)


@pytest.mark.parametrize("kind", [np.complex64, [("a", "f4"), ("b", "i4")], "S3"])
def test_arrays_that_are_no_real_numbers_are_an_error(kind, values, tmp_path):
    ms = np.zeros(values["ms"].shape, kind)
    with pytest.raises(RasterError, match=r"real numbers|not supported"):
        StoredImages(write_set(tmp_path / "set.h5", values | {"ms": ms}))


def test_images_beyond_all_measure_are_an_error_and_take_no_memory(tmp_path):
    with h5py.File(tmp_path / "set.h5", "w") as file:
        for name, (bands, side) in {"ms": (4, 100_000), "lms": (4, 400_000), "pan": (1, 400_000)}.items():
            file.create_dataset(name, (2, bands, side, side), "f4", chunks=(1, 1, 64, 64))
    with pytest.raises(RasterError, match="sets consist of small images"):
        StoredImages(tmp_path / "set.h5")


def test_an_array_that_the_library_cannot_decode_is_an_error_that_ends_with_words(values, tmp_path):
    with h5py.File(tmp_path / "set.h5", "w") as file:
        for name, array in values.items():
            file.create_dataset(name, data=array, compression="lzf")
    if _decodes_lzf(tmp_path / "set.h5"):
        pytest.skip("GDAL and h5py share the HDF5 library here, and with it the filter of h5py")
    with pytest.raises(RasterError, match=r"it may be damaged(: \w+ \w+|$)"):
        StoredImages(tmp_path / "set.h5")


def _decodes_lzf(path) -> bool:
    array = gdal.OpenEx(str(path), gdal.OF_MULTIDIM_RASTER).GetRootGroup().OpenMDArray("ms")
    try:
        return array.ReadAsArray() is not None
    except RuntimeError:
        return False


def test_values_beyond_single_precision_are_an_error_without_a_warning(values, tmp_path, recwarn):
    with pytest.raises(RasterError, match="not numbers"):
        StoredImages(write_set(tmp_path / "set.h5", values | {"ms": np.full(values["ms"].shape, 1e308)}))
    assert not recwarn.list
