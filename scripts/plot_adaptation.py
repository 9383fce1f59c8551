"""Draws the held-out error of adapted weights against the time of adapting: a picture of docs/adapt.md.

    python scripts/plot_adaptation.py PICTURE.png NAME=PAN,MS [NAME=PAN,MS ...] [--seconds 2 4 8 16 32]

The time is processor time, with everything from the first reading to the last check; the error is ERGAS on the strip
that is held out, relative to that of the best classical method there. Needs matplotlib.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from ssdiff_core.domain.options import AdaptOptions
from ssdiff_core.inprocess.backend import LocalBackend
from ssdiff_core.workflows.adapt import adapt


def quiet(value) -> None:
    pass


def points_of(pan: str, ms: str, seconds: list[float], base: str, sensor: str) -> list[tuple[float, float]]:
    """Returns time and relative error of a scene: without adapting, and after adapting for each of the times."""
    points = []
    for budget in seconds:
        with tempfile.TemporaryDirectory() as folder:
            options = AdaptOptions(minutes=budget / 60, base=base, sensor=sensor)
            started = time.process_time()
            found = adapt([(pan, ms)], Path(folder, "w.safetensors"), options, quiet, lambda n: quiet, LocalBackend())
            spent = time.process_time() - started
        best = min(each["ERGAS"] for each in found.classical.values())
        if not points:
            points.append((0.0, found.before["ERGAS"] / best))
        points.append((spent, found.after["ERGAS"] / best))
    return points


def draw(scenes: dict[str, list[tuple[float, float]]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for name, points in scenes.items():
        axes.plot(*zip(*points), "o-", label=name, markersize=4)
    axes.axhline(1, color="gray", linewidth=1)
    axes.annotate("best classical method", (0, 1), xytext=(2, 3), textcoords="offset points", fontsize=8)
    axes.set_xlabel("processor time in seconds")
    axes.set_ylabel("held-out ERGAS / best classical method")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("scenes", nargs="+", metavar="NAME=PAN,MS")
    parser.add_argument("--seconds", type=float, nargs="+", default=[2, 4, 8, 16, 32])
    parser.add_argument("--base", default="general-4-patches")
    parser.add_argument("--sensor", default="auto")
    options = parser.parse_args()
    scenes = {}
    for name, _, files in (scene.partition("=") for scene in options.scenes):
        scenes[name] = points_of(*files.split(","), options.seconds, options.base, options.sensor)
        print(name, " ".join(f"{spent:.1f}s:{error:.3f}" for spent, error in scenes[name]), flush=True)
    draw(scenes, options.picture)


if __name__ == "__main__":
    main()
