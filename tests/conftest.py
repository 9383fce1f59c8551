from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from servers import Files, running

ROOT = Path(__file__).parents[1]
LONGEST = (
    "core/worker/test_worker.py",
    "core/archive/test_archive.py",
    "core/archive/test_faults.py",
    "core/workflows/test_adapt.py",
    "core/fusion/test_engine.py",
    "qgis/algorithms/test_pansharpen.py",
    "core/runtime/test_environment.py",
    "test_package.py",
    "qgis/algorithms/test_download_weights.py",
    "core/inprocess/test_sample_processes.py",
    "qgis/algorithms/test_adapt.py",
    "core/workflows/test_interrupts.py",
    "qgis/services/test_runtime.py",
    "qgis/test_window.py",
)
"files that start first, so that all pytest-xdist workers finish at about the same time"

# The pytest-xdist workers use all cores between them. torch reads this when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What the tests download and learn about scenes is not the user's.
if "SSDIFF_CACHE" not in os.environ:
    os.environ["SSDIFF_CACHE"] = tempfile.mkdtemp(prefix="ssdiff-tests-")
    atexit.register(shutil.rmtree, os.environ["SSDIFF_CACHE"], ignore_errors=True)

# A shell starts background jobs with SIGINT ignored; the programs that tests start and interrupt would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No time limits: machines differ, and are busy.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_collection_modifyitems(items):
    """Moves the longest files to the front; the order within a file stays."""
    rank = {ROOT / "tests" / name: index for index, name in enumerate(LONGEST)}
    missing = [str(path) for path in rank if not path.exists()]
    assert not missing, f"update LONGEST in {__file__}: there is no {', '.join(missing)}"
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@pytest.fixture(scope="session")
def sample_weights():
    """The weights for four bands at PAN's resolution."""
    from ssdiff_core.model import checkpoint

    return checkpoint.load(ROOT / "resources" / "weights" / "unbundled" / "general-4.safetensors")


@pytest.fixture(scope="session")
def patch_network():
    """The bundled weights for four bands on patches, which `auto` chooses."""
    from ssdiff_core.model import checkpoint

    return checkpoint.load(ROOT / "resources" / "weights" / "general-4-patches.safetensors")


@pytest.fixture(scope="session")
def release(tmp_path_factory):
    """Files of published weights that are not bundled: for four and for eight bands."""
    from plugins import publishable

    return publishable(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="session")
def plugin_of_release(tmp_path_factory, release):
    """A plugin folder whose catalogue lists these weights."""
    from plugins import plugin_with

    return plugin_with(tmp_path_factory.mktemp("with") / "plugin", *release)


@pytest.fixture
def release_server(release):
    """A server of these weights."""
    with running(Files({f"/{path.name}": path.read_bytes() for path in release})) as server:
        yield server


@pytest.fixture(scope="session")
def eval_data() -> Path:
    """A folder of real satellite scenes whose licences do not allow to bundle them."""
    folder = os.environ.get("SSDIFF_EVAL_DATA")
    if not folder:
        pytest.skip("SSDIFF_EVAL_DATA is not set to a folder of evaluation scenes")
    return Path(folder)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """The files of a self-signed certificate for 127.0.0.1 and of its key."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    files = folder / "cert.pem", folder / "key.pem"
    new = ("-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1")
    names = ("-addext", "subjectAltName=IP:127.0.0.1", "-out", files[0], "-keyout", files[1])
    subprocess.run(["openssl", "req", *new, *names], check=True, capture_output=True)
    return tuple(map(str, files))
