"""What methods do over several scenes: the mean and spread of each, and how it differs from another, scene by scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..domain.measures import Measure
from ..domain.study import Result, distinct


@dataclass(frozen=True)
class Difference:
    """How a measure of one image differs from that of another, block by block; or of a method, scene by scene."""

    mean: float
    std: float
    parts: int
    better: int
    "blocks or scenes in which it is the better one"


@dataclass(frozen=True)
class Summary:
    mean: dict[str, float]
    std: dict[str, float]


@dataclass(frozen=True)
class Overall:
    """A method over all scenes that it was seen on."""

    method: str
    scenes: int
    mean: dict[str, float]
    std: dict[str, float]
    differences: dict[str, Difference]
    "from the baseline's method; {} for that itself"


def summary(results: Sequence[Result]) -> Summary:
    """Mean and standard deviation (over n - 1) of each measure."""
    mean, std = {}, {}
    for name in results[0].values:
        values = np.array([result.values[name] for result in results])
        mean[name], std[name] = _mean_and_std(values)
    return Summary(mean, std)


def _mean_and_std(values: np.ndarray) -> tuple[float, float]:
    """NaN where there are too few for one."""
    n = len(values)
    return float(values.mean()) if n else float("nan"), float(values.std(ddof=1)) if n > 1 else float("nan")


def paired(one: np.ndarray, other: np.ndarray, measure: Measure) -> Difference:
    """Of values that belong together one by one; where either is unknown neither counts."""
    apart = (one - other)[np.isfinite(one) & np.isfinite(other)]
    better = int((apart > 0 if measure.rises else apart < 0).sum())
    return Difference(*_mean_and_std(apart), len(apart), better)


def scenes_of(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(result.scene for result in results))


def across(results: Sequence[Result], baseline: Result) -> list[Overall]:
    """Of each method; nothing if there is but one scene."""
    if len(scenes_of(results)) < 2:
        return []
    methods = _methods(results)
    first = next(of for of in methods.values() if of.get(baseline.scene) is baseline)
    return [_overall(method, by_scene, first) for method, by_scene in methods.items()]


def _methods(results: Sequence[Result]) -> dict[str, dict[str, Result]]:
    """By method, by scene; what stands beside gives way to a file by the same method."""
    found: dict[str, dict[str, Result]] = {}
    for scene in scenes_of(results):
        here = [result for result in results if result.scene == scene]
        of_files = {result.method for result in here if result.path}
        kept = [result for result in here if result.path or result.method not in of_files]
        for method, result in zip(distinct([result.method for result in kept]), kept):
            found.setdefault(method, {})[scene] = result
    return found


def _overall(method: str, by_scene: dict[str, Result], first: dict[str, Result]) -> Overall:
    of = summary(list(by_scene.values()))
    apart = {} if by_scene is first else _apart(by_scene, first)
    return Overall(method, len(by_scene), of.mean, of.std, apart)


def _apart(by_scene: dict[str, Result], first: dict[str, Result]) -> dict[str, Difference]:
    """Over the scenes that both were seen on."""
    both, measures = [scene for scene in by_scene if scene in first], next(iter(first.values())).measures
    values = {m.name: [np.array([of[s].values[m.name] for s in both]) for of in (by_scene, first)] for m in measures}
    return {m.name: paired(*values[m.name], m) for m in measures}
