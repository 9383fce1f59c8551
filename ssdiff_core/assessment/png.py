"""PNG files for the report: contrast stretch, colour ramp, PNG encoding and data URIs."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

LEVELS = 48
"colours of the ramp"
RAMP = ("#10112e", "#33216a", "#6d2a7c", "#a83a72", "#dd5a5a", "#f5925a", "#fcd07e", "#fdf6d0")
"colour ramp from small (dark) to large (bright), monotonic in greyscale"


def png(image: np.ndarray, palette: np.ndarray | None = None) -> bytes:
    """Returns a uint8 image (h, w) or (h, w, 3) as a PNG file. palette: RGBA (n, 4), indexed by the image (h, w)."""
    depth = 3 if palette is not None else 2 if image.ndim == 3 else 0
    height, width = image.shape[:2]
    chunks = [(b"IHDR", struct.pack(">2I5B", width, height, 8, depth, 0, 0, 0))]
    if palette is not None:
        chunks += [(b"PLTE", palette[:, :3].tobytes()), (b"tRNS", palette[:, 3].tobytes())]
    rows = _unfiltered(image) if palette is not None else _filtered(image)
    chunks += [(b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _unfiltered(image: np.ndarray) -> bytes:
    return np.pad(image, ((0, 0), (1, 0))).tobytes()


def _filtered(image: np.ndarray) -> bytes:
    """Returns the rows, each with the PNG filter that leaves the smallest residuals."""
    image = image.reshape(*image.shape[:2], -1).astype(np.int16)
    left, up, corner = (
        np.pad(image, pad)[: len(image), : image.shape[1]]
        for pad in (((0, 0), (1, 0), (0, 0)), ((1, 0), (0, 0), (0, 0)), ((1, 0), (1, 0), (0, 0)))
    )
    predicted = (0, left, up, (left + up) // 2, _paeth(left, up, corner))
    residuals = np.stack([(image - one).astype(np.uint8).reshape(len(image), -1) for one in predicted])
    cost = np.abs(residuals.astype(np.int8).astype(np.int16)).sum(2)
    best = cost.argmin(0).astype(np.uint8)
    return np.concatenate([best[:, None], residuals[best, np.arange(len(image))]], 1).tobytes()


def _paeth(left: np.ndarray, up: np.ndarray, corner: np.ndarray) -> np.ndarray:
    base = left + up - corner
    off = [np.abs(base - one) for one in (left, up, corner)]
    return np.where((off[0] <= off[1]) & (off[0] <= off[2]), left, np.where(off[1] <= off[2], up, corner))


def data_uri(file: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(file).decode()


def stretched(image: np.ndarray, limits: list[tuple[float, float]]) -> np.ndarray:
    """Returns bands (1 or 3, h, w) as uint8 (h, w) or (h, w, 3), stretched between the limits; NaN becomes black."""
    low, high = (np.array(ends, np.float32)[:, None, None] for ends in zip(*limits))
    share = np.clip((image - low) / np.maximum(high - low, 1e-6), 0, 1)
    grey = np.rint(255 * np.nan_to_num(share) ** 0.9).astype(np.uint8)
    return grey[0] if len(grey) == 1 else np.ascontiguousarray(grey.transpose(1, 2, 0))


def heat(field: np.ndarray, maximum: float) -> bytes:
    """Returns a field (h, w) as a PNG, coloured from 0 to maximum; NaN is transparent."""
    known = np.isfinite(field)
    share = np.clip(np.where(known, field, 0) / max(maximum, 1e-12), 0, 1)
    number = np.where(known, 1 + np.rint(share * (LEVELS - 1)), 0).astype(np.uint8)
    colours = np.array([[0, 0, 0, 0], *([*ramp(i / (LEVELS - 1)), 255] for i in range(LEVELS))], np.uint8)
    return png(number, colours)


def ramp(share: float) -> tuple[int, int, int]:
    """Returns the RGB colour at a share of the ramp."""
    place = share * (len(RAMP) - 1)
    first = min(int(place), len(RAMP) - 2)
    one, other = (np.array([int(RAMP[first + i][k : k + 2], 16) for k in (1, 3, 5)]) for i in (0, 1))
    return tuple(int(c) for c in np.rint(one + (other - one) * (place - first)))
