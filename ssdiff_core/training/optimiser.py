"""AdamW (Loshchilov and Hutter, 2019).

That of torch imports its compiler when it is created, which takes two seconds: a fifth of the time in which weights
adapt to a scene.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

BETAS = (0.9, 0.999)
"decay of the moving averages of the gradient and of its square"
EPSILON = 1e-8


class AdamW:
    """The optimiser of the parameters; those without a gradient are left alone."""

    def __init__(self, parameters: Iterable[Tensor], rate: float, decay: float):
        """rate: the learning rate, which may be changed between steps. decay: the weight decay."""
        self.parameters, self.rate, self.decay, self.taken = list(parameters), rate, decay, 0
        self._mean, self._square = ([torch.zeros_like(each) for each in self.parameters] for _ in range(2))

    @torch.no_grad()
    def step(self, gradients: Iterable[Tensor | None]) -> None:
        """Updates the parameters by one step."""
        self.taken += 1
        rows = zip(self.parameters, self._mean, self._square, gradients)
        parameters, means, squares, gradients = map(list, zip(*(row for row in rows if row[3] is not None)))
        mean_correction, square_correction = (1 - beta**self.taken for beta in BETAS)
        torch._foreach_lerp_(means, gradients, 1 - BETAS[0])
        torch._foreach_mul_(squares, BETAS[1])
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - BETAS[1])
        spread = torch._foreach_sqrt(torch._foreach_div(squares, square_correction))
        torch._foreach_add_(spread, EPSILON)
        torch._foreach_mul_(parameters, 1 - self.rate * self.decay)
        torch._foreach_addcdiv_(parameters, means, spread, -self.rate / mean_correction)

    def state(self) -> dict:
        """Returns everything that a resumed run needs, as tensors and plain values."""
        return {"taken": self.taken, "mean": self._mean, "square": self._square}

    def load(self, state: dict) -> None:
        """Continues from a state."""
        self.taken = state["taken"]
        for own, saved in ((self._mean, state["mean"]), (self._square, state["square"])):
            torch._foreach_copy_(own, [each.to(mine) for each, mine in zip(saved, own)])


def clipped(gradients: Sequence[Tensor | None], maximum: float) -> list[Tensor | None]:
    """Returns the gradients, reduced so that their common norm is at most `maximum`."""
    norms = torch._foreach_norm([each for each in gradients if each is not None])
    factor = (maximum / (torch.stack(norms).norm() + 1e-6)).clamp(max=1.0)
    return [each if each is None else each * factor for each in gradients]
