import pytest
from archives import cluster
from waiting import HANG_SECONDS

WORKERS = 2


@pytest.fixture(scope="package")
def shared_client():
    """The client of two workers that all tests share: starting them takes seconds."""
    pytest.importorskip("distributed", reason="Dask distributed is not installed")
    with cluster(WORKERS) as connected:
        yield connected


@pytest.fixture
def client(shared_client):
    """The same, once workers that a test has killed are back."""
    shared_client.wait_for_workers(WORKERS, timeout=HANG_SECONDS)
    return shared_client


@pytest.fixture
def at(client):
    """The options of the command that attach it to these workers."""
    return "--scheduler", client.scheduler.address, "--method", "mtf-glp-fs"
