"""Trains a network from a recipe and a source of samples. A run can be stopped and resumed at any time.

Everything random follows from the recipe's seed and the number of the step, so a resumed run ends with the same weights
as an uninterrupted one.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
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

from ..classical.parallel import keep_memory
from ..common.errors import ConfigError
from ..common.files import move, open_new
from ..common.notices import Notify, notice
from ..common.pipeline import StoppableQueue, Stopped
from ..fusion.tiles import orientations_of, rotate
from ..model import checkpoint as weights
from ..model import devices, diffusion
from ..model.networks import network
from ..model.ssnet import load_state, state_of, train_branch, widened
from ..weights.card import check
from ..weights.model_config import T
from ..weights.output_files import partial_of
from .distillation import Teacher
from .optimiser import AdamW, clipped
from .recipe import Recipe, Stage
from .samples import Samples
from .spectral_loss import SpectralLoss

MAX_SMALL_POOLS = 10
"number of consecutive pools smaller than a batch after which training gives up"
WEIGHT_DECAY = 1e-4
MAXIMUM_GRADIENT = 1.0
"norm of the gradients of all parameters together, to which larger ones are reduced"


# --- training ---------------------------------------------------------------------------------------------------------


def prefetched(items: Iterator, size: int = 2) -> Iterator:
    """Yields the same items, which are computed ahead in another thread. The thread ends with this generator."""
    stop = threading.Event()
    line = StoppableQueue(stop, size)

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
    """The progress of training."""

    stage: int = 0
    step: int = 0
    "number of steps done in the stage"
    pool: int = 0
    "number of the current pool"
    used: int = 0
    "number of samples of the pool that are used up"
    seconds: float = 0.0
    samples: int = 0
    "number of samples trained on, in all stages"
    taken: int = 0
    "number of steps done, in all stages"


def draw_t(n: int, noisiest: float, generator: torch.Generator) -> Tensor:
    """Draws n diffusion steps: a share `noisiest` at the last one, the others uniformly."""
    anywhere = torch.randint(0, T, (n,), generator=generator)
    return torch.where(torch.rand(n, generator=generator) < noisiest, torch.tensor(T - 1), anywhere)


def rate_at(step: int, stage: Stage) -> float:
    """Returns the learning rate of a step: linear warm-up, then a cosine down to the final share of the maximum."""
    done, warm = step / max(stage.steps, 1), min(1.0, (step + 1) / max(stage.warmup, 1))
    return stage.rate * warm * (stage.final + (1 - stage.final) * (0.5 + 0.5 * float(np.cos(np.pi * done))))


class Source(Protocol):
    """A source of training samples."""

    def sigma(self) -> float:
        """Returns the standard deviation of the residual in the network's units; needed without initial weights."""

    def pools(self, stage: int, tile: int, first: int = 0) -> Iterator[Samples]:
        """Yields pools of shuffled samples without end, from number `first` on. Pool k is the same whenever made."""

    def epoch(self, stage: Stage) -> int:
        """Returns the number of steps that use each sample once; needed if `validate` of the recipe is 0."""

    def evaluate(self, weights: weights.Weights) -> dict[str, float] | None:
        """Returns the held-out scores of weights: `error` (lower is better) and others; None if nothing is held out."""


