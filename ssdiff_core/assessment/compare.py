"""Comparison of methods over several scenes: means, standard deviations and paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..domain.measures import Measure
from ..domain.study import Result, distinct


@dataclass(frozen=True)
class Difference:
    """Difference of a measure between two images, paired by block, or between two methods, paired by scene."""

    mean: float
    std: float
    parts: int
    better: int
    "number of blocks or scenes in which the first one is better"


@dataclass(frozen=True)
class Summary:
    """Mean and standard deviation by measure."""

    mean: dict[str, float]
    std: dict[str, float]


@dataclass(frozen=True)
class MethodSummary:
    """Results of a method over all scenes it was assessed on."""

    method: str
    scenes: int
    mean: dict[str, float]
    std: dict[str, float]
    differences: dict[str, Difference]
    "from the method of the baseline; {} for that method itself"


def summary(results: Sequence[Result]) -> Summary:
    """Returns the mean and sample standard deviation of each measure."""
    mean, std = {}, {}
    for name in results[0].values:
        values = np.array([result.values[name] for result in results])
        mean[name], std[name] = mean_and_std(values)
    return Summary(mean, std)


def mean_and_std(values: np.ndarray) -> tuple[float, float]:
    """Returns the mean and sample standard deviation; NaN where there are too few values."""
    n = len(values)
    return float(values.mean()) if n else float("nan"), float(values.std(ddof=1)) if n > 1 else float("nan")


def paired(one: np.ndarray, other: np.ndarray, measure: Measure) -> Difference:
    """Returns the difference of paired values, without the pairs in which one is NaN."""
    difference = (one - other)[np.isfinite(one) & np.isfinite(other)]
    better = int((difference > 0 if measure.higher_is_better else difference < 0).sum())
    return Difference(*mean_and_std(difference), len(difference), better)


def scenes_of(results: Sequence[Result]) -> list[str]:
    """Returns the names of the scenes in order."""
    return list(dict.fromkeys(result.scene for result in results))


def methods_over_scenes(results: Sequence[Result], baseline: Result) -> list[MethodSummary]:
    """Returns the summary of each method; [] for a single scene."""
    if len(scenes_of(results)) < 2:
        return []
    methods = _methods(results)
    first = next(by_scene for by_scene in methods.values() if by_scene.get(baseline.scene) is baseline)
    return [_overall(method, by_scene, first) for method, by_scene in methods.items()]


def _methods(results: Sequence[Result]) -> dict[str, dict[str, Result]]:
    """Returns the results by method and scene; a file replaces a computed baseline of the same method."""
    found: dict[str, dict[str, Result]] = {}
    for scene in scenes_of(results):
        in_scene = [result for result in results if result.scene == scene]
        of_files = {result.method for result in in_scene if result.path}
        kept = [result for result in in_scene if result.path or result.method not in of_files]
        for method, result in zip(distinct([result.method for result in kept]), kept):
            found.setdefault(method, {})[scene] = result
    return found


def _overall(method: str, by_scene: dict[str, Result], first: dict[str, Result]) -> MethodSummary:
    overall = summary(list(by_scene.values()))
    differences = {} if by_scene is first else _differences(by_scene, first)
    return MethodSummary(method, len(by_scene), overall.mean, overall.std, differences)


def _differences(by_scene: dict[str, Result], first: dict[str, Result]) -> dict[str, Difference]:
    """Returns the differences over the scenes that both methods were assessed on."""
    both, measures = [scene for scene in by_scene if scene in first], next(iter(first.values())).measures
    values = {m.name: [np.array([one[s].values[m.name] for s in both]) for one in (by_scene, first)] for m in measures}
    return {m.name: paired(*values[m.name], m) for m in measures}
