"""Training a network: from a recipe and a source of samples to weights, to be stopped and gone on with at any time.

All that is random follows from the recipe's seed and from how far training is, so a run that was stopped and resumed
ends with the same weights as one that was not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..common.errors import ConfigError
from ..common.locks import move
from ..common.pipeline import Line, Stopped
from ..model import checkpoint as weights
from ..model import diffusion
from ..model.ssnet import SSNet, load_state, state_of, train_branch, widened, zeroed
from ..weights.card import check
from ..weights.model_config import T
from .recipe import Recipe, Stage
from .samples import Samples

MEAGRE = 10
"pools in a row that hold less than a batch, after which nothing else is to be hoped for"


# --- training ---------------------------------------------------------------------------------------------------------


def ahead(items: Iterator, size: int = 2) -> Iterator:
    """The same items, made in a thread of their own, which ends when nobody wants more."""
    stop = threading.Event()
    line = Line(stop, size)

    def work() -> None:
        with contextlib.suppress(Stopped):
            try:
                for item in items:
                    line.put((item, None))
            except Exception as error:
                line.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        while True:
            item, error = line.get()
            if error:
                raise error
            yield item
    finally:
        stop.set()


@dataclass
class State:
    """Where training is."""

    stage: int = 0
    step: int = 0
    pool: int = 0
    "the pool in use"
    used: int = 0
    "samples of it that are used up"
    seconds: float = 0.0
    samples: int = 0
    taken: int = 0
    "steps of all stages"


def draw_t(n: int, noisiest: float, generator: torch.Generator) -> Tensor:
    anywhere = torch.randint(0, T, (n,), generator=generator)
    return torch.where(torch.rand(n, generator=generator) < noisiest, torch.tensor(T - 1), anywhere)


def rate_at(step: int, stage: Stage) -> float:
    """Warm-up, then a cosine down to a hundredth."""
    done, warm = step / max(stage.steps, 1), min(1.0, (step + 1) / max(stage.warmup, 1))
    return stage.rate * warm * (0.01 + 0.99 * (0.5 + 0.5 * float(np.cos(np.pi * done))))


class Source(Protocol):
    """What a Trainer learns from."""

    def sigma(self) -> float:
        """How far the truth lies from the base, in the network's units: asked where no weights are begun with."""

    def pools(self, stage: int, tile: int, first: int = 0) -> Iterator[Samples]:
        """Shuffled samples without end, for a stage. Pool k is the same whenever it is made."""

    def look(self, learnt: weights.Weights) -> dict[str, float] | None:
        """How good these are on what is held out: `error`, the less the better, and more; None: nothing is held out."""


