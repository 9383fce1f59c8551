"""Convolutions with what follows them, and patches: whatever computes them, the result is the same."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scenes import patch_weights

from ssdiff_core.model import convolution, patches

TYPES = {torch.float32: 1e-5, torch.bfloat16: 4e-2}
"types and the largest error of a value of about 1"


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("follow", [{}, {"bounded": True}, {"slope": 0.2}, {"onto": True}])
@pytest.mark.parametrize(("outputs", "inputs", "side"), [(6, 8, 1), (6, 8, 3), (8, 1, 3)])
def test_what_follows_a_convolution_does_not_depend_on_what_computes_it(outputs, inputs, side, follow, dtype):
    generator = torch.Generator().manual_seed(1)
    image, weight, bias, onto = (
        torch.randn(*shape, generator=generator).to(dtype)
        for shape in ((2, 8, 5, 7), (outputs, inputs, side, side), (outputs,), (2, outputs, 5, 7))
    )
    weight /= weight[0].numel() ** 0.5
    follow = {**follow, "onto": onto} if "onto" in follow else follow
    exact = F.conv2d(image.float(), weight.float(), bias.float(), padding=side // 2, groups=8 // inputs)
    exact = exact.clamp(-1, 1) if "bounded" in follow else exact
    exact = F.leaky_relu(exact, 0.2) if "slope" in follow else exact
    exact = exact + onto.float() if "onto" in follow else exact
    with torch.inference_mode():
        kept = {name: value.clone() if name == "onto" else value for name, value in follow.items()}
        fused = convolution.convolve(image, weight, bias, **kept)
    assert torch.allclose(fused.float(), exact, atol=TYPES[dtype], rtol=TYPES[dtype])
    ordinary = convolution.convolve(image.requires_grad_(), weight, bias, **follow)
    assert torch.allclose(ordinary.detach().float(), exact, atol=TYPES[dtype], rtol=TYPES[dtype])


def test_without_the_operators_of_onednn_a_network_gives_the_same(monkeypatch):
    net = patch_weights().net
    images = torch.randn(1, 4, 32, 32), torch.randn(1, len(net.config.seen), 32, 32), torch.randn(1, 4, 8, 8)
    with torch.inference_mode():
        usual = net(None, torch.tensor([999]), *images)

        def missing():
            raise AttributeError("no such operator")

        monkeypatch.setattr(convolution, "_fused", missing)
        convolution.onednn_works.cache_clear()
        try:
            assert not convolution.onednn_works(torch.float32)
            assert torch.allclose(net(None, torch.tensor([999]), *images), usual, atol=1e-5)
        finally:
            monkeypatch.undo()
            convolution.onednn_works.cache_clear()


def test_an_operator_with_a_wrong_result_is_not_used(monkeypatch):
    class Wrong:
        def __call__(self, x, *options):
            return x

        binary = __call__

    monkeypatch.setattr(convolution, "_fused", Wrong)
    convolution.onednn_works.cache_clear()
    try:
        assert not convolution.onednn_works(torch.float32)
    finally:
        monkeypatch.undo()
        convolution.onednn_works.cache_clear()


def test_other_types_are_left_to_torch():
    assert not convolution.onednn_works(torch.float64)
    assert not convolution.onednn_works(torch.float16)


# --- patches ---------------------------------------------------------------------------------------------------------


@given(
    st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
    st.sampled_from([2, 4]),
    *(st.integers(1, 4) for _ in range(4)),
)
def test_moving_rows_of_patches_gives_the_same_as_moving_pixels(dtype, side, batch, bands, rows, cols):
    image = torch.randn(batch, bands, side * rows, side * cols + 3).to(dtype)[..., 3:]
    with torch.inference_mode():
        moved = patches.to_patches(image, side)
        assert torch.equal(moved, F.pixel_unshuffle(image, side))
        assert torch.equal(patches.from_patches(moved, side), image)
    assert torch.equal(patches.to_patches(image, side), moved)
