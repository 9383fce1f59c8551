"""Runs that are ended from outside: by a person, by the system, by a full disk. And how much memory they take."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from files import read, write
from osgeo import gdal
from waiting import HANG_SECONDS

from ssdiff_core.cli.main import main

PAN_AT, MS_AT = (500_000.0, 0.5, 0.0, 4_000_000.0, 0.0, -0.5), (500_000.0, 2.0, 0.0, 4_000_000.0, 0.0, -2.0)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Noise: it takes a while to be packed, and does not become small."""
    folder, rng = tmp_path_factory.mktemp("pair"), np.random.default_rng(5)
    pan = write(folder / "pan.tif", rng.integers(500, 60000, (1600, 1600), np.uint16), PAN_AT)
    return pan, write(folder / "ms.tif", rng.integers(500, 60000, (4, 400, 400), np.uint16), MS_AT)


def words(pair, out, *options):
    fixed = ["--method", "exp", "--align", "none", "--memory", "64"]
    return ["pansharpen", *map(str, pair), str(out), *fixed, *options]


def command(pair, out, *options):
    return [sys.executable, "-m", "ssdiff_core", *words(pair, out, *options)]


def begun(child):
    """Waits until blocks are being computed; answers what is said until then."""
    said = []
    for line in child.stderr:
        said.append(line)
        if line.startswith("{"):
            break
    return said


PLAIN = ("--format", "gtiff", "--co", "COMPRESS=NONE")


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without asking it")
@pytest.mark.parametrize("options", [(), PLAIN])
def test_ended_by_signals_at_random_moments_it_goes_on_to_the_same_pixels(pair, tmp_path, options):
    out, straight = tmp_path / "out.tif", tmp_path / "straight.tif"
    assert main(words(pair, straight, *options)) == 0
    rng, ended = np.random.default_rng(int.from_bytes(os.urandom(4), "big")), 0
    for attempt in range(2):
        child = subprocess.Popen(
            command(pair, out, "--resume", "--progress", "json", *options), stderr=subprocess.PIPE, text=True
        )
        said = begun(child)
        time.sleep(rng.uniform(0, 0.5))
        child.send_signal((signal.SIGTERM, signal.SIGINT)[attempt % 2])
        said = [line for line in (*said, *child.stderr) if not line.startswith("{")]
        child.wait()
        if out.exists():  # whole, then: it was moved there in one step
            break
        ended += 1
        assert child.returncode == 130, said
        assert said[-1].startswith("ssdiff: interrupted")
        assert ("--resume continues" in said[-1]) == out.with_name("out.tif.part.json").exists()
        assert not [line for line in said if not line.startswith("ssdiff: ")]
    assert main(words(pair, out, "--resume", *options)) == 0
    assert ended or attempt == 0
    assert np.array_equal(read(out), read(straight))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.tif", "straight.tif"]


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without asking it")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("seconds", [0.001, 0.05, 0.2])
def test_further_interrupts_do_not_disturb_the_end_of_a_run(pair, tmp_path, number, seconds):
    child = subprocess.Popen(
        command(pair, tmp_path / "out.tif", "--progress", "json"), stderr=subprocess.PIPE, text=True
    )
    begun(child)
    for _ in range(5):
        child.send_signal(number)
        time.sleep(seconds)
    said = [line for line in child.stderr if not line.startswith("{")]
    assert child.wait() == 130, said
    assert said[-1].startswith("ssdiff: interrupted")
    assert not [line for line in said if not line.startswith("ssdiff: ")]
    assert ("--resume continues" in said[-1]) == bool(list(tmp_path.iterdir()))


@pytest.fixture
def small_disk(tmp_path):
    """Returns a function that makes a folder with space for this number of bytes only."""
    disks = []

    def make(size):
        folder = tmp_path / "disk"
        folder.mkdir()
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True)
        if made.returncode:
            pytest.skip("a small disk can be made by root on Linux only")
        disks.append(folder)
        return folder

    try:
        yield make
    finally:
        for folder in disks:
            subprocess.run(["umount", str(folder)], check=True)


PIXELS = 1600 * 1600 * 4 * 2  # bytes


@pytest.fixture
def failed(pair, capfd):
    """Returns a function that returns the error of a run that fails; it must leave no file and its inputs untouched."""

    def failed(folder, *options):
        before = [path.read_bytes() for path in pair]
        assert main(words(pair, folder / "out.tif", *options)) == 1
        assert list(folder.iterdir()) == []
        assert [path.read_bytes() for path in pair] == before
        return error_in(capfd.readouterr().err)

    return failed


def error_in(stderr):
    """Returns the only line that is no usual notice; GDAL must not have printed one either."""
    known = "ssdiff: Estimated time", "ssdiff: Sensor", "ssdiff: The image is the mean"
    lines = [line for line in stderr.splitlines() if not line.startswith(known)]
    assert len(lines) == 1
    return lines[0]


