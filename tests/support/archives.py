"""Archives for tests: made-up deliveries, a cluster of real worker processes, and means to hold or disturb workers."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from files import write

from ssdiff_core.archive.cluster import ClusterOptions, connected

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "resources" / "sample" / "eureka.npz"


def make_deliveries(folder: Path, count: int, side: int) -> Path:
    """Makes deliveries in the layouts of five vendors."""
    spec = importlib.util.spec_from_file_location("make_deliveries", ROOT / "scripts" / "make_deliveries.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    folder.mkdir()
    module.make(folder, count, side)
    return folder


def make_pairs(folder: Path, count: int, side: int = 64) -> Path:
    """Writes scenes a, b, c ... as files x_pan.tif and x_ms.tif."""
    folder.mkdir()
    with np.load(SAMPLE) as file:
        pan, ms = file["pan"], file["ms"].transpose(2, 0, 1)
    for number in range(count):
        first = 4 * number
        name, at = chr(ord("a") + number), (400_000.0 + 1000 * number, 4_500_000.0)
        for kind, image, ratio in (("pan", pan, 1), ("ms", ms, 4)):
            rows = slice(first // ratio, (first + side) // ratio)
            transform = (at[0], 0.6 * ratio, 0.0, at[1], 0.0, -0.6 * ratio)
            write(folder / f"{name}_{kind}.tif", image[..., rows, : side // ratio], transform)
    return folder


@contextlib.contextmanager
def cluster(workers: int = 2) -> Iterator:
    """Yields a client of a cluster of worker processes on this machine."""
    with connected(ClusterOptions(workers=workers), memory=64) as client:
        yield client


def hold(client, gate: Path) -> None:
    """Has the workers wait before each block while the file `gate` exists; workers that start later do not wait."""
    gate.touch()
    client.run(_hold, str(gate))


def _hold(gate: str) -> None:
    import time

    from ssdiff_core.archive import parts
    from ssdiff_core.workflows import block_writer

    original = getattr(block_writer.in_counts, "original", block_writer.in_counts)

    def held(*arguments):
        while os.path.exists(gate):
            time.sleep(0.05)
        return original(*arguments)

    held.original = original
    block_writer.in_counts = parts.in_counts = held


def pids(client) -> dict[str, int]:
    """Returns the process of each worker."""
    return client.run(os.getpid)
