from functools import partial

import pytest
import torch

from ssdiff_core.inprocess import speed
from ssdiff_core.model import ssnet
from ssdiff_core.weights import catalogue


def test_all_measurements_are_present_and_consistent(monkeypatch):
    monkeypatch.setattr(speed, "SCENE_SIDE", {"cpu": 48})
    monkeypatch.setattr(speed, "WARM_UP_SIDE", {"cpu": 48})
    monkeypatch.setattr(speed, "PATCHES_SIDE", {"cpu": 96})
    monkeypatch.setattr(speed, "BANDS", (4,))
    monkeypatch.setattr(speed, "STEPS", (1, 2))
    monkeypatch.setattr(speed, "REFERENCE_BATCH", 1)
    monkeypatch.setattr(speed, "PUBLISHED_SIDE", 64)
    monkeypatch.setattr(speed, "seconds_per_tile", partial(speed.seconds_per_tile, repeats=1))
    result = speed.run("cpu", notify=lambda line: None)
    assert [(rate["bands"], rate["steps"]) for rate in result["rates"]] == [(4, 1), (4, 2)]
    for rate in result["rates"]:
        assert rate["pixels"] == 48 * 48
        assert rate["pixels_per_second"] > 0
        assert rate["peak_memory_mb"] > 50
    bundled = [entry.id for entry in catalogue.known() if entry.bundled]
    assert [row["weights"] for row in result["weights"]] == bundled
    assert all(row["pixels_per_processor_second"] > 0 for row in result["weights"])
    forward, image = result["forward"], result["image"]
    assert forward["ours_s"] > 0
    assert forward["ratio"] == pytest.approx(forward["plain_s"] / forward["ours_s"], abs=0.01)
    assert image["published_s"] == speed.PUBLISHED_TILES * forward["plain_s"]
    assert image["ratio"] == pytest.approx(image["published_s"] / image["ours_s"], abs=0.1)
    assert result["attention_share"] < 1


def test_the_profile_lists_the_operators():
    assert "scaled_dot_product" in speed.profile("cpu")


def test_the_functions_of_the_network_are_restored_after_the_reference_implementation():
    original = ssnet.spatial_projection
    with speed.replaced(spatial_projection=speed.reference_attention):
        assert ssnet.spatial_projection is speed.reference_attention
    assert ssnet.spatial_projection is original


def test_reference_attention_equals_the_attention_of_the_network():
    q, k, v = torch.rand(3, 2, 50, 32).unbind(0)
    assert torch.allclose(speed.reference_attention(q, k, v, 16), ssnet.spatial_projection(q, k, v, 16), atol=1e-6)