class Trainer:
    """Trains a network; see `run`."""

    def __init__(
        self,
        recipe: Recipe,
        source: Source,
        device: str = "cpu",
        notify: Notify = print,
        start: weights.Weights | None = None,
        on_best: Callable[[Trainer, dict], None] = lambda trainer, found: None,
        spectral_loss: SpectralLoss | None = None,
        teacher: weights.Weights | None = None,
    ):
        """Starts from a new network, or from the weights `start`.

        on_best: called with the held-out scores whenever they improve, if the recipe has patience. spectral_loss: added
        to the error of the residual. teacher: needed if the recipe has a share `distilled`.
        """
        self.recipe, self.source, self.notify, self.device = recipe, source, notify, torch.device(device)
        on_patches = recipe.config(recipe.stages[0].tile).patch > 1
        keep_memory()
        self.bf16 = devices.fast_bfloat16(self.device) and (on_patches or self.device.type == "cuda")
        "whether the network computes in bfloat16; parameters and loss are float32"
        self._on_best, self._spectral_loss = on_best, spectral_loss
        if bool(recipe.distilled) != bool(teacher):
            raise ConfigError("a recipe with a share `distilled` above 0 needs a teacher, and others have none")
        self._teacher = Teacher(teacher, recipe, self.device) if teacher else None
        config = recipe.config(recipe.stages[0].tile)
        self.state, self.net, self.ema, self.optimiser = State(), None, {}, None
        self.log: list[dict] = []
        self.best: dict[str, Tensor] = {}
        "the parameters with the lowest held-out error, if the recipe has patience"
        self.sigma = 1.0
        check(self.card({}))  # fail now rather than after the training
        self.sigma = _sigma_of(start) if start else recipe.residual_sigma or source.sigma()
        self._begin_stage(widened(state_of(start.net), start.card.arch, config) if start else None)

    def _begin_stage(self, state: dict | None) -> None:
        """Creates the network and the optimiser of the current stage, with the parameters in `state` if given."""
        stage = self.recipe.stages[self.state.stage]
        torch.manual_seed(self.recipe.seed + self.state.stage)
        self.net = network(self.recipe.config(stage.tile)).to(self.device, memory_format=torch.channels_last).train()
        if state:
            self.net.load_state_dict(state, strict=False)
        else:  # initially, the network predicts a residual of zero
            self.net.predict_zero()
        self.ema = {name: tensor.clone() for name, tensor in state_of(self.net).items()}
        trained = train_branch(self.net, stage.branch)
        self.optimiser = AdamW(trained, stage.rate, WEIGHT_DECAY)

    def run(
        self,
        checkpoint: Path | None = None,
        minutes: float = float("inf"),
        every: float = 120.0,
        on_progress: Callable[[float], None] = lambda share: None,
        on_step: Callable[[int, dict[str, float]], None] = lambda steps, numbers: None,
        on_evaluation: Callable[[int, weights.Weights], None] = lambda steps, weights: None,
        **more,
    ) -> bool:
        """Trains until the recipe is finished (returns True) or the minutes are over (returns False).

        checkpoint: file to save to every `every` seconds and at the end. on_progress: called with the share of the
        steps that are done. on_step: called with the number of steps done and the numbers of the last one.
        on_evaluation: called with the number of steps done and the evaluated weights. more: further entries of the
        checkpoint.
        """
        start, saved = time.monotonic(), time.monotonic()
        before = self.state.seconds
        while self.state.stage < len(self.recipe.stages):
            for batch in self._batches():
                loss = self._step(batch)
                now = time.monotonic()
                self.state.seconds = before + now - start
                on_progress(self.done)
                on_step(self.state.taken, self._step_numbers(loss))
                if self.state.step % 100 == 0:
                    self._report_step(loss, batch)
                if self.state.step % self._steps_between_evaluations == 0:
                    self._evaluate(on_step, on_evaluation)
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

    def seconds_per_step(self, count: int, clock: Callable[[], float]) -> float:
        """Returns the time of a step: the fastest of `count`, because the first are slower, and its share of a pool.

        The steps change the network.
        """
        stage, times, started = self.recipe.stages[0], [], clock()
        pool = next(self.source.pools(0, stage.tile))
        per_step = (clock() - started) * stage.batch / (len(pool["pan"]) * self.recipe.reuse)
        batch = self._on_device({key: value[: stage.batch] for key, value in pool.items()})
        for _ in range(count):
            started = clock()
            self._step(batch)
            times.append(clock() - started)
        return min(times) + per_step

    @property
    def done(self) -> float:
        """The share of the steps that are done or skipped."""
        steps, state = [stage.steps for stage in self.recipe.stages], self.state
        return (sum(steps[: state.stage]) + state.step) / max(sum(steps), 1)

    def current_weights(self) -> weights.Weights:
        """Returns the current weights (the moving average of the parameters)."""
        net = copy.deepcopy(self.net).eval()
        load_state(net, self.ema)
        return weights.Weights(self.card({}), net.requires_grad_(False))

    @property
    def _steps_between_evaluations(self) -> int:
        return self.recipe.validate or self.source.epoch(self.recipe.stages[self.state.stage])

    def _batches(self) -> Iterator[Samples]:
        recipe, stage, small_pools = self.recipe, self.recipe.stages[self.state.stage], 0
        pools = self.source.pools(self.state.stage, stage.tile, self.state.pool)
        for pool in prefetched(map(self._teacher.blend, pools) if self._teacher else pools):
            small_pools = small_pools + 1 if len(pool["pan"]) < stage.batch else 0
            if small_pools == MAX_SMALL_POOLS:
                raise ConfigError(
                    f"{recipe.pool} scenes give fewer than {stage.batch} tiles of {stage.tile}: "
                    "set a larger pool or a smaller batch in the recipe"
                )
            whole_batches = len(pool["pan"]) // stage.batch * stage.batch
            while self.state.used < whole_batches * recipe.reuse:
                if self.state.step >= stage.steps or self._out_of_patience():
                    return
                start = self.state.used % whole_batches
                batch = {key: value[start : start + stage.batch] for key, value in pool.items()}
                if self.state.used >= whole_batches:
                    batch = self._rotated(batch)
                self.state.used += stage.batch
                yield self._on_device(batch)
            self.state.pool += 1
            self.state.used = 0

    def _on_device(self, batch: Samples) -> Samples:
        return {key: value.to(self.device, memory_format=torch.channels_last) for key, value in batch.items()}

    def _rotated(self, batch: Samples) -> Samples:
        """Returns a batch in a random orientation, which depends on the number of the step."""
        orientations = orientations_of(self.recipe.ratio, self.recipe.ms_phase)
        rng = np.random.default_rng([self.recipe.seed, self.state.stage, self.state.step])
        orientation = orientations[rng.integers(len(orientations))]
        return {key: rotate(value, orientation) for key, value in batch.items()}

    def _step(self, batch: Samples) -> float:
        stage, state = self.recipe.stages[self.state.stage], self.state
        generator = torch.Generator().manual_seed((self.recipe.seed * 1000 + state.stage) * 10**8 + state.step)
        x0 = batch["residual"] / self.sigma
        quiet = bool(self.recipe.quiet) and float(torch.rand(1, generator=generator)) < self.recipe.quiet
        t = draw_t(len(x0), 1.0 if quiet else self.recipe.noisiest, generator)
        noise = torch.randn(x0.shape, generator=generator).to(x0)
        cond = [batch[key] for key in ("lms", "pan", "ms")]
        self.optimiser.rate = rate_at(state.step, stage)
        predicted = self._predict(None if quiet else diffusion.q_sample(torch.nan_to_num(x0), t, noise), t, cond)
        loss = self._loss(predicted, x0, cond[0])
        gradients = torch.autograd.grad(loss, self.optimiser.parameters, allow_unused=True)
        self.optimiser.step(clipped(gradients, MAXIMUM_GRADIENT))
        state.step += 1
        state.taken += 1
        state.samples += len(x0)
        keep = min(self.recipe.ema, (state.step + 1) / (state.step + 20))
        with torch.no_grad():
            for name, tensor in state_of(self.net).items():
                self.ema[name].lerp_(tensor, 1 - keep)
        return loss.item()

    def _loss(self, predicted: Tensor, x0: Tensor, base: Tensor) -> Tensor:
        """Returns the mean absolute error of the predicted x0, with the spectral loss in proportion to that of 0."""
        loss = diffusion.loss(predicted, x0)
        if not self._spectral_loss:
            return loss
        of_zero = diffusion.loss(torch.zeros_like(predicted), x0)
        return loss + of_zero * self._spectral_loss(base, predicted * self.sigma, x0 * self.sigma)

    def _predict(self, x_t: Tensor | None, t: Tensor, cond: list[Tensor]) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            return self.net(x_t, t.to(self.device), *cond).float()

    @property
    def pace(self) -> float:
        """Samples per second since the start of training."""
        return self.state.samples / max(self.state.seconds, 1e-9)

    def _step_numbers(self, loss: float) -> dict[str, float]:
        """Returns the loss, the learning rate and the speed of the last step."""
        return {"loss": loss, "learning rate": self.optimiser.rate, "samples per second": self.pace}

    def _report_step(self, loss: float, batch: Samples) -> None:
        zero = (batch["residual"] / self.sigma).abs().nanmean().item()
        stage = self.recipe.stages[self.state.stage]
        self.notify(
            notice(
                "training_step",
                stage=self.state.stage,
                tile=stage.tile,
                step=self.state.step,
                steps=stage.steps,
                loss=loss,
                zero=zero,
                samples_per_second=self.pace,
            )
        )

    def _evaluate(self, on_step: Callable, on_evaluation: Callable) -> None:
        """Evaluates the current weights on what is held out, and reports the scores."""
        current_weights, state = self.current_weights(), self.state
        found = self.source.evaluate(current_weights)
        if found is None:
            return
        if self.recipe.patience and found["error"] < min((row["error"] for row in self.log), default=math.inf):
            self.best = {name: tensor.clone() for name, tensor in self.ema.items()}
            self._on_best(self, found)
        self.log.append({"stage": state.stage, "step": state.step, "samples": state.samples, **found})
        scores = ", ".join(f"{name} {value:.4f}" for name, value in found.items())
        if self.recipe.validate:
            self.notify(notice("held_out_scores", stage=state.stage, step=state.step, scores=scores))
        else:
            epoch = state.step // self._steps_between_evaluations
            self.notify(notice("epoch_scores", stage=state.stage, epoch=epoch, step=state.step, scores=scores))
        on_step(state.taken, {f"held-out {name}": value for name, value in found.items()})
        on_evaluation(state.taken, current_weights)

    def _out_of_patience(self) -> bool:
        """Returns whether the last `patience` evaluations of the stage brought no improvement."""
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
        """Saves a checkpoint. more: further entries, as plain values."""
        partial = partial_of(path)
        partial.unlink(missing_ok=True)
        content = {
            "state": dataclasses.asdict(self.state),
            "net": self.net.state_dict(),
            "ema": self.ema,
            "best": self.best,
            "optimiser": self.optimiser.state(),
            "sigma": self.sigma,
            "log": self.log,
            "more": more,
        }
        with io.BufferedWriter(open_new(partial)) as file:
            torch.save(content, file)
        move(partial, path)

    def load(self, path: Path) -> None:
        """Resumes from a checkpoint."""
        saved = torch.load(path, map_location=self.device, weights_only=True)
        self.state, self.sigma, self.log = State(**saved["state"]), saved["sigma"], saved.get("log", [])
        if self.state.stage < len(self.recipe.stages):
            self._begin_stage(saved["net"])
            self.optimiser.load(saved["optimiser"])
        self.ema, self.best = saved["ema"], saved.get("best", {})

    def card(self, training: dict, licence: str = "") -> weights.Card:
        """Returns the card of the weights. training: its entry `training`."""
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
            steps=recipe.sampling_steps,
            samples=recipe.samples,
            arch=recipe.config(recipe.stages[min(self.state.stage, len(recipe.stages) - 1)].tile),
            training=training,
            licence=licence,
        )


def _sigma_of(start: weights.Weights) -> float:
    sigma = set(start.card.residual_sigma)
    if len(sigma) > 1:
        raise ConfigError(
            f"weights {start.card.id!r} cannot be trained further: residual_sigma must be the same for all bands"
        )
    return sigma.pop()
