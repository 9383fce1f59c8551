"""Measures what adapting gains on real scenes: the table of docs/adapt.md, one row per scene.

    python scripts/measure_adapt.py --steps 64 PAN MS [PAN MS ...] --keep FOLDER

The scores are held-out SAM / ERGAS, and HQNR / D_rho of the whole aligned scene at native resolution. FOLDER receives
the weights and images.
"""

from __future__ import annotations

import argparse
import functools
import json
import subprocess
import sys
import time
from pathlib import Path

from ssdiff_core.inprocess.backend import LocalBackend
from ssdiff_core.workflows import adapt
from ssdiff_core.workflows.pansharpen import PansharpenOptions, pansharpen


def quiet(value) -> None:
    pass


def native(pan: str, ms: str, weights: str, out: Path) -> str:
    """Fuses a scene; returns HQNR / D_rho, as text."""
    pansharpen(pan, ms, out, PansharpenOptions(weights=weights, align="auto"), quiet, lambda n: quiet, LocalBackend())
    command = [sys.executable, "-m", "ssdiff_core", "assess", str(out), "--pan", pan, "--ms", ms, "--json"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = json.loads(printed)["results"][0]["measures"]
    return f"{found['HQNR']:.3f} / {found['D_rho']:.3f}"


def sam_and_ergas(scores: dict[str, float]) -> str:
    return f"{scores['SAM']:.3f} / {scores['ERGAS']:.3f}"


def row(pan: str, ms: str, options, log) -> list[str]:
    """Adapts weights to a scene; returns its row of the table."""
    name = Path(pan).stem.removesuffix("_pan")
    out, began = options.keep / f"{name}.safetensors", time.monotonic()
    wishes = adapt.AdaptOptions(minutes=options.minutes, steps=options.steps, mode=options.mode, base=options.base)
    notify = functools.partial(print, name, file=log, flush=True)
    found = adapt.adapt([(pan, ms)], out, wishes, notify, lambda n: quiet, LocalBackend())
    seconds = time.monotonic() - began
    best_classical = {score: min(each[score] for each in found.classical.values()) for score in ("SAM", "ERGAS")}
    shares = [
        found.after[score] / other[score] for other in (found.before, best_classical) for score in ("SAM", "ERGAS")
    ]
    before = native(pan, ms, options.base, options.keep / f"{name}_before.tif")
    after = native(pan, ms, found.use, options.keep / f"{name}_after.tif") if found.path else before
    changes = (
        " / ".join(f"{share - 1:+.1%}" for share in shares[:2]),
        " / ".join(f"{share - 1:+.1%}" for share in shares[2:]),
    )
    return [
        name,
        sam_and_ergas(best_classical),
        sam_and_ergas(found.before),
        sam_and_ergas(found.after),
        *changes,
        before,
        after,
        f"{seconds:.0f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="PAN and MS of each scene")
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--mode", default="lbaf")
    parser.add_argument("--base", default="general-4")
    options = parser.parse_args()
    options.keep.mkdir(parents=True, exist_ok=True)
    with open(options.keep / "log.txt", "a") as log:
        for pan, ms in zip(options.files[::2], options.files[1::2]):
            print("|", " | ".join(row(pan, ms, options, log)), "|", flush=True)


if __name__ == "__main__":
    main()
