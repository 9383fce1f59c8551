"""Writes HDF5 files of float32 arrays without a library: GDAL only reads HDF5.

The file has the oldest and most widely read form (HDF5 File Format Specification 3.0): superblock 0, a root group with
a B-tree of one leaf and a local heap, and contiguous datasets, whose values follow the headers.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Mapping
from io import RawIOBase
from pathlib import Path

import numpy as np

from ..common.errors import RasterError
from ..common.files import move, open_new, write_all

Shapes = Mapping[str, tuple[int, ...]]
UNDEFINED = (1 << 64) - 1
"address that stands for none"
LEAF_K, INTERNAL_K = 4, 16
"half of the maximum numbers of entries of a symbol table node and of a B-tree node"
MAXIMUM_ARRAYS = 2 * LEAF_K
SUPERBLOCK_BYTES, GROUP_HEADER_BYTES = 96, 40
TREE_BYTES = 24 + 8 * (4 * INTERNAL_K + 1)
NODE_BYTES = 8 + 40 * MAXIMUM_ARRAYS
FLOAT32 = struct.pack("<B3sI2H4BI", 0x11, b"\x20\x1f\0", 4, 0, 32, 23, 8, 0, 23, 127)
"datatype message of little-endian IEEE 754 numbers of 32 bits"
ZERO_FILL = struct.pack("<4BI", 2, 2, 2, 1, 0)
"fill value message: space is allocated late, and the fill value is zero"


class Hdf5File:
    """A file with arrays of known shapes, whose parts are written in any order."""

    def __init__(self, file: RawIOBase, shapes: Shapes):
        self._file, self._shapes = file, shapes
        header, self._starts = headers(shapes)
        write_all(file, header)
        last = max(shapes, key=lambda name: self._starts[name])
        file.truncate(self._starts[last] + _bytes(shapes[last]))

    def write(self, name: str, index: int, values: np.ndarray) -> None:
        """Writes the part of an array at an index of its first axis."""
        shape = self._shapes[name]
        if values.shape != shape[1:]:
            raise ValueError(f"{name}[{index}] has the shape {shape[1:]}, not {values.shape}")
        self._file.seek(self._starts[name] + index * _bytes(shape[1:]))
        write_all(self._file, np.ascontiguousarray(values, "<f4"))


@contextlib.contextmanager
def written(path: Path, shapes: Shapes) -> Iterator[Hdf5File]:
    """Creates a file, which gets its name when the context ends without an error."""
    partial = path.with_name(f"{path.name}.part")
    try:
        with open_new(partial) as file:
            yield Hdf5File(file, shapes)
        move(partial, path)
    except FileExistsError:
        raise RasterError(f"{partial} is left from another run or belongs to one at work: remove it") from None
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise RasterError(f"{path} cannot be written: {error.strerror or error}") from None
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def headers(shapes: Shapes) -> tuple[bytes, dict[str, int]]:
    """Returns all bytes of a file before its values, and the address of the values of each array."""
    if not 1 <= len(shapes) <= MAXIMUM_ARRAYS:
        raise ValueError(f"a file holds 1 to {MAXIMUM_ARRAYS} arrays, not {len(shapes)}")
    names = sorted(shapes)
    heap, name_offsets = _heap_values(names)
    tree = SUPERBLOCK_BYTES + GROUP_HEADER_BYTES
    heap_at = tree + TREE_BYTES
    node = heap_at + 32 + len(heap)
    address, header_addresses, starts = node + NODE_BYTES, {}, {}
    for name in names:
        header_addresses[name] = address
        address += len(_dataset_header(shapes[name], 0))
    for name in names:
        starts[name] = address
        address += -(-_bytes(shapes[name]) // 8) * 8
    end = max(starts[name] + _bytes(shapes[name]) for name in names)
    parts = [
        _superblock(end, tree, heap_at),
        _object_header([(0x11, struct.pack("<2Q", tree, heap_at))]),
        _tree(node, name_offsets[names[-1]]),
        struct.pack("<4sB3x3Q", b"HEAP", 0, len(heap), 1, heap_at + 32) + heap,
        _symbol_node([(name_offsets[name], header_addresses[name]) for name in names]),
        *(_dataset_header(shapes[name], starts[name]) for name in names),
    ]
    return b"".join(parts), starts


def _bytes(shape: tuple[int, ...]) -> int:
    return 4 * int(np.prod(shape, dtype=np.int64))


def _superblock(end: int, tree: int, heap: int) -> bytes:
    signature = b"\x89HDF\r\n\x1a\n" + struct.pack("<8B2HI", 0, 0, 0, 0, 0, 8, 8, 0, LEAF_K, INTERNAL_K, 0)
    addresses = struct.pack("<4Q", 0, UNDEFINED, end, UNDEFINED)
    root = struct.pack("<2QI4x2Q", 0, SUPERBLOCK_BYTES, 1, tree, heap)
    return signature + addresses + root


def _tree(node: int, last_name: int) -> bytes:
    """Returns a B-tree of one leaf, with the symbol table node as its only child."""
    tree = struct.pack("<4s2BH2Q3Q", b"TREE", 0, 0, 1, UNDEFINED, UNDEFINED, 0, node, last_name)
    return tree.ljust(TREE_BYTES, b"\0")


def _heap_values(names: list[str]) -> tuple[bytes, dict[str, int]]:
    """Returns the names of the arrays as the heap holds them, after an empty one, and the offset of each."""
    values, offsets = bytearray(8), {}
    for name in names:
        offsets[name] = len(values)
        values += _padded(name.encode("ascii") + b"\0")
    return bytes(values), offsets


def _symbol_node(entries: list[tuple[int, int]]) -> bytes:
    """Returns the symbol table node. entries: offset of the name and address of the object header."""
    node = struct.pack("<4sBxH", b"SNOD", 1, len(entries))
    for name, header in entries:
        node += struct.pack("<2QI20x", name, header, 0)
    return node.ljust(NODE_BYTES, b"\0")


def _dataset_header(shape: tuple[int, ...], start: int) -> bytes:
    space = struct.pack(f"<3B5x{len(shape)}Q", 1, len(shape), 0, *shape)
    layout = struct.pack("<2B2Q", 3, 1, start, _bytes(shape))
    return _object_header([(0x1, space), (0x3, FLOAT32), (0x5, ZERO_FILL), (0x8, layout)])


def _object_header(messages: list[tuple[int, bytes]]) -> bytes:
    body = b""
    for kind, content in messages:
        content = _padded(content)
        body += struct.pack("<2HB3x", kind, len(content), 0) + content
    return struct.pack("<BxH2I4x", 1, len(messages), 1, len(body)) + body


def _padded(content: bytes) -> bytes:
    return content.ljust(-(-len(content) // 8) * 8, b"\0")