class Trainer:
    def __init__(
        self,
        recipe: Recipe,
        source: Source,
        device: str = "cpu",
        notify: Callable[[str], None] = print,
        start: weights.Weights | None = None,
        kept: Callable[[Trainer, dict], None] = lambda trainer, found: None,
    ):
        """start: what is learnt already; None: nothing. kept: hears of each new best, and what was seen of it."""
        self.recipe, self.source, self.notify, self.device = recipe, source, notify, torch.device(device)
        self.bf16 = self.device.type == "cuda" and torch.cuda.is_bf16_supported()
        "whether the network computes in half precision; what it learns is kept, and loss is taken, in full"
        self._kept = kept
        config = recipe.config(recipe.stages[0].tile)
        self.state, self.net, self.ema, self.optimiser = State(), None, {}, None
        self.log: list[dict] = []
        self.best: dict[str, Tensor] = {}
        "what did best on what is held out, if the recipe has patience"
        self.sigma = 1.0
        check(self.card({}))  # better said now than when all is learnt
        self.sigma = _sigma_of(start) if start else recipe.residual_sigma or source.sigma()
        self._begin_stage(widened(state_of(start.net), start.card.arch, config) if start else None)

    def _begin_stage(self, state: dict | None) -> None:
        """A network for the stage's tile, with what was learnt so far."""
        stage = self.recipe.stages[self.state.stage]
        torch.manual_seed(self.recipe.seed + self.state.stage)
        self.net = SSNet(self.recipe.config(stage.tile)).to(self.device, memory_format=torch.channels_last).train()
        if state:
            self.net.load_state_dict(state, strict=False)
        else:  # it begins by answering the base
            zeroed(self.net.head[2]), zeroed(self.net.skip[0])
        self.ema = {name: tensor.clone() for name, tensor in state_of(self.net).items()}
        learns = train_branch(self.net, stage.branch)
        self.optimiser = torch.optim.AdamW(learns, lr=stage.rate, weight_decay=1e-4)

    def run(
        self,
        checkpoint: Path | None = None,
        minutes: float = float("inf"),
        every: float = 120.0,
        heard: Callable[[float], None] = lambda share: None,
        told: Callable[[int, dict[str, float]], None] = lambda steps, numbers: None,
        looked: Callable[[int, weights.Weights], None] = lambda steps, learnt: None,
        **more,
    ) -> bool:
        """Trains until the recipe ends (True) or the minutes are over; saves to checkpoint now and then.

        heard: hears the share of the steps that are taken. told: hears of numbers after so many steps; looked: what was
        learnt, whenever it was looked at what is held out. more: what a checkpoint shall hold besides.
        """
        start, saved = time.monotonic(), time.monotonic()
        before = self.state.seconds
        while self.state.stage < len(self.recipe.stages):
            for batch in self._batches():
                loss = self._step(batch)
                now = time.monotonic()
                self.state.seconds = before + now - start
                heard(self.done)
                told(self.state.taken, self._numbers(loss))
                if self.state.step % 100 == 0:
                    self._tell(loss, batch)
                if self.state.step % self.recipe.validate == 0:
                    self._look(told, looked)
                over = now - start > 60 * minutes
                if checkpoint and (over or now - saved > every):
                    self.save(checkpoint, **more)
                    saved = now
                if over:
                    return False
            self._next_stage()
        if checkpoint:
            self.save(checkpoint, **more)
        return True

    @property
    def done(self) -> float:
        """The share of the steps that are taken, or need not be taken any more."""
        steps, state = [stage.steps for stage in self.recipe.stages], self.state
        return (sum(steps[: state.stage]) + state.step) / max(sum(steps), 1)

    def learnt(self) -> weights.Weights:
        """What was learnt so far."""
        net = SSNet(self.net.config).to(self.device).eval()
        load_state(net, self.ema)
        return weights.Weights(self.card({}), net.requires_grad_(False))

    def _batches(self) -> Iterator[Samples]:
        recipe, stage, meagre = self.recipe, self.recipe.stages[self.state.stage], 0
        for pool in ahead(self.source.pools(self.state.stage, stage.tile, self.state.pool)):
            meagre = meagre + 1 if len(pool["pan"]) < stage.batch else 0
            if meagre == MEAGRE:
                raise ConfigError(
                    f"{recipe.pool} scenes give fewer than {stage.batch} tiles of {stage.tile}, time and again: "
                    "let the recipe say a larger pool, or a smaller batch"
                )
            while self.state.used + stage.batch <= len(pool["pan"]):
                if self.state.step >= stage.steps or self._tired():
                    return
                here = slice(self.state.used, self.state.used + stage.batch)
                self.state.used += stage.batch
                yield {
                    key: value[here].to(self.device, memory_format=torch.channels_last) for key, value in pool.items()
                }
            self.state.pool += 1
            self.state.used = 0

    def _step(self, batch: Samples) -> float:
        stage, state = self.recipe.stages[self.state.stage], self.state
        generator = torch.Generator().manual_seed((self.recipe.seed * 1000 + state.stage) * 10**8 + state.step)
        x0 = batch["residual"] / self.sigma
        t = draw_t(len(x0), self.recipe.noisiest, generator)
        noise = torch.randn(x0.shape, generator=generator).to(x0)
        cond = [batch[key] for key in ("lms", "pan", "ms")]
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(state.step, stage)
        loss = diffusion.loss(lambda x_t, t: self._answer(x_t, t, cond), x0, t, noise)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        state.step += 1
        state.taken += 1
        state.samples += len(x0)
        keep = min(0.9995, (state.step + 1) / (state.step + 20))
        with torch.no_grad():
            for name, tensor in state_of(self.net).items():
                self.ema[name].lerp_(tensor, 1 - keep)
        return loss.item()

    def _answer(self, x_t: Tensor, t: Tensor, cond: list[Tensor]) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            return self.net(x_t, t.to(self.device), *cond).float()

    @property
    def pace(self) -> float:
        """Samples per second, since training began."""
        return self.state.samples / max(self.state.seconds, 1e-9)

    def _numbers(self, loss: float) -> dict[str, float]:
        """What there is to say of the last step."""
        return {"loss": loss, "learning rate": self.optimiser.param_groups[0]["lr"], "samples per second": self.pace}

    def _tell(self, loss: float, batch: Samples) -> None:
        zero = (batch["residual"] / self.sigma).abs().nanmean().item()
        stage = self.recipe.stages[self.state.stage]
        self.notify(
            f"stage {self.state.stage} tile {stage.tile} step {self.state.step}/{stage.steps} loss {loss:.4f} "
            f"of {zero:.4f}, {self.pace:.1f} samples/s"
        )

    def _look(self, told: Callable, looked: Callable) -> None:
        """Looks at what is held out."""
        learnt, state = self.learnt(), self.state
        found = self.source.look(learnt)
        if found is None:
            return
        if self.recipe.patience and found["error"] < min((row["error"] for row in self.log), default=math.inf):
            self.best = {name: tensor.clone() for name, tensor in self.ema.items()}
            self._kept(self, found)
        self.log.append({"stage": state.stage, "step": state.step, "samples": state.samples, **found})
        words = ", ".join(f"{name} {value:.4f}" for name, value in found.items())
        self.notify(f"stage {state.stage} step {state.step}: held-out {words}")
        told(state.taken, {f"held-out {name}": value for name, value in found.items()})
        looked(state.taken, learnt)

    def _tired(self) -> bool:
        """Whether none of the last looks, as many as the recipe has patience, saw anything better than before."""
        errors = [row["error"] for row in self.log if row["stage"] == self.state.stage]
        patience = self.recipe.patience
        return bool(patience) and len(errors) > patience and min(errors[-patience:]) >= min(errors[:-patience])

    def _next_stage(self) -> None:
        self.state = dataclasses.replace(self.state, stage=self.state.stage + 1, step=0, pool=0, used=0)
        self.ema = self.best or self.ema
        if self.state.stage < len(self.recipe.stages):
            self._begin_stage(self.ema)

    # --- files ---------------------------------------------------------------------------------------------------

    def save(self, path: Path, **more) -> None:
        """more: plain values that `load` gives back."""
        partial = path.with_name(path.name + ".part")
        torch.save(
            {
                "state": dataclasses.asdict(self.state),
                "net": self.net.state_dict(),
                "ema": self.ema,
                "best": self.best,
                "optimiser": self.optimiser.state_dict(),
                "sigma": self.sigma,
                "log": self.log,
                "more": more,
            },
            partial,
        )
        move(partial, path)

    def load(self, path: Path) -> None:
        saved = torch.load(path, map_location=self.device, weights_only=True)
        self.state, self.sigma, self.log = State(**saved["state"]), saved["sigma"], saved.get("log", [])
        if self.state.stage < len(self.recipe.stages):
            self._begin_stage(saved["net"])
            self.optimiser.load_state_dict(saved["optimiser"])
        self.ema, self.best = saved["ema"], saved.get("best", {})

    def card(self, training: dict, licence: str = "") -> weights.Card:
        recipe = self.recipe
        return weights.Card(
            id=recipe.id,
            sensor=recipe.sensors[0] if len(recipe.sensors) == 1 else "general",
            bands=recipe.bands,
            wavelengths_nm=recipe.wavelengths_nm,
            ratio=recipe.ratio,
            scale=recipe.scale,
            residual_sigma=(self.sigma,) * len(recipe.bands),
            base=recipe.base,
            interpolation=recipe.interpolation,
            ms_phase=recipe.ms_phase,
            steps=1,
            samples=recipe.samples,
            arch=recipe.config(recipe.stages[min(self.state.stage, len(recipe.stages) - 1)].tile),
            training=training,
            licence=licence,
        )


def _sigma_of(start: weights.Weights) -> float:
    sigma = set(start.card.residual_sigma)
    if len(sigma) > 1:
        raise ConfigError(f"weights {start.card.id!r} have another residual_sigma for each band: no start for training")
    return sigma.pop()
