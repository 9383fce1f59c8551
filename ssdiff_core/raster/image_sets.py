"""Reads and writes sets of images in the form of PanCollection: HDF5 files with the arrays gt, ms, lms and pan.

Each array is (images, bands, rows, columns), in counts; sets at full resolution have no gt. Files of MATLAB 7.3 are
HDF5 too, with the axes in reverse, and bands last if MATLAB has them there. GDAL reads sets image by image;
`hdf5_writer` writes them.
"""

from __future__ import annotations

import contextlib
import math
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from osgeo import gdal

from ..common.errors import RasterError, one_line
from ..common.files import open_to_read
from ..domain.image_set import Images
from . import hdf5_writer

gdal.UseExceptions()
KEYS = ("ms", "lms", "pan")
"arrays that every set has"
TRUTH = "gt"
AXES = "(images, bands, rows, columns)"
ORDERS = ("nchw", "whcn", "cwhn")
"""orders of the axes that are read, n images, c bands, h rows, w columns: that of PanCollection, and those of MATLAB's
(images, bands, rows, columns) and (images, rows, columns, bands)"""
NO_BANDS = {3: "cwhn", 2: "cwh"}
"order of the axes if PAN has only this number of axes: MATLAB has no last axis of length 1"
SIGNATURE = b"\x89HDF\r\n\x1a\n"
"beginning of HDF5 data"
USER_BLOCKS = (0, 512, 1024, 2048)
"positions in a file at which HDF5 data may begin; MATLAB writes a text before"
END_OFFSETS = {0: 40, 1: 44, 2: 28, 3: 28}
"position of the end of the file in each version of the superblock"
LOWEST_PEAK = 2.0
"images whose highest value is not above this are fractions of the full scale, not counts"
MAXIMUM_VALUES = 1 << 28
"values of an image, all bands together, up to which it is read"
_reading = threading.Lock()
"held while HDF5 is read, because its library need not be built for several threads"


class StoredImages:
    """An image set in a file (see domain.image_set.ImageSet)."""

    def __init__(self, path: str | Path):
        """Raises RasterError if the file is not such a set."""
        self.path = Path(path)
        _check_complete(self.path)
        with _errors(self.path), _reading:
            self._dataset = gdal.OpenEx(str(path), gdal.OF_MULTIDIM_RASTER, allowed_drivers=["HDF5"])
            group = self._dataset.GetRootGroup()
            names = group.GetMDArrayNames() or []
            self._arrays = {name: group.OpenMDArray(name) for name in (*KEYS, TRUTH) if name in names}
            self._check_types()
        self.has_truth = TRUTH in self._arrays
        self._order = self._find_order()
        shapes = {name: self._shape(name) for name in self._arrays}
        self.count, self.bands = shapes["ms"][:2]
        self.shape = shapes["pan"][2:]
        self.ratio = self._ratio(shapes)
        self._check_size(shapes)
        self._check_first()

    def _find_order(self) -> str:
        """Returns the order of the axes (see ORDERS), which PAN shows by its one band or by having no axis for it."""
        missing = [name for name in KEYS if name not in self._arrays]
        if missing:
            raise RasterError(
                f"{self.path} has no array {missing[0]!r}: a set of images has ms, lms and pan, and gt if it is at "
                "reduced resolution"
            )
        pan = self._stored_shape("pan")
        for order in ORDERS:
            if len(pan) == len(order) and pan[order.index("c")] == 1:
                return order
        if len(pan) in NO_BANDS:
            return NO_BANDS[len(pan)]
        raise RasterError(
            f"{self.path} has the axes in another order: pan has the shape {pan}, and (images, 1, rows, columns) is "
            "expected, or the reverse as MATLAB writes it"
        )

    def _stored_shape(self, name: str) -> tuple[int, ...]:
        return tuple(dimension.GetSize() for dimension in self._arrays[name].GetDimensions())

    def _axes(self, name: str) -> str:
        """Returns the axes of an array as they are stored; PAN may have none for its band."""
        with_bands = name != "pan" or len(self._stored_shape(name)) == len(self._order)
        return self._order if with_bands else self._order.replace("c", "")

    def _shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape of an array as (images, bands, rows, columns)."""
        stored, axes = self._stored_shape(name), self._axes(name)
        if len(stored) != len(axes) or not all(stored):
            raise RasterError(f"{self.path}: {name} has the shape {stored}, and {AXES} is expected")
        sizes = dict(zip(axes, stored))
        return tuple(sizes.get(axis, 1) for axis in "nchw")

    def _ratio(self, shapes: dict[str, tuple[int, ...]]) -> int:
        """Returns the ratio of PAN and MS after comparing the shapes of all arrays."""
        (count, bands, *coarse), fine = shapes["ms"], list(shapes["pan"][2:])
        ratio = fine[0] // coarse[0]
        if ratio < 2 or [ratio * n for n in coarse] != fine:
            raise RasterError(
                f"{self.path}: pan has {fine[0]} x {fine[1]} pixels and ms {coarse[0]} x {coarse[1]}, which is no "
                f"whole ratio of at least 2; the axes must be {AXES}, or the reverse as MATLAB writes them"
            )
        expected = dict.fromkeys(("lms", TRUTH), (count, bands, *fine)) | {"pan": (count, 1, *fine)}
        for name, shape in shapes.items():
            if name != "ms" and shape != expected[name]:
                raise RasterError(
                    f"{self.path}: {name} has the shape {shape}, and {expected[name]} is expected beside ms of "
                    f"{shapes['ms']}, as {AXES}"
                )
        return ratio

    def _check_types(self) -> None:
        for name, array in self._arrays.items():
            kind = array.GetDataType()
            if kind.GetClass() != gdal.GEDTC_NUMERIC or gdal.DataTypeIsComplex(kind.GetNumericDataType()):
                raise RasterError(f"{self.path}: {name} does not consist of real numbers")

    def _check_size(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Raises RasterError if an image is too large: without pixels, files of a few bytes can have any shape."""
        name, shape = max(shapes.items(), key=lambda each: math.prod(each[1][1:]))
        if math.prod(shape[1:]) > MAXIMUM_VALUES:
            raise RasterError(
                f"{self.path}: images of {name} have the shape {shape[1:]}, which is more than {MAXIMUM_VALUES:,} "
                "values: sets consist of small images"
            )

    def _check_first(self) -> None:
        first = self.read(0)
        highest = max(float(first.pan.max()), float(first.ms.max()))
        if highest <= LOWEST_PEAK:
            raise RasterError(
                f"{self.path} has values up to {highest:.3g}: counts are expected, such as 0 to 2047, not fractions of "
                "the full scale"
            )

    def read(self, first: int, count: int = 1) -> Images:
        """Returns consecutive images, from number `first` on.

        Raises RasterError if the file is damaged.
        """
        arrays = {name: self._read(name, first, count) for name in self._arrays}
        return Images(arrays["pan"][:, 0], arrays["ms"], arrays["lms"], arrays.get(TRUTH))

    def _read(self, name: str, first: int, count: int) -> np.ndarray:
        axes, shape = self._axes(name), dict(zip("nchw", (count, *self._shape(name)[1:])))
        start, size = ([of.get(axis, 0) for axis in axes] for of in ({"n": first}, shape))
        with _errors(self.path), _reading:
            values = self._arrays[name].ReadAsArray(start, size)
        values = values.transpose([axes.index(axis) for axis in "nchw" if axis in axes])
        with np.errstate(over="ignore"):  # they become infinite, which is told below
            values = np.ascontiguousarray(values, np.float32).reshape(tuple(shape.values()))
        finite = np.isfinite(values).reshape(count, -1).all(1)
        if not finite.all():
            raise RasterError(
                f"{self.path}: {name} of image {first + int(finite.argmin()) + 1} has values that are not numbers"
            )
        return values


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    """Turns errors of GDAL into RasterError."""
    try:
        yield
    except RuntimeError as error:
        reason = f": {one_line(error)}" if str(error).strip() else ""  # the HDF5 library may tell none
        raise RasterError(f"{path} cannot be read, it may be damaged{reason}") from None