def test_too_little_disk_space_is_an_error_before_anything_is_computed(failed, small_disk):
    said = failed(small_disk(PIXELS // 2), *PLAIN)
    assert "needs about 20.5 MB and 10.2 MB are free there: make room" in said


def test_too_little_disk_space_for_image_and_uncertainty_together_is_an_error(failed, small_disk):
    folder = small_disk(2 * PIXELS)  # each alone would fit
    said = failed(folder, *PLAIN, "--method", "ssdiff", "--uncertainty", str(folder / "apart.tif"))
    assert "out.tif with " in said
    assert "apart.tif needs about 61.4 MB and 41 MB are free there: make room" in said


def test_a_disk_that_fills_with_blocks_is_one_sentence(failed, small_disk):
    said = failed(small_disk(PIXELS), *PLAIN)  # no room for what stands before the pixels
    assert said.endswith("out.tif cannot be written: the disk is full; make room or name another folder")


@pytest.mark.parametrize("options", [(), ("--format", "gtiff")])
def test_a_disk_that_fills_with_the_copy_is_one_sentence(failed, small_disk, options):
    said = failed(small_disk(round(1.55 * PIXELS)), *options)
    assert "out.tif cannot be written: " in said


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on the size of files")
@pytest.mark.parametrize("limit", [PIXELS // 2, 1000])
def test_a_file_that_may_not_grow_is_one_sentence(pair, tmp_path, limit):
    import resource

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    out = tmp_path / "out.tif"
    done = subprocess.run(command(pair, out, *PLAIN), capture_output=True, text=True, preexec_fn=limited)
    assert done.returncode == 1, done.stderr
    assert "out.tif cannot be written: " in done.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


# --- memory ----------------------------------------------------------------------------------------------------------

TRIVIAL = """
import sys
sys.path[:0] = {path!r}
import numpy as np
from ssdiff_core.classical.quantise import Quantising
from ssdiff_core.inprocess.speed import peak_rss_mb
from ssdiff_core.domain.block import SceneStats
from ssdiff_core.workflows.block_writer import BlockRun, fuse
from ssdiff_core.raster.output import output_for
from ssdiff_core.raster.reader import open_scene

class Constant(Quantising):
    reach, ms_halo = 0, 4

    def fuse(self, block, progress=None):
        return np.full((len(block.ms), *block.core.shape), 7, np.float32)

scene = open_scene({pan!r}, {ms!r})
output = output_for(scene, {out!r}, format="gtiff", options=("COMPRESS=NONE",))
fuse(scene, Constant(), [output], SceneStats(), {{}}, BlockRun({memory}))
print(peak_rss_mb())
"""

UNDER = 350
"MiB that Python, torch and GDAL take themselves"


def stretched(path, source, side):
    """A raster as large as one likes, from a small one."""
    gdal.Translate(str(path), str(source), format="VRT", width=side, height=side)
    return path


def peak(pair, folder, side, memory):
    """MiB that a run with an engine that does nothing takes at most."""
    folder.mkdir()
    bands = np.tile(read(pair[1]), (2, 1, 1))
    small = write(folder / "p.tif", read(pair[0]), PAN_AT), write(folder / "m.tif", bands, MS_AT)
    pan = stretched(folder / "pan.vrt", small[0], side)
    ms = stretched(folder / "ms.vrt", small[1], side // 4)
    path, out = [p for p in sys.path if p], str(folder / "o.tif")
    code = TRIVIAL.format(path=path, pan=str(pan), ms=str(ms), out=out, memory=memory)
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    (folder / "o.tif").unlink()
    return int(said)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems count memory otherwise")
def test_memory_depends_on_what_is_allowed_and_not_on_the_scene(pair, tmp_path):
    """8 bands of 2048 x 2048 and of 6144 x 6144 pixels: 67 MB and 600 MB come out."""
    small, large = (peak(pair, tmp_path / str(side), side, 128) for side in (2048, 6144))
    assert large < UNDER + 128
    assert large < small + 64


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit of the address space of a process")
def test_a_limited_address_space_is_one_sentence_or_an_image_and_leaves_nothing(pair, tmp_path):
    """OpenBLAS tries without end to get memory."""
    code = (
        "import resource, sys; from ssdiff_core.cli.main import main; import osgeo.gdal, numpy; "
        "resource.setrlimit(resource.RLIMIT_AS, (300 << 20,) * 2); sys.exit(main())"
    )
    out = tmp_path / "out.tif"
    words = ["pansharpen", *map(str, pair), str(out), "--method", "gsa", "--align", "none", "--memory", "64"]
    run = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert run.returncode in (0, 1), run.stderr
    assert run.stderr.splitlines()[-1].startswith("ssdiff: ")
    assert [path.name for path in tmp_path.iterdir()] == ["out.tif"] * (run.returncode == 0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limits are those of Linux")
@pytest.mark.parametrize("limit", [100, 150, 200, 1100])
def test_a_process_whose_address_space_is_limited_from_the_start_ends(pair, tmp_path, limit):
    """With 100 to 200 MB OpenBLAS has started threads that never get memory, and would wait for them at the exit."""
    code = (
        f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_AS, ({limit} << 20,) * 2); "
        "os.execv(sys.executable, [sys.executable, '-m', 'ssdiff_core', *sys.argv[1:]])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, *words(pair, tmp_path / "out.tif")],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert run.returncode in (0, 1), run.stderr
    assert run.stderr.splitlines()[-1].startswith("ssdiff: ")
    assert [path.name for path in tmp_path.iterdir()] == ["out.tif"] * (run.returncode == 0)
