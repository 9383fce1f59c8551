"""Trains the small four-band weights that the array demo and the tests run on, from openly licensed NAIP imagery.

    python scripts/train_sample_weights.py FOLDER_OF_NPZ OUT.safetensors --minutes 45

Every 256-pixel tile of a city becomes a made-up satellite scene: bands of random gain and gamma, a PAN of random
spectral weights, MS through a random MTF. The residual is taken against MTF-GLP-FS fitted to that scene. The network
learns at tile 32 first, which is seven times cheaper, and finishes at tile 64. Santa Monica and Eureka are never seen.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch

from ssdiff_core import blocks, classical, diffusion, weights
from ssdiff_core.network import Config, SSNet, state_of
from ssdiff_core.resample import BLUR_REACH, blur, interpolation, mtf_sigma

TRAIN = ("palm_springs", "chico", "long_beach", "claremont", "riverside", "bishop")
ORDER = (2, 1, 0, 3)  # NAIP is red, green, blue, near infrared
SIDE, RATIO, KERNEL = 256, 4, "23tap"


def load(folder: Path, cities) -> list[np.ndarray]:
    tiles = []
    for city in cities:
        image = np.load(folder / f"naip_urban_{city}.npz")["img"]
        for tile in image.reshape(-1, SIDE, *image.shape[1:]):
            tiles += [np.ascontiguousarray(tile[..., ORDER].transpose(2, 0, 1))]
    return tiles


def simulate(tile: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, blocks.Block]:
    """One tile as (what the MS sensor would see at PAN's resolution, the scene it delivers), bright pixels about 1."""
    tile = np.rot90(tile, rng.integers(4), (1, 2))[:, :: rng.choice([-1, 1])]
    truth = (tile / 255) ** rng.uniform(0.8, 2.2)
    truth = truth * rng.uniform(0.3, 1, (4, 1, 1)) + rng.uniform(0, 0.15, (4, 1, 1)) * rng.integers(2)
    share = rng.dirichlet([2, 3, 3, 1.5]) * rng.uniform(0.7, 1.3)
    pan = np.tensordot(share, truth, 1)
    pan = pan + rng.uniform(0, 0.1) * (
        np.sqrt(np.maximum(pan, 0)) * pan.mean() ** 0.5 - pan
    )  # no exact mix of the bands
    shift = rng.uniform(-0.5, 0.5, 2)
    axis = np.arange(SIDE)
    pan = interpolation(axis + shift[0], SIDE) @ pan.astype(np.float32) @ interpolation(axis + shift[1], SIDE).T
    mtf = tuple(np.round(rng.uniform(0.2, 0.4) + rng.uniform(-0.03, 0.03, 4), 2))
    centres = np.arange(SIDE // RATIO) * RATIO + (RATIO - 1) / 2
    ms = []
    for band, gain in zip(truth.astype(np.float32), mtf):
        across = blur(centres, SIDE, mtf_sigma(gain * rng.uniform(0.9, 1.1), RATIO), BLUR_REACH * RATIO)
        ms.append(across @ band @ across.T)
    pan += rng.normal(0, rng.uniform(0, 0.004), pan.shape)
    ms = np.stack(ms) + rng.normal(0, rng.uniform(0, 0.002), (4, SIDE // RATIO, SIDE // RATIO))
    scene = blocks.whole(pan.astype(np.float32), ms.astype(np.float32), blocks.SceneStats())
    return truth.astype(np.float32), classical.fitted(scene, mtf, KERNEL)


def samples(tile: np.ndarray, rng: np.random.Generator, side: int) -> dict[str, torch.Tensor]:
    truth, scene = simulate(tile, rng)
    scale = scene.stats.scale
    pan, ms = torch.from_numpy(scene.pan), torch.from_numpy(scene.ms)
    base = classical.base("mtf-glp-fs", scene, pan, classical.upsample(scene, ms, KERNEL), KERNEL)
    keep = rng.permutation((SIDE // side) ** 2)[: 8192 // side**2 + 4]

    def cut(image, t):
        tiles = image.unfold(-2, t, t).unfold(-2, t, t).permute(1, 2, 0, 3, 4).flatten(0, 1)
        return (tiles[keep] / scale).contiguous(memory_format=torch.channels_last)

    out = {"pan": cut(pan[None], side), "lms": cut(base, side), "ms": cut(ms, side // RATIO)}
    return {**out, "residual": cut(torch.from_numpy(truth), side) - out["lms"]}


def batches(tiles, rng, side: int, size: int):
    """Endless batches, each from many scenes."""
    pool: dict[str, torch.Tensor] = {}
    while True:
        made = [samples(tiles[rng.integers(len(tiles))], rng, side) for _ in range(max(4, 4 * size * side**2 // 12288))]
        pool = {key: torch.cat([part[key] for part in made]) for key in made[0]}
        for index in torch.randperm(len(pool["pan"])).split(size):
            if len(index) == size:
                yield {key: value[index] for key, value in pool.items()}


def draw_t(n: int) -> torch.Tensor:
    """Half at the noisiest step, where few-step sampling starts and often ends; half anywhere."""
    anywhere = torch.randint(0, diffusion.T, (n,))
    return torch.where(torch.rand(n) < 0.5, torch.tensor(diffusion.T - 1), anywhere)


def train(net, ema, tiles, rng, side, size, minutes, lr, sigma, log):
    optimiser = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=1e-4)
    start = time.monotonic()
    for step, batch in enumerate(batches(tiles, rng, side, size), 1):
        done = (time.monotonic() - start) / (60 * minutes)
        if done >= 1:
            return (step - 1) * size
        for group in optimiser.param_groups:
            group["lr"] = lr * min(1, step / 200) * (0.5 + 0.5 * np.cos(np.pi * done))
        x0, cond = batch["residual"] / sigma, {key: batch[key] for key in ("lms", "pan", "ms")}
        loss = diffusion.loss(lambda x_t, t, cond=cond: net(x_t, t, **cond), x0, draw_t(size), torch.randn_like(x0))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        keep = min(0.999, step / (step + 10))
        with torch.no_grad():
            for name, tensor in state_of(net).items():
                ema[name].lerp_(tensor, 1 - keep)
        if step % 100 == 0:
            zero = x0.abs().mean().item()
            log(f"tile {side} step {step} {done:.0%} loss {loss.item():.4f} (answering the base: {zero:.4f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=45)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    tiles = load(args.folder, TRAIN)
    sigma = float(torch.cat([samples(tiles[i], rng, 64)["residual"].flatten() for i in range(0, len(tiles), 8)]).std())
    began, counted = time.monotonic(), []
    ema = None
    for side, size, share, lr in ((32, 32, 0.7, 1.5e-3), (64, 8, 0.3, 4e-4)):
        net = SSNet(Config(tile=side)).to(memory_format=torch.channels_last)
        net.load_state_dict(ema, strict=False) if ema else None
        ema = {name: tensor.clone() for name, tensor in state_of(net).items()}
        counted.append(
            train(net, ema, tiles, rng, side, size, share * args.minutes, lr, sigma, lambda s: print(s, flush=True))
        )
        torch.save({"ema": ema, "sigma": sigma}, args.out.with_suffix(".pt"))
    card = weights.Card(
        id="sample-4",
        sensor="general",
        bands=("blue", "green", "red", "nir"),
        wavelengths_nm=(470, 560, 650, 830),
        ratio=RATIO,
        scale="scene",
        residual_sigma=(sigma,) * 4,
        base="mtf-glp-fs",
        interpolation=KERNEL,
        steps=1,
        arch=Config(),
        training={
            "data": "NAIP aerial imagery of six Californian cities (USDA, public domain), as in "
            "Urban tree detection data, Ventura et al. 2024 (CC BY 4.0)",
            "samples": {"tile 32": counted[0], "tile 64": counted[1]},
            "seconds": round(time.monotonic() - began),
            "hardware": f"{os.cpu_count()} CPU cores",
            "seed": args.seed,
            "script": "scripts/train_sample_weights.py",
        },
        scores={},
        licence="CC BY 4.0",
    )
    weights.save(args.out, {name: tensor.half() for name, tensor in ema.items()}, card)
    print(json.dumps(card.training, indent=1))


if __name__ == "__main__":
    main()
