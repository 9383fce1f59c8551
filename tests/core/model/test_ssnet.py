import math

import numpy as np
import pytest
import torch
from golden import answers, inputs, published_state, wave

from ssdiff_core.common.errors import ConfigError, WeightsError
from ssdiff_core.inprocess import speed
from ssdiff_core.model import ssnet
from ssdiff_core.model.ssnet import SSNet, from_published, load_state, state_of, train_branch
from ssdiff_core.weights.model_config import Config


@pytest.mark.parametrize("bands", [4, 8])
def test_reproduces_the_published_network(bands):
    net = from_published(published_state(bands))
    with torch.inference_mode():
        output = net(**inputs(bands)).numpy()
    assert np.abs(output - answers(bands)["output"]).max() < 1e-5


def test_four_waves_are_the_published_frequency_filter():
    y = torch.from_numpy(wave("in.y", (1, 32, 64, 64), 1.0))
    damped = ssnet.damp_lowest(ssnet.to_tokens(y), 0.6, ssnet.lowest_waves(64))
    filtered = ssnet.to_image(damped, 64).numpy()
    assert np.abs(filtered - answers(8)["fourier_filter_s06"]).max() < 1e-5


@pytest.mark.parametrize("bands", [4, 8])
def test_reproduces_what_the_published_parts_answered(bands):
    net, golden, heard = from_published(published_state(bands)), answers(bands), {}
    parts = {
        "time_embed": net.embed,
        "upsample": net.skip,
        "to_hrms": net.head,
        "down0": net.down0,
        "resblock0": net.res[0],
        **{f"fusformer{i}": part.apfm for i, part in enumerate(net.fusion)},
    }
    for name, part in parts.items():
        part.register_forward_hook(lambda _, __, answer, name=name: heard.__setitem__(name, answer.detach()))
    with torch.inference_mode():
        net(**inputs(bands))
    recorded = {key.removeprefix("cap_").removesuffix("_mean_std_first8") for key in golden.files if "cap_" in key}
    assert recorded == set(heard)
    for name in recorded:
        answer = heard[name]
        if name.startswith("fusformer"):
            answer = ssnet.to_image(answer, math.isqrt(answer.shape[1]))
        mean_std_first8 = [answer.mean(), answer.std(unbiased=False), *answer.flatten()[:8]]
        np.testing.assert_allclose(mean_std_first8, golden[f"cap_{name}_mean_std_first8"], atol=1e-5)


@pytest.mark.parametrize("bands", [1, 3, 7, 16])
@pytest.mark.parametrize(("ratio", "tile"), [(4, 64), (2, 32)])
def test_any_band_count_ratio_and_tile(bands, ratio, tile):
    net = SSNet(Config(bands=bands, ratio=ratio, tile=tile)).eval()
    image = torch.rand(1, bands, tile, tile)
    with torch.inference_mode():
        x0 = net(image, torch.tensor([999]), image, image[:, :1], image[..., ::ratio, ::ratio])
    assert x0.shape == image.shape
    assert torch.isfinite(x0).all()


@pytest.mark.parametrize(
    "options",
    [
        {"bands": 0},
        {"bands": 17},
        {"ratio": 3},
        {"tile": 30},
        {"head": 0},
        {"widths": (32, 48, 64)},
        {"boosts": (1,)},
        {"stem_norm": "layer"},
        {"noisy": "no"},
        {"shared": 1},
    ],
)
def test_invalid_configurations_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Config(**options)


def test_widths_are_nowhere_hard_coded():
    net = SSNet(Config(bands=3, tile=32, widths=(64, 96, 160), head=32, time_channels=64)).eval()
    image = torch.rand(2, 3, 32, 32)
    assert net(image, torch.tensor([5, 7]), image, image[:, :1], image[..., ::4, ::4]).shape == (2, 3, 32, 32)


