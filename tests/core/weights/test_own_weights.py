"""The user's own weights can be renamed and deleted, and published ones cannot."""

import pytest
from plugins import tiny

from ssdiff_core.common import paths
from ssdiff_core.common.errors import WeightsError
from ssdiff_core.model import checkpoint
from ssdiff_core.weights import catalogue, own_weights
from ssdiff_core.weights.card import read_card


@pytest.fixture(autouse=True)
def town(tmp_path, monkeypatch):
    """Returns the entry of the only weights of the user."""
    monkeypatch.setenv("SSDIFF_CACHE", str(tmp_path))
    paths.weights().mkdir()
    tiny(paths.weights() / "town.safetensors", "town", 4)
    (entry,) = own_weights.own_weights()
    return entry


def test_renamed_weights_are_found_by_their_new_name_and_compute_the_same(town):
    before = checkpoint.load(town.path)
    renamed = own_weights.rename(town, "harbour-2025")
    after = checkpoint.load(renamed)
    assert [entry.id for entry in own_weights.own_weights()] == ["harbour-2025"]
    assert all((value == after.net.state_dict()[name]).all() for name, value in before.net.state_dict().items())
    assert not town.path.exists()


@pytest.mark.parametrize("name", ["auto", "a b", "", "general-4", "town"])
def test_a_name_that_is_invalid_or_taken_is_an_error_and_changes_nothing(town, name):
    with pytest.raises(WeightsError):
        own_weights.rename(town, name)
    assert read_card(town.path).id == "town"


def test_deleted_weights_are_gone(town):
    own_weights.delete(town)
    assert own_weights.own_weights() == []


def test_published_weights_and_files_elsewhere_are_left_alone(town, tmp_path):
    published = next(entry for entry in catalogue.known() if entry.path and entry.sha256)
    other = catalogue.entry_of(tiny(tmp_path / "other.safetensors", "other", 4))
    for entry in (published, other):
        with pytest.raises(WeightsError, match="are not your own"):
            own_weights.delete(entry)
        assert entry.path.exists()


def test_scenes_and_gain_are_empty_if_the_card_has_none(town):
    assert (own_weights.scenes_of(town), own_weights.gain_of(town)) == ("", "")
