"""Training a network on made-up scenes: from a recipe to a weights file, to be stopped and gone on with at any time.

All that is random follows from the recipe's seed and from how far training is, so a run that was stopped and resumed
ends with the same weights as one that was not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import operator
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import classical, diffusion, sensors, simulate, weights
from .blocks import Block
from .config import Config, T
from .errors import ConfigError
from .network import SSNet, load_state, state_of, train_branch, widened, zeroed
from .pipeline import Line, Stopped
from .statistics import Survey
from .units import units


@dataclass(frozen=True)
class Stage:
    """A stretch of training at one tile side."""

    tile: int = 32
    steps: int = 10000
    batch: int = 32
    rate: float = 1e-3
    "learning rate at its highest"
    warmup: int = 300
    branch: str | None = None
    "spatial or spectral: that branch alone learns (L-BAF)"


@dataclass(frozen=True)
class Recipe:
    id: str
    sensors: tuple[str, ...]
    "scenes are drawn of these in turn"
    bands: tuple[str, ...]
    wavelengths_nm: tuple[float, ...] = ()
    ratio: int = 4
    stages: tuple[Stage, ...] = (Stage(),)
    seed: int = 1
    base: str = "mtf-glp-fs"
    scale: float | str = "moments"
    interpolation: str = "cubic"
    guides: int = 2
    views: tuple[str, ...] = ()
    residual_sigma: float | None = None
    "None: measured on the first scenes"
    noisiest: float = 0.7
    "share of the samples that are taken at the noisiest step, where few-step sampling starts"
    held_out: tuple[str, ...] = ("santa_monica", "eureka", "liverpool", "landsat7_37", "landsat7_39")
    "places that are never trained on"
    pool: int = 24
    "scenes whose tiles are shuffled together"
    most: int = 24
    "tiles taken of one picture"
    validate: int = 500
    "steps between two looks at the places that are held out"
    net: dict = field(default_factory=dict)
    "what else the network's Config shall say"

    def config(self, tile: int) -> Config:
        return Config(
            bands=len(self.bands), ratio=self.ratio, tile=tile, guides=self.guides, views=self.views, **self.net
        )


def read_recipe(text: str) -> Recipe:
    """A recipe from TOML."""
    try:
        import tomllib
    except ImportError:  # Python before 3.11
        import tomli as tomllib
    try:
        values = tomllib.loads(text)
        stages = tuple(Stage(**stage) for stage in values.pop("stages", [{}]))
        listed = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        return Recipe(stages=stages, **listed)
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise ConfigError(f"the recipe cannot be understood: {error}") from None


# --- samples ---------------------------------------------------------------------------------------------------------


def samples(scenes: list[simulate.Scene], believed_mtf, recipe: Recipe, tile: int, most: int, rng) -> dict[str, Tensor]:
    """Tiles of one scene's pictures as a network is shown them, and the residual that it shall answer."""
    mtf = tuple(map(float, believed_mtf))
    survey = Survey(recipe.base, mtf, recipe.ratio, recipe.interpolation, views=recipe.views)
    stats = survey.stats(reduce(operator.add, (survey.gather(scene.block) for scene in scenes)))
    cut = [_tiles(scene, stats, recipe, tile, most, rng) for scene in scenes]
    return {key: torch.cat([part[key] for part in cut]) for key in cut[0]}


