"""Results side by side: their mean and spread and how each differs from a baseline; as text, CSV and plain values."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from .. import __version__
from ..common.errors import ConfigError
from ..domain.measures import ON_HQNR
from ..domain.options import AssessOptions
from ..domain.study import Result, Study
from .compare import Difference, across, paired, scenes_of, summary
from .measure import sample_of


def differences(result: Result, baseline: Result) -> dict[str, Difference]:
    """Paired over the blocks of the scene that both show; {} where they are of different scenes or extents."""
    if result.scene != baseline.scene:
        return {}
    return {m.name: paired(result.parts[m.name], baseline.parts[m.name], m) for m in result.measures}


def baseline_of(results: Sequence[Result], name: str | None) -> Result:
    """The result of that name, path or method; the first if none is told."""
    if name is None:
        return results[0]
    for alike in (str, str.lower):
        for result in results:
            if name == result.path or alike(name) in (alike(result.name), alike(result.method)):
                return result
    raise ConfigError(f"there is no result {name!r} to compare with; these are: {', '.join(r.name for r in results)}")


# --- as text ---------------------------------------------------------------------------------------------------------


def text(results: Sequence[Result], baseline: Result, said: Sequence[str] = (), means: bool = True) -> str:
    """A table for a terminal; means: with those of the files."""
    several = len(scenes_of(results)) > 1
    lines = _several_as_text(results, baseline) if several else _one_as_text(results, baseline, means)
    lines.append(
        "↓ 0 is ideal, ↑ 1 is ideal" + (", of PSNR the more the better" if "PSNR" in results[0].values else "")
    )
    return "\n".join([*lines, *said])


def _one_as_text(results: Sequence[Result], baseline: Result, means: bool) -> list[str]:
    """Of one scene; differences are over its blocks."""
    measures = results[0].measures
    files = [result for result in results if result.path]
    rows = [["", *_heads(measures)], *(_row(result, measures) for result in files)]
    if len(files) > 1 and means:
        overall = summary(files)
        rows += [["mean", *_shown(measures, overall.mean)], ["standard deviation", *_shown(measures, overall.std)]]
    beside = [_row(result, measures) for result in results if not result.path]
    lines = [*aligned(rows + beside), ""]
    lines[len(rows) : len(rows)] = [""] if beside else []
    found = {result.name: differences(result, baseline) for result in files if result is not baseline}
    return [*lines, *_differences_as_text(found, baseline.name, measures, "blocks")]


def _several_as_text(results: Sequence[Result], baseline: Result) -> list[str]:
    """Scene after scene, and then each method over all of them."""
    measures, none = results[0].measures, [""] * len(results[0].measures)
    rows = [["", *_heads(measures)]]
    for scene in scenes_of(results):
        rows += [[scene, *none], *(_row(result, measures, "  ") for result in results if result.scene == scene)]
    overall = across(results, baseline)
    for one in overall:
        rows += [[f"{one.method}, mean of {one.scenes}", *_shown(measures, one.mean)]]
        rows += [["  standard deviation", *_shown(measures, one.std)]]
    lines = [line.rstrip() for line in aligned(rows)]
    lines[len(rows) - 2 * len(overall) : len(rows) - 2 * len(overall)] = [""]
    first = next(one.method for one in overall if not one.differences)
    found = {one.method: one.differences for one in overall}
    return [*lines, "", *_differences_as_text(found, first, measures, "scenes")]


def _heads(measures) -> list[str]:
    return [f"{measure.name} {measure.arrow}" for measure in measures]


def _row(result: Result, measures, indent: str = "") -> list[str]:
    return [indent + result.name, *_shown(measures, result.values)]


def _shown(measures, values: dict[str, float]) -> list[str]:
    return [measure.shown(values[measure.name]) for measure in measures]


def _differences_as_text(by_name: dict[str, dict[str, Difference]], baseline: str, measures, over: str) -> list[str]:
    rows = [[f"less {baseline}", *_heads(measures)]]
    for name, found in by_name.items():
        if any(one.parts for one in found.values()):
            rows.append([name, *(f"{found[m.name].mean:+.{m.decimals}f}" for m in measures)])
            rows.append(["  better in", *(f"{found[m.name].better}/{found[m.name].parts} {over}" for m in measures)])
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
    """One line for each image; of files that are there to stay, and several, their mean and standard deviation.

    Of several scenes these are those of each method.
    """
    names = list(results[0].values)
    overall = [(f" of {one.method}", one) for one in across(results, results[0])]
    files = [result for result in results if result.path]
    if lasting and len(files) > 1 and not overall:
        overall = [("", summary(files))]
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["image", "file", "scene", *names])
        for result in results:
            kept = result.path if result.path and lasting else ""
            out.writerow([result.name, kept, result.scene, *(result.values[name] for name in names)])
        for of, one in overall:
            out.writerow([f"mean{of}", "", "", *one.mean.values()])
            out.writerow([f"standard deviation{of}", "", "", *one.std.values()])


def document(
    studies: Sequence[Study], results: Sequence[Result], asked: AssessOptions, protocol: str, baseline
) -> dict:
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
            "cropped": asked.crop and studies[0].reference is not None,
            "scenes": [{"name": name, **scene(study, asked)} for name, study in zip(scenes_of(results), studies)],
            "measures": {m.name: {"ideal": m.ideal, "unit": m.unit, "meaning": m.meaning} for m in results[0].measures},
            "results": [_result(result, baseline, protocol == "full") for result in results],
            "baseline": baseline.name,
            "mean": overall.mean,
            "std": overall.std,
            "methods": [asdict(one) for one in across(results, baseline)],
            "notes": notes(studies, results, asked),
        }
    )


def scene(study: Study, asked: AssessOptions) -> dict:
    window, sample, (pan, *ms) = study.scene.window, sample_of(study, asked), study.inputs
    return {
        "pan": pan,
        "ms": ms,
        "sensor": study.sensor.id,
        "bands": list(study.sensor.bands),
        "ratio": study.scene.placement.ratio,
        "window": {"row": window.row, "col": window.col, "height": window.height, "width": window.width},
        "sample": {**asdict(sample), "whole": sample.whole},
    }


def _result(result: Result, baseline: Result, lasting: bool) -> dict:
    """lasting: whether there is a file when all is done."""
    paired = differences(result, baseline) if result.path and result is not baseline else {}
    return {
        "name": result.name,
        "file": result.path if lasting else None,
        "scene": result.scene,
        "method": result.method,
        "beside": result.path is None,
        "measures": result.values,
        "valid": result.valid,
        "peak": result.extra.get("peak"),
        "differences": {name: asdict(one) for name, one in paired.items()},
    }


def notes(studies: Sequence[Study], results: Sequence[Result], asked: AssessOptions) -> list[str]:
    """What a reader of the numbers should know."""
    names = scenes_of(results)
    where = [f"{name}: " if len(names) > 1 else "" for name in names]
    told = [f"{of}{warning}" for of, study in zip(where, studies) for warning in study.warnings]
    extra = results[0].extra
    how = "by 16-bit counts" if extra["rounded"] else "as they are"
    if "convention" in extra:
        told.append(f"in the {extra['convention']} convention, Q2n of values {how}")
    else:
        told.append(f"Q2n of values {how}, PSNR with {_peak(results)} as its peak{_rim(asked)}")
    for of, study in zip(where, studies):
        sample = sample_of(study, asked)
        if not sample.whole:
            told.append(f"{of}measured on {sample}; --sample 0 measures all")
    for of, name in zip(where, names):
        told += [of + said for said in missing([result for result in results if result.scene == name])]
    return [*dict.fromkeys(told), *([ON_HQNR] if "HQNR" in results[0].values else [])]


def missing(results: Sequence[Result]) -> list[str]:
    """How much of a scene is left out; said once where it is the same in all images."""
    shares: dict[str, list[str]] = {}
    for result in results:
        if result.valid < 0.999:
            shares.setdefault(f"{1 - result.valid:.1%}", []).append(result.name)
    of = {share: "" if len(names) == len(results) else f" of {', '.join(names)}" for share, names in shares.items()}
    return [f"{share} of the pixels{which} hold no data and are left out" for share, which in of.items()]


def _peak(results: Sequence[Result]) -> str:
    peaks = sorted({result.extra["peak"] for result in results})
    return f"{peaks[0]:g}" if len(peaks) == 1 else f"{peaks[0]:g} to {peaks[-1]:g}"


def _rim(asked: AssessOptions) -> str:
    return ", without the rim that the toolboxes leave out" if asked.crop else ""


def plain(value):
    """A value as JSON may hold it: no NaN, no infinity, nothing of NumPy."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(one) for one in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value
