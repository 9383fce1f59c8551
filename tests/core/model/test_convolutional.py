"""The network on patches: what a pixel depends on, which parameters belong to which branch, other bands and ratios."""

import re

import pytest
import torch
from golden import inputs
from scenes import patch_weights, small_network

from ssdiff_core.common.errors import ConfigError
from ssdiff_core.model import band_transfer, checkpoint
from ssdiff_core.model.convolutional import APFM, BRANCHES, FMIM, ConvSSNet, Gated
from ssdiff_core.model.networks import network
from ssdiff_core.model.patches import from_patches, to_patches
from ssdiff_core.model.ssnet import state_of, train_branch, zeroed
from ssdiff_core.weights.model_config import Config

LIGHT = {"bounded": True, "separable": True}
"the architecture of the bundled weights"

LAST = torch.tensor([999])


def given(config: Config, height: int, width: int, images: int = 1):
    torch.manual_seed(1)
    bands, ratio = config.bands, config.ratio
    x_t, lms = torch.randn(2, images, bands, height, width)
    pan = torch.randn(images, len(config.seen), height, width)
    return x_t, LAST, lms, pan, torch.randn(images, bands, height // ratio, width // ratio)


@pytest.mark.parametrize("side", [1, 2, 4])
def test_patches_can_be_put_back(side):
    image = torch.rand(2, 3, 8, 12)
    patches = to_patches(image, side)
    assert patches.shape == (2, 3 * side**2, 8 // side, 12 // side)
    assert torch.equal(from_patches(patches, side), image)


@pytest.mark.parametrize(("bands", "ratio"), [(1, 4), (4, 4), (8, 4), (16, 2), (6, 2)])
def test_any_band_count_ratio_and_size(bands, ratio):
    net = patch_weights(bands=bands, ratio=ratio).net
    for height, width in ((4 * ratio, 16 * ratio), (9 * ratio, 5 * ratio)):
        answer = net(*given(net.config, height, width))
        assert answer.shape == (1, bands, height, width)
        assert torch.isfinite(answer).all()


@pytest.mark.parametrize("attention", [False, True])
def test_only_a_network_with_attention_is_bound_to_its_tile(attention):
    config = Config(tile=64, patch=4, keys=0) if attention else patch_weights().card.arch
    net = small_network(config)
    net(*given(config, 64, 64))
    if attention:
        with pytest.raises(RuntimeError):
            net(*given(config, 64, 96))
    else:
        net(*given(config, 64, 96))


@pytest.mark.parametrize("arch", [{}, {"bounded": True}, LIGHT])
@pytest.mark.parametrize(("ratio", "blocks"), [(4, 1), (4, 3), (2, 2)])
def test_a_pixel_depends_on_its_surroundings_up_to_the_reach_and_no_further(ratio, blocks, arch):
    net = patch_weights(ratio=ratio, blocks=blocks, quiet=False, **arch).net
    reach = net.config.reach
    side = 2 * (reach // ratio + 2) * ratio
    images = [image.requires_grad_() if image.is_floating_point() else image for image in given(net.config, side, side)]
    row = side // 2 // ratio * ratio
    net(*images)[0, :, row, row].sum().backward()
    for image in (images[0], images[2], images[3]):
        rows, cols = image.grad.abs().sum((0, 1)).nonzero().unbind(1)
        furthest = max(int((rows - row).abs().max()), int((cols - row).abs().max()))
        assert furthest < reach + ratio
        assert furthest >= reach - 2 * ratio, "the reach is larger than needed"


@pytest.mark.parametrize("arch", [{}, LIGHT])
def test_without_noise_the_result_is_that_of_noise_of_zero(arch):
    net = patch_weights(**arch).net
    x_t, *others = given(net.config, 32, 32)
    assert torch.allclose(net(None, *others), net(torch.zeros_like(x_t), *others), atol=1e-6)
    assert not torch.allclose(net(None, *others), net(x_t, *others), atol=1e-3)


def test_fmim_initially_damps_the_mean_and_keeps_detail():
    filtering = FMIM(8, 0.6)
    flat, checks = torch.ones(1, 8, 9, 9), torch.ones(1, 8, 9, 9)
    checks[..., ::2, ::2] = checks[..., 1::2, 1::2] = -1
    inner = (..., slice(1, -1), slice(1, -1))
    assert torch.allclose(filtering(flat)[inner], 0.6 * flat[inner], atol=1e-6)
    assert (filtering(checks)[inner] / checks[inner]).min() > 0.9


def test_a_bounded_gate_keeps_a_block_linear_in_bright_pixels():
    """Without norms, a product of two projections would grow with the square of its input, from block to block."""
    torch.manual_seed(0)
    block = Gated(8, bounded=True)
    torch.nn.init.normal_(block.out.weight)
    image = torch.rand(1, 8, 9, 9)
    added = [(block(factor * image) - factor * image).abs().max() for factor in (1e4, 1e6)]
    assert added[1] < 101 * added[0]


@pytest.mark.parametrize("cut", [None, "spatial", "spectral"])
def test_apfm_cuts_the_gradient_of_one_side(cut):
    torch.manual_seed(0)
    apfm = APFM(32, 0.6)
    zeroed(apfm.mlp.out)
    torch.nn.init.normal_(apfm.out.weight)
    x, y = torch.rand(1, 32, 8, 8, requires_grad=True), torch.rand(1, 32, 8, 8, requires_grad=True)
    apfm(x, y, cut=cut).sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x)) == (cut == "spectral")
    assert (y.grad is None) == (cut == "spatial")


@pytest.mark.parametrize(("branch", "other"), [("spatial", "spectral"), ("spectral", "spatial")])
def test_fine_tuning_one_branch_leaves_all_else_bit_identical(branch, other):
    net = small_network(patch_weights(quiet=False).card.arch).train()
    before = {name: tensor.clone() for name, tensor in state_of(net).items()}
    learning = train_branch(net, branch)
    net(*given(net.config, 32, 32)).square().mean().backward()
    torch.optim.AdamW(learning, lr=0.1).step()
    moved = {name for name, tensor in state_of(net).items() if not torch.equal(tensor, before[name])}
    assert {name.split(".")[0] for name in moved} >= {f"{branch}_stem", "fusion"}
    assert all(re.match(BRANCHES[branch], name) for name in moved)
    assert not any(re.match(BRANCHES[other], name) for name in moved)


def test_every_parameter_but_the_embedding_belongs_to_one_branch():
    for name in state_of(patch_weights(separable=True).net):
        branches = [branch for branch, pattern in BRANCHES.items() if re.match(pattern, name)]
        assert len(branches) == (0 if name.startswith("embed.") else 1), name


def test_a_weights_file_gives_the_same_network_back(tmp_path):
    weights = patch_weights()
    checkpoint.save(tmp_path / "w.safetensors", state_of(weights.net), weights.card)
    again = checkpoint.load(tmp_path / "w.safetensors")
    assert isinstance(again.net, ConvSSNet)
    assert again.card == weights.card
    images = given(weights.net.config, 16, 24)
    assert torch.equal(again.net(*images), weights.net(*images))


def test_attention_on_patches_keeps_the_published_form():
    """With patches of one pixel nothing changes; with larger ones the network has the same layers."""
    published, on_patches = network(Config()), network(Config(patch=4))
    assert set(state_of(published)) == set(state_of(on_patches))
    batch = inputs(4)
    with torch.inference_mode():
        assert on_patches.eval()(**batch).shape == batch["lms"].shape


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"patch": 2}, "patch is 2"),
        ({"patch": 4, "tile": 40}, "the tile, 40"),
        ({"blocks": 3}, "unless the network works on patches"),
        ({"patch": 4, "blocks": 65}, "blocks is 65"),
        ({"patch": 4, "blocks": 1.5}, "blocks is 1.5"),
        ({"quiet": "yes"}, "quiet, bounded and separable must be true or false"),
        ({"separable": "yes"}, "quiet, bounded and separable must be true or false"),
    ],
)
def test_wrong_architectures_are_one_sentence(options, sentence):
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        Config(**options)


