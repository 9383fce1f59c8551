"""Convolutions that keep the size of an image, computed together with what follows them.

Without gradients on a processor, oneDNN limits the result or adds it to an image while it computes the convolution, and
it filters single channels at more than twice the speed of torch's own call. torch's compiler uses the same operators,
but they need no compiler. Where they are missing, ordinary operators give the same result. Without gradients, images
that are no longer needed are overwritten: the fewer images are held, the more of them stay in the processor's cache.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 0.02}
"the types in which the operators are used, and how much their results may differ from ordinary ones"


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    bounded: bool = False,
    slope: float | None = None,
    onto: Tensor | None = None,
) -> Tensor:
    """Returns the convolution of x (B, C, h, w) by weight (C', C or 1, k, k), with the same h and w.

    bounded: limit the result to -1 to 1. slope: factor of negative results. onto: an image that the result is added to;
    without gradients it may be overwritten.
    """
    side, groups = weight.shape[-1] // 2, x.shape[1] // weight.shape[1]
    if torch.is_grad_enabled() or x.device.type != "cpu" or not onednn_works(x.dtype):
        result = F.conv2d(x, weight, bias, padding=side, groups=groups)
        result = F.hardtanh(result) if bounded else result
        result = result if slope is None else F.leaky_relu(result, slope)
        return result if onto is None else added(onto, result)
    geometry = ([side, side], [1, 1], [1, 1], groups)
    if onto is not None:
        return _onto().binary(onto, x, weight, bias, *geometry, "add", 1.0, None, [], None)
    name, numbers = ("hardtanh", [-1.0, 1.0]) if bounded else ("none", []) if slope is None else ("leaky_relu", [slope])
    return _fused()(x, weight, bias, *geometry, name, numbers, "")


def added(x: Tensor, other: Tensor) -> Tensor:
    """Returns the sum; without gradients it overwrites x."""
    return x + other if torch.is_grad_enabled() else x.add_(other)


def multiplied(x: Tensor, other: Tensor) -> Tensor:
    """Returns the product; without gradients it overwrites x."""
    return x * other if torch.is_grad_enabled() else x.mul_(other)


def _fused():
    return torch.ops.mkldnn._convolution_pointwise


def _onto():
    return torch.ops.mkldnn._convolution_pointwise_


@functools.cache
def onednn_works(dtype: torch.dtype) -> bool:
    """Returns whether this torch has the operators of oneDNN, and they compute here what ordinary ones do."""
    if dtype not in TOLERANCES:
        return False
    x, weight, bias = torch.arange(-12.0, 12.0).view(1, 2, 3, 4) / 8, torch.full((2, 1, 3, 3), 0.25), torch.ones(2)
    exact = F.conv2d(x, weight, bias, padding=1, groups=2)
    expected = [exact, F.hardtanh(exact), F.leaky_relu(exact, 0.5), exact + x]
    x, weight, bias, geometry = x.to(dtype), weight.to(dtype), bias.to(dtype), ([1, 1], [1, 1], [1, 1], 2)
    with torch.inference_mode():
        try:
            found = [
                _fused()(x, weight, bias, *geometry, "none", [], ""),
                _fused()(x, weight, bias, *geometry, "hardtanh", [-1.0, 1.0], ""),
                _fused()(x, weight, bias, *geometry, "leaky_relu", [0.5], ""),
                _onto().binary(x.clone(), x, weight, bias, *geometry, "add", 1.0, None, [], None),
            ]
        except (AttributeError, RuntimeError, NotImplementedError, TypeError):
            return False  # processors without instructions for bfloat16 are refused, too
        limit = TOLERANCES[dtype]
        return all(torch.allclose(a.float(), b, atol=limit, rtol=limit) for a, b in zip(found, expected))