def test_the_plain_path_of_the_bench_answers_the_same():
    net = from_published(published_state(4))
    with torch.inference_mode():
        fast = net(**inputs(4))
        with speed.replaced(spatial_projection=speed.reference_attention, damp_lowest=speed.reference_damping):
            plain = net(**inputs(4))
        assert not torch.equal(fast, plain)  # another way was taken
    assert (fast - plain).abs().max() < 1e-5


def test_import_names_what_is_missing_left_over_or_misshapen():
    state = published_state(4)
    without = {name: tensor for name, tensor in state.items() if name != "resblock2.conv1.bias"}
    with pytest.raises(WeightsError, match=r"res\.2\.conv1\.bias is missing"):
        from_published(without)
    with pytest.raises(WeightsError, match=r"extra\.weight is left over"):
        from_published({**state, "extra.weight": torch.zeros(1)})
    with pytest.raises(WeightsError, match=r"head\.0\.bias has shape \(7,\), not \(32,\)"):
        from_published({**state, "to_hrms.0.bias": torch.zeros(7)})


def test_import_leaves_out_only_what_the_network_never_used():
    state = published_state(8)
    unused = [name for name in state if ssnet.UNUSED.match(name)]
    kept = {ssnet.rename_published(name) for name in state if name not in unused}
    assert kept == set(state_of(SSNet(Config(bands=8))))
    assert sum(state[name].numel() for name in unused if not name.endswith("tracked")) == 126_592


def test_a_bad_state_leaves_the_network_untouched():
    net = SSNet(Config(bands=4))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    state = {name: tensor + 1 for name, tensor in state_of(net).items()}
    state["embed.0.bias"][3] = float("nan")
    with pytest.raises(WeightsError, match=r"embed\.0\.bias holds NaN"):
        load_state(net, state)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def one_step(net, parameters):
    batch = inputs(4)
    loss = (net(**batch) - batch["lms"]).abs().mean()
    loss.backward()
    torch.optim.AdamW(parameters, lr=0.1).step()


@pytest.mark.parametrize(("branch", "other"), [("spatial", "spectral"), ("spectral", "spatial")])
def test_fine_tuning_one_branch_leaves_all_else_bit_identical(branch, other):
    net = from_published(published_state(4)).train()
    before = {name: tensor.clone() for name, tensor in state_of(net).items()}
    learning = train_branch(net, branch)
    one_step(net, learning)
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in learning)
    moved = {name for name, tensor in state_of(net).items() if not torch.equal(tensor, before[name])}
    assert moved
    assert all(name.startswith(tuple(BRANCH_PARTS[branch])) for name in moved)
    assert not any(name.startswith(f"{other}_stem") for name in moved)


BRANCH_PARTS = {
    "spatial": ["spatial_stem.", "res.", *(f"fusion.{i}.apfm.sa" for i in range(5))],
    "spectral": [
        *("spectral_stem.", "skip.", "head."),
        *(f"fusion.{i}.apfm.{part}" for i in range(5) for part in ("se", "out", "mlp")),
    ],
}


@pytest.mark.parametrize("cut", [None, "spatial", "spectral"])
def test_apfm_cuts_the_gradient_of_one_side(cut):
    """With an MLP of zeros APFM is x + fused: x's gradient beyond 1, and all of y's, passes through the fusion."""
    torch.manual_seed(0)
    apfm = ssnet.APFM(32, Config(tile=8), 8)
    ssnet.zeroed(apfm.mlp)
    x, y = torch.rand(2, 64, 32, requires_grad=True), torch.rand(2, 64, 32, requires_grad=True)
    apfm(x, y, cut=cut).sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x)) == (cut == "spectral")
    assert (y.grad is None) == (cut == "spatial")


def test_thawing_lets_everything_learn_again():
    net = from_published(published_state(4)).train()
    train_branch(net, "spatial")
    assert len(train_branch(net, None)) == len(list(net.parameters()))
    assert net.cut is None


