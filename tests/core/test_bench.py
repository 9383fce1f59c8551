import torch

from ssdiff_core import bench, network


def test_every_figure_is_measured_and_agrees_with_itself(monkeypatch):
    monkeypatch.setattr(bench, "SIDE", {"cpu": 48})
    monkeypatch.setattr(bench, "WARM", {"cpu": 48})
    monkeypatch.setattr(bench, "BANDS", (4,))
    monkeypatch.setattr(bench, "STEPS", (1, 2))
    result = bench.run("cpu", say=lambda line: None)
    assert [(rate["bands"], rate["steps"]) for rate in result["rates"]] == [(4, 1), (4, 2)]
    for rate in result["rates"]:
        assert rate["pixels"] == 48 * 48
        assert rate["pixels_per_second"] > 0
        assert rate["peak_memory_mb"] > 50
    assert result["forward"]["ratio"] > 1
    assert result["image"]["ratio"] > 1
    assert 0 < result["attention_share"] < 1


def test_profile_names_the_operators():
    assert "scaled_dot_product" in bench.profile("cpu")


def test_the_network_is_itself_again_after_the_plain_path():
    own = network.spatial_projection
    with bench.replaced(spatial_projection=bench.plain_attention):
        assert network.spatial_projection is bench.plain_attention
    assert network.spatial_projection is own


def test_plain_attention_is_attention():
    q, k, v = torch.rand(3, 2, 50, 32).unbind(0)
    assert torch.allclose(bench.plain_attention(q, k, v, 16), network.spatial_projection(q, k, v, 16), atol=1e-6)