def _check_complete(path: Path) -> None:
    """Raises RasterError unless the file is HDF5 and has its full length. The HDF5 library prints pages on these."""
    try:
        with open_to_read(path) as file:
            size = path.stat().st_size
            for start in USER_BLOCKS:
                file.seek(start)
                superblock = file.read(64)
                if superblock.startswith(SIGNATURE):
                    return _check_length(path, superblock, size)
    except OSError as error:
        raise RasterError(f"{path} cannot be read: {error.strerror or error}") from None
    raise RasterError(
        f"{path} is not an HDF5 file: sets of images are HDF5, or MATLAB files of version 7.3 (save -v7.3)"
    )


def _check_length(path: Path, superblock: bytes, size: int) -> None:
    offset = END_OFFSETS.get(superblock[8] if len(superblock) == 64 else -1)
    if offset is None:
        raise RasterError(f"{path} has a header of HDF5 that is damaged or of an unknown version")
    (end,) = struct.unpack_from("<Q", superblock, offset)
    if size < end:
        raise RasterError(f"{path} is incomplete: it has {size:,} bytes of {end:,}; copy or download it again")


@contextlib.contextmanager
def written(path: str | Path, count: int, bands: int, shape: tuple[int, int], ratio: int, truth: bool = True):
    """Yields a function that writes the image with a number (number, Images of one image) to a new set.

    shape: rows and columns of PAN. truth: whether the set has gt.
    """
    fine, coarse = shape, tuple(n // ratio for n in shape)
    shapes = {"ms": (count, bands, *coarse), "lms": (count, bands, *fine), "pan": (count, 1, *fine)}
    shapes |= {TRUTH: (count, bands, *fine)} if truth else {}
    with hdf5_writer.written(Path(path), shapes) as file:

        def write(number: int, images: Images) -> None:
            arrays = {"pan": images.pan, "ms": images.ms[0], "lms": images.lms[0]}
            arrays |= {TRUTH: images.truth[0]} if truth else {}
            for name, values in arrays.items():
                file.write(name, number, values)

        yield write
