"""The optimiser of the training."""

import subprocess
import sys

import pytest
import torch

from ssdiff_core.training.optimiser import AdamW, clipped


def problem() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in ((3, 4), (5,), (2,))]


def loss_of(parameters) -> torch.Tensor:
    """Depends on all parameters but the last."""
    return ((parameters[0] - 2) ** 4).mean() + (parameters[1] * 3).cosh().mean()


def test_steps_are_those_of_torch():
    ours, theirs = problem(), problem()
    optimiser, reference = AdamW(ours, 1e-2, 0.1), torch.optim.AdamW(theirs, 1e-2, weight_decay=0.1)
    for step in range(20):
        optimiser.rate = reference.param_groups[0]["lr"] = 1e-2 / (step + 1)
        gradients = torch.autograd.grad(loss_of(ours), ours, allow_unused=True)
        optimiser.step(clipped(gradients, 1.0))
        reference.zero_grad()
        loss_of(theirs).backward()
        torch.nn.utils.clip_grad_norm_(theirs, 1.0)
        reference.step()
    for mine, other in zip(ours, theirs):
        torch.testing.assert_close(mine, other)


def test_a_loaded_state_continues_exactly(tmp_path):
    def run(optimiser, parameters, steps):
        for _ in range(steps):
            optimiser.step(torch.autograd.grad(loss_of(parameters), parameters, allow_unused=True))

    whole, first = problem(), problem()
    run(AdamW(whole, 1e-2, 0.1), whole, 8)
    begun = AdamW(first, 1e-2, 0.1)
    run(begun, first, 3)
    torch.save(begun.state(), tmp_path / "state")
    resumed = AdamW(first, 1e-2, 0.1)
    resumed.load(torch.load(tmp_path / "state", weights_only=True))
    run(resumed, first, 5)
    assert all(torch.equal(a, b) for a, b in zip(whole, first))


@pytest.mark.parametrize("maximum", [0.5, 1e6])
def test_large_gradients_are_reduced_and_small_ones_are_not(maximum):
    gradients = [torch.full((4,), 3.0), None, torch.full((2, 2), 4.0)]
    found = clipped(gradients, maximum)
    assert found[1] is None
    norm = torch.cat([found[0], found[2].flatten()]).norm()
    assert norm.item() == pytest.approx(min(maximum, 10.0), rel=1e-5)
    assert torch.allclose(found[0] / found[2].flatten(), torch.tensor(0.75))


def test_training_does_not_import_torchs_compiler():
    code = """
import sys, torch
from ssdiff_core.training.optimiser import AdamW
parameter = torch.ones(2, requires_grad=True)
AdamW([parameter], 1e-3, 0.0).step(torch.autograd.grad(parameter.sum(), [parameter]))
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
