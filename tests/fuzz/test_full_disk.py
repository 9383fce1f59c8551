"""A disk that becomes full at any moment of a run: the old outputs and one sentence, or complete new ones.

The normal tests take a sample of the sizes; `make fuzz` takes as many as there is time for.
"""

import random
import subprocess

import pytest
from files import Interpolate, ramps, write
from fuzzing import seeds, sentence_of

from ssdiff_core.common.errors import RasterError
from ssdiff_core.domain.block import SceneStats
from ssdiff_core.raster.output import output_for, spread_output
from ssdiff_core.raster.reader import open_scene
from ssdiff_core.workflows import block_writer
from ssdiff_core.workflows.block_writer import BlockRun, fuse

FORMATS = {
    "gtiff": {"format": "gtiff", "options": ("COMPRESS=NONE",)},
    "compressed": {"format": "gtiff"},
    "cog": {"format": "cog"},
}
PAGE = 4096
"bytes by which the size of a disk in memory can change"


@pytest.fixture
def disk(tmp_path):
    """A folder, and a function that sets the bytes it can hold."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("a small disk can be made by root on Linux only")
    try:
        yield folder, lambda size: subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)
    finally:
        subprocess.run(["umount", folder], check=True)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_disk_that_becomes_full_leaves_the_old_outputs_or_complete_new_ones(disk, tmp_path, monkeypatch, kind):
    folder, resize = disk
    monkeypatch.setattr(
        block_writer, "check_room", lambda outputs, scene: None
    )  # another program takes the space later
    pan, ms, pan_at, ms_at = ramps(200, 140)
    scene = open_scene(write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at))
    image = output_for(scene, folder / "o.tif", **FORMATS[kind])
    outputs = [image, spread_output(image, folder / "u.tif")]

    def run():
        fuse(scene, Interpolate(), outputs, SceneStats(), {"method": "exp"}, BlockRun(side=64))

    run()
    whole = contents(folder)
    assert set(whole) == {"o.tif", "u.tif"}
    needed = 5 * sum(map(len, whole.values()))
    old, failed = dict.fromkeys(whole, b"old"), 0
    for seed in seeds(12):
        resize("64m")
        for name, content in old.items():
            (folder / name).write_bytes(content)
        size = random.Random(seed).randrange(3, needed // PAGE) * PAGE
        resize(size)
        said = sentence_of(run, RasterError)
        assert "\n" not in said, size
        assert contents(folder) == (old if said else whole), f"seed {seed}, {size} bytes: {said}"
        failed += bool(said)
    assert failed