# --- other bands and ratios ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arch", [{}, LIGHT])
def test_more_identical_bands_give_the_same_result(arch):
    weights = patch_weights(**arch)
    source = [0, 0, 1, 2, 3, 3]
    nm = (480, 550, 660, 830)
    card = checkpoint.replace(weights.card, wavelengths_nm=nm)
    wide = band_transfer.fitted(checkpoint.Weights(card, weights.net), "abcdef", (440, 480, 550, 660, 830, 900))
    x_t, t, lms, pan, ms = given(weights.net.config, 24, 24)
    more = torch.cat([pan[:, :2], pan[:, 2:][:, source]], dim=1)
    answer = wide.net(x_t[:, source], t, lms[:, source], more, ms[:, source])
    assert torch.allclose(answer, weights.net(x_t, t, lms, pan, ms)[:, source], atol=1e-4)


@pytest.mark.parametrize("arch", [{}, LIGHT])
def test_another_ratio_gives_the_mean_over_pixels_that_become_one(arch):
    """Halving the patches halves the image: each new pixel counts like the four it replaces."""
    weights = patch_weights(**arch)
    half = band_transfer.fitted(weights, "abcd", (), 2)
    assert (half.card.ratio, half.card.arch.patch, half.card.ms_phase) == (2, 2, 0.5)
    x_t, t, lms, pan, ms = (image.clone() for image in given(half.net.config, 24, 24))

    def doubled(image):
        return image.repeat_interleave(2, -2).repeat_interleave(2, -1)

    fine = weights.net(doubled(x_t), t, doubled(lms), doubled(pan), ms)
    assert torch.allclose(half.net(x_t, t, lms, pan, ms), torch.nn.functional.avg_pool2d(fine, 2), atol=1e-4)


def test_attention_on_patches_cannot_change_its_bands():
    config = Config(patch=4)
    card = checkpoint.replace(patch_weights().card, arch=config)
    with pytest.raises(ConfigError, match="attention on patches"):
        band_transfer.fitted(checkpoint.Weights(card, network(config)), "abcdef", ())