@pytest.mark.parametrize("tile", [32, 64])
def test_as_many_keys_as_pixels_is_the_published_attention(tile):
    torch.manual_seed(0)
    published, asked = SSNet(Config(tile=tile)).eval(), SSNet(Config(tile=tile, keys=tile // 4)).eval()
    asked.load_state_dict(published.state_dict())
    y1, y2, x1 = torch.rand(3, 2, tile**2, 32)
    assert torch.equal(ssnet.averaged(y2, tile, tile), y2)
    assert torch.equal(ssnet.averaged(y2, tile, 0), y2)
    flat = y2.mean(1, keepdim=True).expand(-1, tile**2, -1)
    few = ssnet.spatial_projection(y1, ssnet.averaged(flat, tile, 4), ssnet.averaged(flat, tile, 4), 16)
    assert torch.allclose(few, flat, atol=1e-6)  # what is the same everywhere stays so, however few are asked
    assert ssnet.averaged(x1, tile, 4).shape == (2, 16, 32)
    first = x1.view(2, 4, tile // 4, 4, tile // 4, 32)[:, 1, :, 2].mean((1, 2))
    assert torch.allclose(ssnet.averaged(x1, tile, 4)[:, 4 + 2], first, atol=1e-6)


def test_keys_must_divide_the_coarsest_level():
    with pytest.raises(ConfigError, match="keys is 5"):
        Config(tile=64, keys=5)
    assert Config(tile=64, keys=16).keys == 16


def stirred(**options):
    """Returns a network in which no layer is 0."""
    torch.manual_seed(0)
    net = SSNet(Config(tile=32, **options)).eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, 0, 0.1)
    return net


def seen(tiles=1):
    torch.manual_seed(1)
    lms, pan, ms = torch.rand(tiles, 4, 32, 32), torch.rand(tiles, 1, 32, 32), torch.rand(tiles, 4, 8, 8)
    return torch.randn(tiles, 4, 32, 32), torch.tensor([999]), lms, pan, ms


def test_a_regressor_answers_the_same_whatever_the_noise():
    x_t, *rest = seen()
    for noisy in (True, False):
        net = stirred(noisy=noisy)
        assert torch.equal(net(x_t, *rest), net(torch.randn_like(x_t), *rest)) is not noisy


def test_group_norm_in_the_stems_lets_no_tile_of_a_batch_change_another():
    for norm in ("group", "batch"):
        net = stirred(stem_norm=norm).train()
        x_t, t, *rest = seen(tiles=2)
        both = net(x_t, t, *rest)[:1]
        alone = net(x_t[:1], t, *(image[:1] for image in rest))
        assert torch.allclose(both, alone, rtol=1e-4, atol=1e-4) is (norm == "group")


def test_branches_with_separate_layers_start_equal_to_shared_ones_and_then_diverge():
    shared, own = stirred(), stirred(shared=False)
    state = shared.state_dict()
    doubled = {f"y_{name}": tensor for name, tensor in state.items() if name.startswith(("down", "up"))}
    own.load_state_dict({**state, **doubled})
    before = shared(*seen())
    assert torch.equal(own(*seen()), before)
    torch.nn.init.normal_(own.y_down1[0].weight)
    assert not torch.allclose(own(*seen()), before)
    learning = {id(parameter) for parameter in train_branch(own, "spatial")}
    assert {id(parameter) for parameter in own.y_up0.parameters()} <= learning
    assert not {id(parameter) for parameter in own.up0.parameters()} & learning


def test_a_second_guide_reaches_the_spatial_branch():
    net = stirred(guides=2)
    x_t, t, lms, pan, ms = seen()
    one, other = (torch.cat([pan, torch.rand_like(pan)], dim=1) for _ in range(2))
    assert not torch.allclose(net(x_t, t, lms, one, ms), net(x_t, t, lms, other, ms), atol=1e-3)
