"""Made-up deliveries of five vendors."""

import pytest

from scripts import make_deliveries


@pytest.fixture(scope="session")
def scene():
    """A made-up scene, in the layout of any vendor."""
    return make_deliveries.make_scene(3, 64)


@pytest.fixture(scope="session")
def archive_folder(tmp_path_factory):
    """One delivery of each vendor; do not change them."""
    folder = tmp_path_factory.mktemp("archive")
    make_deliveries.make(folder, 5, 64)
    return folder
