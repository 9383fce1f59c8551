"""Every write, sync, rename and removal of a run as its last step: the resumed run gives the same bytes.

The normal tests take a sample of the steps; `make fuzz` takes as many as there is time for.
"""

import os
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import crashing
import pytest
from files import ramps, write
from fuzzing import seeds

pytestmark = pytest.mark.skipif(os.name == "nt", reason="processes are copied")
FORMATS = {
    "gtiff": {"format": "gtiff", "options": ("COMPRESS=NONE",)},
    "compressed": {"format": "gtiff"},
    "cog": {"format": "cog"},
}
SAMPLE = 6
"number of steps that the normal tests take for each format"
EDGE = 40
"number of the first and last steps that are taken before others: there files are made and completed"


def points(steps: int) -> Iterator[tuple[int, bool]]:
    """Yields the steps to end at, and whether power is lost there."""
    every = range(1, steps + 1)
    first = next(seeds(1))
    for number in islice(seeds(SAMPLE), 2 * steps):
        rng = random.Random(number)
        zone = (every[:EDGE], every[-EDGE:], every)[(number - first) % 3]
        yield rng.choice(zone), rng.random() < 0.5


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    pan, ms, pan_at, ms_at = ramps(200, 140)
    return str(write(folder / "pan.tif", pan, pan_at)), str(write(folder / "ms.tif", ms, ms_at))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_run_that_ends_at_any_step_is_resumed_to_the_same_bytes(inputs, tmp_path, kind):
    names = [str(tmp_path / name) for name in ("o.tif", "u.tif")]
    code, steps = crashing.run(inputs, names, FORMATS[kind])
    whole = contents(tmp_path)
    assert code == 0
    assert set(whole) == {"o.tif", "u.tif"}
    for point in points(steps):
        for name in names:
            Path(name).write_bytes(b"old")
        code, _ = crashing.run(inputs, names, FORMATS[kind], *point)
        assert code in (crashing.CRASHED, 0), point
        found = contents(tmp_path)
        assert found["o.tif"] in (b"old", whole["o.tif"]), point
        assert found["u.tif"] in (b"old", whole["u.tif"]), point
        assert found["u.tif"] != b"old" or found["o.tif"] == b"old", point  # the image gets its name last
        assert crashing.run(inputs, names, FORMATS[kind])[0] == 0, point
        assert contents(tmp_path) == whole, point


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}
