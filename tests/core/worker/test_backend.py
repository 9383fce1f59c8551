"""WorkerBackend returns the same results as LocalBackend; its process needs no GDAL, its program no torch."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from files import read, sample_files, write
from scenes import tiny_file

from ssdiff_core.classical.scene_statistics import Survey
from ssdiff_core.common.errors import Cancelled, RasterError
from ssdiff_core.inprocess.backend import LocalBackend
from ssdiff_core.raster.reader import open_scene
from ssdiff_core.worker.client.backend import WorkerBackend
from ssdiff_core.worker.client.engine import Worker
from ssdiff_core.worker.serialization import decode, encode
from ssdiff_core.workflows.pansharpen import PansharpenOptions, pansharpen

ROOT = Path(__file__).parents[3]
WEDGE = "POLYGON ((400000 4500000,400057 4500000,400000 4499943,400000 4500000))"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Limits both processes to one thread: with several, sums are added in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    yield
    del os.environ["OMP_NUM_THREADS"]
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def without_gdal(tmp_path_factory):
    """A Python without GDAL."""
    path = tmp_path_factory.mktemp("python") / "python"
    first = "import sys\nsys.modules['osgeo'] = None\nsys.argv = sys.argv[2:]\nexec(sys.argv.pop(1))\n"
    path.write_text(f"#!{sys.executable}\n{first}")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def worker(without_gdal):
    with Worker(without_gdal) as worker:
        yield worker


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return sample_files(tmp_path_factory.mktemp("sample"), 96)


def fused(sample, out, backend, **options):
    pansharpen(
        *sample[:2],
        out,
        PansharpenOptions(**options),
        lambda notice: None,
        lambda pixels: lambda share: None,
        backend or LocalBackend(),
    )
    return read(out)


@pytest.mark.parametrize("method", ["ssdiff", "gsa", "exp", "bdsd-pc"])
def test_files_are_the_same(method, sample, worker, tmp_path):
    options = {"method": method, "align": "none", **({"samples": 1} if method == "ssdiff" else {})}
    here = fused(sample, tmp_path / "here.tif", LocalBackend(), **options)
    there = fused(sample, tmp_path / "there.tif", WorkerBackend(worker, print), **options)
    np.testing.assert_array_equal(here, there)


def test_files_with_holes_and_an_extent_are_the_same(sample, worker, tmp_path):
    image = read(sample[0]).copy()
    image[40:50, 30:60] = 0
    pan = write(tmp_path / "pan.tif", image, (400_000.0, 0.6, 0.0, 4_500_000.0, 0.0, -0.6), nodata=0)
    pair = pan, sample[1]
    options = {"align": "none", "extent": (400_010.0, 4_499_950.0, 400_050.0, 4_499_990.0)}
    here = fused(pair, tmp_path / "here.tif", LocalBackend(), **options)
    there = fused(pair, tmp_path / "there.tif", WorkerBackend(worker, print), **options)
    assert (here == 0).any()
    np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize("options", [{}, {"nodata_in": 300.0}])
def test_files_with_bands_in_another_order_and_fill_are_the_same(sample, worker, tmp_path, options):
    pan, ms = read(sample[0]).copy(), read(sample[1])[[3, 0, 1, 2]]
    pan[-16:], ms[:, -4:] = 0, 0
    pair = [
        write(tmp_path / "pan.tif", pan, (400_000.0, 0.6, 0.0, 4_500_000.0, 0.0, -0.6)),
        write(tmp_path / "ms.tif", ms, (400_000.0, 2.4, 0.0, 4_500_000.0, 0.0, -2.4), names="nbgr"),
    ]
    here = fused(pair, tmp_path / "here.tif", LocalBackend(), align="none", **options)
    there = fused(pair, tmp_path / "there.tif", WorkerBackend(worker, print), align="none", **options)
    np.testing.assert_array_equal(here, there)


def test_an_image_and_its_uncertainty_are_the_same_with_holes_and_cut_out_by_polygons(sample, worker, tmp_path):
    image = read(sample[0]).copy()
    image[40:50, 30:60] = 0
    pan = write(tmp_path / "pan.tif", image, (400_000.0, 0.6, 0.0, 4_500_000.0, 0.0, -0.6), nodata=0)
    how = {"weights": str(tiny_file(tmp_path)), "mask": WEDGE, "align": "none", "memory": 8, "steps": 2, "samples": 2}
    backends = {"here": LocalBackend(), "there": WorkerBackend(worker, print)}
    made = {}
    for name, backend in backends.items():
        apart = tmp_path / f"{name}_apart.tif"
        made[name] = fused((pan, sample[1]), tmp_path / f"{name}.tif", backend, uncertainty=str(apart), **how)
        assert np.array_equal(np.isnan(read(apart)), made[name] == 0)
    assert 0.3 < (made["here"] == 0).mean() < 0.8
    np.testing.assert_array_equal(made["here"], made["there"])
    np.testing.assert_array_equal(read(tmp_path / "here_apart.tif"), read(tmp_path / "there_apart.tif"))


def test_auto_means_the_same_device(worker):
    assert WorkerBackend(worker, print).device("auto") == LocalBackend().device("auto")
    assert WorkerBackend(worker, print).device("cpu") == LocalBackend().device("cpu") == ("cpu", "")


def test_a_file_that_becomes_invalid_raises_the_error_of_this_process(sample, worker, tmp_path):
    pan = tmp_path / "pan.tif"
    pan.write_bytes(Path(sample[0]).read_bytes())
    scene = open_scene(pan, sample[1])
    pan.write_bytes(b"no longer a raster")
    with pytest.raises(RasterError, match=r"pan\.tif cannot be opened"):
        WorkerBackend(worker, print).stats(scene, Survey("gsa", (0.3,) * 4), 256)


def test_a_cancellation_ends_it_at_once(sample, without_gdal, tmp_path):
    with Worker(without_gdal) as own:
        backend = WorkerBackend(own, print, cancelled=lambda: own.pid is not None)
        with pytest.raises(Cancelled):
            fused(sample, tmp_path / "out.tif", backend, align="none")
    assert not list(tmp_path.iterdir())


def test_a_scene_is_decoded_as_it_was_encoded(sample):
    scene = open_scene(*sample[:2])
    assert decode(encode(scene)) == scene


def test_a_program_without_torch_fuses_and_assesses(sample, tmp_path):
    code = f"""
import sys
sys.modules["torch"] = None
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from ssdiff_core.workflows import assess as studies
from ssdiff_core.worker.client.backend import WorkerBackend
from ssdiff_core.workflows.pansharpen import PansharpenOptions, pansharpen
from ssdiff_core.worker.client.engine import Worker
from ssdiff_core.domain.options import AssessOptions
with Worker({sys.executable!r}) as worker:
    backend = WorkerBackend(worker, print)
    for method in ("ssdiff", "gsa"):
        out = Path({str(tmp_path)!r}, method + ".tif")
        options = PansharpenOptions(method=method)
        pansharpen({str(sample[0])!r}, {str(sample[1])!r}, out, options, print, lambda n: print, backend)
    (study,) = studies.open_studies([out], None, None, None, AssessOptions(), print)
    print(studies.assess_and_report(study, AssessOptions(), None, print)["results"][0]["measures"]["HQNR"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert 0 < float(done.stdout.splitlines()[-1]) <= 1
    assert {path.name for path in tmp_path.iterdir()} == {"ssdiff.tif", "gsa.tif"}
