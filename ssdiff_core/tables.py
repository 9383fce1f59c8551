"""Results side by side: their mean and spread and how each differs from a baseline; as text, CSV and plain values."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from . import __version__
from .assess import sample_of
from .errors import ConfigError
from .measures import ON_HQNR
from .study import Asked, Result, Study


@dataclass(frozen=True)
class Difference:
    """How a measure of one image differs from that of another, block by block."""

    mean: float
    std: float
    parts: int
    better: int
    "blocks in which it is the better one"


@dataclass(frozen=True)
class Summary:
    """Of the files; what was computed beside them has no say."""

    mean: dict[str, float]
    std: dict[str, float]


def summary(results: Sequence[Result]) -> Summary:
    """Mean and standard deviation (over n - 1) of each measure."""
    mean, std = {}, {}
    for name in results[0].values:
        values = np.array([result.values[name] for result in results])
        mean[name] = float(values.mean())
        std[name] = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
    return Summary(mean, std)


def differences(result: Result, baseline: Result) -> dict[str, Difference]:
    """Paired over the blocks of the scene that both show; {} where they are of different scenes or extents."""
    answer = {}
    for measure in result.measures:
        one, other = result.parts[measure.name], baseline.parts.get(measure.name, ())
        if len(one) != len(other):
            return {}
        known = np.isfinite(one) & np.isfinite(other)
        apart = (one - other)[known]
        better = int((apart > 0 if measure.rises else apart < 0).sum())
        n = len(apart)
        mean, std = float(apart.mean()) if n else float("nan"), float(apart.std(ddof=1)) if n > 1 else float("nan")
        answer[measure.name] = Difference(mean, std, n, better)
    return answer


def baseline_of(results: Sequence[Result], name: str | None) -> Result:
    """The result of that name or path; the first if none is told."""
    if name is None:
        return results[0]
    for result in results:
        if name in (result.name, result.path) or name.lower() == result.name.lower():
            return result
    raise ConfigError(f"there is no result {name!r} to compare with; these are: {', '.join(r.name for r in results)}")


# --- as text ---------------------------------------------------------------------------------------------------------


def text(results: Sequence[Result], baseline: Result, said: Sequence[str] = (), means: bool = True) -> str:
    """A table for a terminal; means: with those of the files."""
    measures = results[0].measures
    files = [result for result in results if result.path]
    rows = [["", *(f"{measure.name} {measure.arrow}" for measure in measures)]]
    rows += [[result.name, *_shown(measures, result.values)] for result in files]
    if len(files) > 1 and means:
        overall = summary(files)
        rows += [["mean", *_shown(measures, overall.mean)], ["standard deviation", *_shown(measures, overall.std)]]
    beside = [[result.name, *_shown(measures, result.values)] for result in results if not result.path]
    lines = [*aligned(rows + beside), ""]
    lines[len(rows) : len(rows)] = [""] if beside else []
    if len(files) > 1:
        lines += _differences_as_text(files, baseline, measures)
    lines.append(
        "↓ 0 is ideal, ↑ 1 is ideal" + (", of PSNR the more the better" if "PSNR" in results[0].values else "")
    )
    return "\n".join([*lines, *said])


def _shown(measures, values: dict[str, float]) -> list[str]:
    return [measure.shown(values[measure.name]) for measure in measures]


def _differences_as_text(files, baseline: Result, measures) -> list[str]:
    rows = [[f"less {baseline.name}", *(f"{measure.name} {measure.arrow}" for measure in measures)]]
    for result in files:
        found = differences(result, baseline) if result is not baseline else {}
        if found:
            rows.append([result.name, *(f"{found[m.name].mean:+.{m.decimals}f}" for m in measures)])
            rows.append(["  better in", *(f"{found[m.name].better}/{found[m.name].parts} blocks" for m in measures)])
    return [*aligned(rows), ""] if len(rows) > 1 else []


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns, the first flush left and the others flush right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths)))
        for row in rows
    ]


# --- for programs ----------------------------------------------------------------------------------------------------


def write_csv(path: str | Path, results: Sequence[Result], lasting: bool = True) -> None:
    """One line for each image; of files that are there to stay, and several, their mean and standard deviation."""
    names = list(results[0].values)
    files = [result for result in results if result.path]
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["image", "file", *names])
        out.writerows(
            [result.name, (result.path if lasting else None) or "", *(result.values[name] for name in names)]
            for result in results
        )
        if len(files) > 1 and lasting:
            overall = summary(files)
            out.writerow(["mean", "", *overall.mean.values()])
            out.writerow(["standard deviation", "", *overall.std.values()])


def document(studies: Sequence[Study], results: Sequence[Result], asked: Asked, protocol: str, baseline) -> dict:
    """All that is known, as plain values: what `ssdiff assess --json` prints."""
    files = [result for result in results if result.path]
    overall = summary(files)
    extra = results[0].extra
    return plain(
        {
            "version": __version__,
            "protocol": protocol,
            "reference": studies[0].reference is not None,
            "convention": extra.get("convention"),
            "rounded": extra.get("rounded"),
            "scenes": [scene(study, asked) for study in studies],
            "measures": {m.name: {"ideal": m.ideal, "unit": m.unit, "meaning": m.meaning} for m in results[0].measures},
            "results": [_result(result, baseline, protocol == "full") for result in results],
            "baseline": baseline.name,
            "mean": overall.mean,
            "std": overall.std,
            "notes": notes(studies, results, asked),
        }
    )


def scene(study: Study, asked: Asked) -> dict:
    of, window, sample = study.scene, study.scene.window, sample_of(study, asked)
    return {
        "pan": of.pan.path,
        "ms": list(dict.fromkeys(band.path for band in of.ms)),
        "sensor": study.sensor.id,
        "bands": list(study.sensor.bands),
        "ratio": of.placement.ratio,
        "window": {"row": window.row, "col": window.col, "height": window.height, "width": window.width},
        "sample": {**asdict(sample), "whole": sample.whole},
    }


def _result(result: Result, baseline: Result, lasting: bool) -> dict:
    """lasting: whether there is a file when all is done."""
    paired = differences(result, baseline) if result.path and result is not baseline else {}
    return {
        "name": result.name,
        "file": result.path if lasting else None,
        "beside": result.path is None,
        "measures": result.values,
        "valid": result.valid,
        "differences": {name: asdict(one) for name, one in paired.items()},
    }


def notes(studies: Sequence[Study], results: Sequence[Result], asked: Asked) -> list[str]:
    """What a reader of the numbers should know."""
    told = [warning for study in studies for warning in study.warnings]
    extra = results[0].extra
    if "convention" in extra:
        how = "by 16-bit counts" if extra["rounded"] else "as they are"
        told.append(f"in the {extra['convention']} convention, Q2n of values {how}")
    for study in studies:
        sample = sample_of(study, asked)
        if not sample.whole:
            told.append(f"measured on {sample}; --sample 0 measures all")
    told += [f"{result.name}: {result.valid:.1%} of the pixels are valid" for result in results if result.valid < 0.999]
    return [*dict.fromkeys(told), *([ON_HQNR] if "HQNR" in results[0].values else [])]


def plain(value):
    """A value as JSON may hold it: no NaN, no infinity, nothing of NumPy."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(one) for one in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value