def _tiles(scene: simulate.Scene, stats, recipe: Recipe, tile: int, most: int, rng) -> dict[str, Tensor]:
    block = dataclasses.replace(scene.block, stats=stats)
    seen = conditions(block, recipe)
    own = units(recipe.scale, stats, len(block.ms))
    seen["residual"] = own.of_ms(torch.from_numpy(scene.truth)) - seen["lms"]
    places = [(r, c) for r in range(block.pan.shape[0] // tile) for c in range(block.pan.shape[1] // tile)]
    if not places:
        raise ConfigError(f"a picture of {block.pan.shape} holds no tile of {tile}")
    chosen = [places[i] for i in rng.permutation(len(places))[:most]]

    def part(image: Tensor, side: int) -> Tensor:
        return torch.stack([image[:, r * side : (r + 1) * side, c * side : (c + 1) * side] for r, c in chosen])

    return {key: part(image, tile // recipe.ratio if key == "ms" else tile) for key, image in seen.items()}


def conditions(block: Block, recipe: Recipe) -> dict[str, Tensor]:
    """What the network sees of a whole scene, in the weights' units: as engine lays it out."""
    own = units(recipe.scale, block.stats, len(block.ms))
    pan = torch.from_numpy(np.asarray(block.pan, np.float32))
    ms = torch.from_numpy(np.asarray(block.ms, np.float32))
    looks = (recipe.interpolation, recipe.base, recipe.guides, recipe.views)
    seen, base = classical.shown(block, pan, ms, own, *looks)
    return {"pan": seen, "lms": base, "ms": own.of_ms(ms)}


@dataclass(frozen=True)
class Place:
    """Pictures that may be one scene together, and whether they are fine enough to be made coarser."""

    name: str
    pictures: tuple[simulate.Picture, ...]

    @property
    def soft(self) -> bool:
        return self.pictures[0].soft


def made_up(places: list[Place], recipe: Recipe, tile: int, rng: np.random.Generator) -> dict[str, Tensor]:
    """Samples of one scene, all of it drawn."""
    share = np.sqrt([sum(p.image[0].size for p in place.pictures) for place in places])
    place = places[rng.choice(len(places), p=share / share.sum())]
    names = recipe.sensors
    sensor = sensors.get(names[rng.integers(len(names))], len(recipe.bands))
    smallest = min(min(picture.image.shape[1:]) for picture in place.pictures)
    drawn = simulate.draw(sensor, place.pictures[0].wavelengths, place.soft, smallest / tile, rng)
    n = min(int(rng.choice([1, 2, 4, 8])), len(place.pictures))
    chosen = [place.pictures[i] for i in rng.permutation(len(place.pictures))[:n]]
    scenes = simulate.make(chosen, drawn, recipe.ratio, rng, max(tile, 16))
    most = max(1, recipe.most // n)
    return samples(scenes, drawn.believed_mtf, recipe, tile, most, rng)


def pools(places: list[Place], recipe: Recipe, stage: int, first: int = 0) -> Iterator[dict[str, Tensor]]:
    """Shuffled samples of many scenes, without end. Pool k is the same whenever it is made."""
    tile = recipe.stages[stage].tile
    for k in itertools.count(first):
        rng = np.random.default_rng([recipe.seed, stage, k])
        made = [made_up(places, recipe, tile, rng) for _ in range(recipe.pool)]
        order = torch.from_numpy(rng.permutation(sum(len(part["pan"]) for part in made)))
        yield {key: torch.cat([part[key] for part in made])[order] for key in made[0]}


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


# --- training --------------------------------------------------------------------------------------------------------


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
    done = step / max(stage.steps, 1)
    return stage.rate * min(1.0, (step + 1) / stage.warmup) * (0.01 + 0.99 * (0.5 + 0.5 * float(np.cos(np.pi * done))))


class Trainer:
    def __init__(
        self,
        recipe: Recipe,
        places: list[Place],
        device: str = "cpu",
        say: Callable[[str], None] = print,
        start: weights.Weights | None = None,
    ):
        """start: what is learnt already; None: nothing."""
        self.recipe, self.say, self.device = recipe, say, torch.device(device)
        config = recipe.config(recipe.stages[0].tile)
        self.train = [p for p in places if not _held(p.name, recipe)]
        self.held = [p for p in places if _held(p.name, recipe)]
        if not self.train:
            raise ConfigError("there is no imagery to train on")
        self.state, self.net, self.ema, self.optimiser = State(), None, {}, None
        self.log: list[dict] = []
        self.sigma = _sigma_of(start) if start else recipe.residual_sigma or self._measured_sigma()
        self._begin_stage(widened(state_of(start.net), start.card.arch, config) if start else None)

    def _measured_sigma(self) -> float:
        rng = np.random.default_rng([self.recipe.seed, 10**6])
        tile = self.recipe.stages[0].tile
        seen = [made_up(self.train, self.recipe, tile, rng)["residual"].flatten() for _ in range(32)]
        return float(torch.cat(seen).std())

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

    def run(self, checkpoint: Path | None = None, minutes: float = float("inf"), every: float = 120.0) -> bool:
        """Trains until the recipe ends (True) or the minutes are over; saves to checkpoint now and then."""
        start, saved = time.monotonic(), time.monotonic()
        before = self.state.seconds
        while self.state.stage < len(self.recipe.stages):
            for batch in self._batches():
                loss = self._step(batch)
                now = time.monotonic()
                self.state.seconds = before + now - start
                if self.state.step % 100 == 0:
                    self._tell(loss, batch)
                if self.state.step % self.recipe.validate == 0 and self.held:
                    self._tell_held()
                over = now - start > 60 * minutes
                if checkpoint and (over or now - saved > every):
                    self.save(checkpoint)
                    saved = now
                if over:
                    return False
            self._next_stage()
        if checkpoint:
            self.save(checkpoint)
        return True

    def _batches(self) -> Iterator[dict[str, Tensor]]:
        stage = self.recipe.stages[self.state.stage]
        for pool in ahead(pools(self.train, self.recipe, self.state.stage, self.state.pool)):
            while self.state.used + stage.batch <= len(pool["pan"]):
                if self.state.step >= stage.steps:
                    return
                here = slice(self.state.used, self.state.used + stage.batch)
                self.state.used += stage.batch
                yield {
                    key: value[here].to(self.device, memory_format=torch.channels_last) for key, value in pool.items()
                }
            self.state.pool += 1
            self.state.used = 0

    def _step(self, batch: dict[str, Tensor]) -> float:
        stage, state = self.recipe.stages[self.state.stage], self.state
        generator = torch.Generator().manual_seed((self.recipe.seed * 1000 + state.stage) * 10**8 + state.step)
        x0 = batch["residual"] / self.sigma
        t = draw_t(len(x0), self.recipe.noisiest, generator)
        noise = torch.randn(x0.shape, generator=generator).to(x0)
        cond = [batch[key] for key in ("lms", "pan", "ms")]
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(state.step, stage)
        loss = diffusion.loss(lambda x_t, t: self.net(x_t, t.to(self.device), *cond), x0, t, noise)
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

    def _tell(self, loss: float, batch: dict[str, Tensor]) -> None:
        zero = (batch["residual"] / self.sigma).abs().mean().item()
        stage = self.recipe.stages[self.state.stage]
        self.say(
            f"stage {self.state.stage} tile {stage.tile} step {self.state.step}/{stage.steps} loss {loss:.4f} "
            f"of {zero:.4f}, {self.state.samples / max(self.state.seconds, 1e-9):.1f} samples/s"
        )

    def held_error(self, scenes: int = 12) -> float:
        """Root mean square error on made-up scenes of held-out places, one step, over that of the base; their mean."""
        net = SSNet(self.net.config).to(self.device).eval()
        load_state(net, self.ema)
        shares = []
        for k in range(scenes):
            rng = np.random.default_rng([self.recipe.seed, 2 * 10**6, k])
            seen = made_up(self.held, self.recipe, net.config.tile, rng)
            seen = {key: value[:8].to(self.device) for key, value in seen.items()}
            noise = torch.randn(seen["residual"].shape, generator=torch.Generator().manual_seed(k)).to(self.device)
            with torch.inference_mode():
                t = torch.full((1,), T - 1, device=self.device)
                x0 = net(noise, t, *(seen[key] for key in ("lms", "pan", "ms")))
            error = (x0 * self.sigma - seen["residual"]).square().mean() / seen["residual"].square().mean()
            shares.append(float(error.sqrt()))
        return float(np.mean(shares))

    def _tell_held(self) -> None:
        state = self.state
        share = self.held_error()
        self.log.append({"stage": state.stage, "step": state.step, "samples": state.samples, "error": share})
        self.say(f"stage {state.stage} step {state.step}: held-out error {share:.4f} of the base's")

    def _next_stage(self) -> None:
        self.state = dataclasses.replace(self.state, stage=self.state.stage + 1, step=0, pool=0, used=0)
        if self.state.stage < len(self.recipe.stages):
            self._begin_stage(self.ema)

    # --- files ---------------------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        partial = path.with_name(path.name + ".part")
        torch.save(
            {
                "state": dataclasses.asdict(self.state),
                "net": self.net.state_dict(),
                "ema": self.ema,
                "optimiser": self.optimiser.state_dict(),
                "sigma": self.sigma,
                "log": self.log,
            },
            partial,
        )
        partial.replace(path)

    def load(self, path: Path) -> None:
        saved = torch.load(path, map_location=self.device, weights_only=True)
        self.state, self.sigma, self.log = State(**saved["state"]), saved["sigma"], saved.get("log", [])
        if self.state.stage < len(self.recipe.stages):
            self._begin_stage(saved["net"])
            self.optimiser.load_state_dict(saved["optimiser"])
        self.ema = saved["ema"]

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
            steps=1,
            arch=recipe.config(recipe.stages[min(self.state.stage, len(recipe.stages) - 1)].tile),
            training=training,
            licence=licence,
        )


def _sigma_of(start: weights.Weights) -> float:
    sigma = set(start.card.residual_sigma)
    if len(sigma) > 1:
        raise ConfigError(f"weights {start.card.id!r} have another residual_sigma for each band: no start for training")
    return sigma.pop()


def _held(name: str, recipe: Recipe) -> bool:
    return any(part in name for part in recipe.held_out)
