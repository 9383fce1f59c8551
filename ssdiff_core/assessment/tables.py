"""Result tables with means, standard deviations and differences from a baseline: as text, CSV and JSON values."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from .. import __version__
from ..common.errors import ConfigError
from ..common.texts import printable
from ..domain.measures import ON_HQNR
from ..domain.options import AssessOptions
from ..domain.study import Result, Study
from .compare import Difference, methods_over_scenes, paired, scenes_of, summary
from .measure import sample_of


def differences(result: Result, baseline: Result) -> dict[str, Difference]:
    """Returns the differences paired over the blocks of a scene; {} for results of different scenes or extents."""
    if result.scene != baseline.scene:
        return {}
    return {m.name: paired(result.parts[m.name], baseline.parts[m.name], m) for m in result.measures}


def baseline_of(results: Sequence[Result], name: str | None) -> Result:
    """Returns the result with this name, path or method; by default the first.

    Raises ConfigError if there is no such result.
    """
    if name is None:
        return results[0]
    for normalised in (str, str.lower):
        for result in results:
            if name == result.path or normalised(name) in (normalised(result.name), normalised(result.method)):
                return result
    raise ConfigError(f"--baseline: no result {name!r}; choose one of: {', '.join(r.name for r in results)}")


# --- as text ---------------------------------------------------------------------------------------------------------


def text(results: Sequence[Result], baseline: Result, notes: Sequence[str] = (), means: bool = True) -> str:
    """Returns a table for a terminal. means: whether to add the means of the files."""
    several = len(scenes_of(results)) > 1
    lines = _several_as_text(results, baseline) if several else _one_as_text(results, baseline, means)
    lines.append("↓ 0 is ideal, ↑ 1 is ideal" + (", higher PSNR is better" if "PSNR" in results[0].values else ""))
    return "\n".join([*lines, *notes])


def _one_as_text(results: Sequence[Result], baseline: Result, means: bool) -> list[str]:
    """Returns the lines for results of one scene, with differences over its blocks."""
    measures = results[0].measures
    files = [result for result in results if result.path]
    rows = [["", *_heads(measures)], *(_row(result, measures) for result in files)]
    if len(files) > 1 and means:
        overall = summary(files)
        rows += [
            ["mean", *_formatted(measures, overall.mean)],
            ["standard deviation", *_formatted(measures, overall.std)],
        ]
    baselines = [_row(result, measures) for result in results if not result.path]
    lines = [*in_columns(rows + baselines), ""]
    lines[len(rows) : len(rows)] = [""] if baselines else []
    found = {result.name: differences(result, baseline) for result in files if result is not baseline}
    return [*lines, *_differences_as_text(found, baseline.name, measures, "blocks")]


def _several_as_text(results: Sequence[Result], baseline: Result) -> list[str]:
    """Returns the lines for each scene, then for each method over all scenes."""
    measures, none = results[0].measures, [""] * len(results[0].measures)
    rows = [["", *_heads(measures)]]
    for scene in scenes_of(results):
        rows += [[scene, *none], *(_row(result, measures, "  ") for result in results if result.scene == scene)]
    overall = methods_over_scenes(results, baseline)
    for one in overall:
        rows += [[f"{one.method}, mean of {one.scenes}", *_formatted(measures, one.mean)]]
        rows += [["  standard deviation", *_formatted(measures, one.std)]]
    lines = [line.rstrip() for line in in_columns(rows)]
    lines[len(rows) - 2 * len(overall) : len(rows) - 2 * len(overall)] = [""]
    first = next(one.method for one in overall if not one.differences)
    found = {one.method: one.differences for one in overall}
    return [*lines, "", *_differences_as_text(found, first, measures, "scenes")]


def _heads(measures) -> list[str]:
    return [f"{measure.name} {measure.arrow}" for measure in measures]


def _row(result: Result, measures, indent: str = "") -> list[str]:
    return [indent + result.name, *_formatted(measures, result.values)]


def _formatted(measures, values: dict[str, float]) -> list[str]:
    return [measure.formatted(values[measure.name]) for measure in measures]


def _differences_as_text(by_name: dict[str, dict[str, Difference]], baseline: str, measures, over: str) -> list[str]:
    rows = [[f"difference from {baseline}", *_heads(measures)]]
    for name, found in by_name.items():
        if any(one.parts for one in found.values()):
            rows.append([name, *(f"{found[m.name].mean:+.{m.decimals}f}" for m in measures)])
            rows.append(["  better in", *(f"{found[m.name].better}/{found[m.name].parts} {over}" for m in measures)])
    return [*in_columns(rows), ""] if len(rows) > 1 else []


def in_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns lines with the cells in columns, the first left-aligned and the others right-aligned."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths)))
        for row in rows
    ]


# --- CSV and JSON ---------------------------------------------------------------------------------------------------


def write_csv(path: str | Path, results: Sequence[Result], permanent: bool = True) -> None:
    """Writes one line for each image, then the mean and standard deviation of the files, or of each method if there are
    several scenes.

    permanent: whether the fused files remain after the run; the paths and means of temporary files are left out.
    """
    names = list(results[0].values)
    overall = [(f" of {one.method}", one) for one in methods_over_scenes(results, results[0])]
    files = [result for result in results if result.path]
    if permanent and len(files) > 1 and not overall:
        overall = [("", summary(files))]
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["image", "file", "scene", *names])
        for result in results:
            kept = result.path if result.path and permanent else ""
            out.writerow([*map(cell, (result.name, kept, result.scene)), *(result.values[name] for name in names)])
        for suffix, one in overall:
            out.writerow([f"mean{suffix}", "", "", *one.mean.values()])
            out.writerow([f"standard deviation{suffix}", "", "", *one.std.values()])


def cell(value: object) -> str:
    """Returns a text for a cell; a leading apostrophe keeps spreadsheets from running it as a formula."""
    text = printable(str(value or ""))
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def document(
    studies: Sequence[Study], results: Sequence[Result], options: AssessOptions, protocol: str, baseline
) -> dict:
    """Returns all results as JSON values: the output of `ssdiff assess --json`."""
    files = [result for result in results if result.path]
    overall = summary(files)
    extra = results[0].extra
    return to_json(
        {
            "version": __version__,
            "protocol": protocol,
            "reference": studies[0].reference is not None,
            "convention": extra.get("convention"),
            "rounded": extra.get("rounded"),
            "cropped": options.crop and studies[0].reference is not None,
            "scenes": [{"name": name, **_scene(study, options)} for name, study in zip(scenes_of(results), studies)],
            "measures": {m.name: {"ideal": m.ideal, "unit": m.unit, "meaning": m.meaning} for m in results[0].measures},
            "results": [_result(result, baseline, protocol == "full") for result in results],
            "baseline": baseline.name,
            "mean": overall.mean,
            "std": overall.std,
            "methods": [asdict(one) for one in methods_over_scenes(results, baseline)],
            "notes": notes(studies, results, options),
        }
    )


def _scene(study: Study, options: AssessOptions) -> dict:
    window, sample, (pan, *ms) = study.scene.window, sample_of(study, options), study.inputs
    return {
        "pan": pan,
        "ms": ms,
        "sensor": study.sensor.id,
        "bands": list(study.sensor.bands),
        "ratio": study.scene.placement.ratio,
        "window": {"row": window.row, "col": window.col, "height": window.height, "width": window.width},
        "sample": {**asdict(sample), "whole": sample.whole},
    }


def _result(result: Result, baseline: Result, permanent: bool) -> dict:
    """permanent: whether the fused file remains after the run."""
    paired = differences(result, baseline) if result.path and result is not baseline else {}
    return {
        "name": result.name,
        "file": result.path if permanent else None,
        "scene": result.scene,
        "method": result.method,
        "beside": result.path is None,
        "measures": result.values,
        "valid": result.valid,
        "peak": result.extra.get("peak"),
        "differences": {name: asdict(one) for name, one in paired.items()},
    }


def notes(studies: Sequence[Study], results: Sequence[Result], options: AssessOptions) -> list[str]:
    """Returns notes on how the results were computed, and warnings."""
    names = scenes_of(results)
    where = [f"{name}: " if len(names) > 1 else "" for name in names]
    messages = [f"{prefix}{warning}" for prefix, study in zip(where, studies) for warning in study.warnings]
    extra = results[0].extra
    values = "values rounded to 16-bit integers" if extra["rounded"] else "unrounded values"
    if "convention" in extra:
        messages.append(f"{extra['convention']} convention, Q2n of {values}")
    else:
        messages.append(f"Q2n of {values}, PSNR with peak value {_peak(results)}{_border(options)}")
    for prefix, study in zip(where, studies):
        sample = sample_of(study, options)
        if not sample.whole:
            messages.append(f"{prefix}the measures are computed on {sample}; --sample 0 uses all blocks")
    for prefix, name in zip(where, names):
        messages += [prefix + message for message in missing([result for result in results if result.scene == name])]
    return [*dict.fromkeys(messages), *([ON_HQNR] if "HQNR" in results[0].values else [])]


def missing(results: Sequence[Result]) -> list[str]:
    """Returns a message for each share of pixels without data, naming the images unless all have the same share."""
    shares: dict[str, list[str]] = {}
    for result in results:
        if result.valid < 0.999:
            shares.setdefault(f"{1 - result.valid:.1%}", []).append(result.name)
    images = {share: "" if len(names) == len(results) else f" of {', '.join(names)}" for share, names in shares.items()}
    return [f"{share} of the pixels{which} have no data and are excluded" for share, which in images.items()]


def _peak(results: Sequence[Result]) -> str:
    peaks = sorted({result.extra["peak"] for result in results})
    return f"{peaks[0]:g}" if len(peaks) == 1 else f"{peaks[0]:g} to {peaks[-1]:g}"


def _border(options: AssessOptions) -> str:
    return ", border excluded as in the MATLAB toolbox" if options.crop else ""


def to_json(value):
    """Returns the value with lists for arrays and None for NaN and infinity."""
    if isinstance(value, dict):
        return {key: to_json(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [to_json(one) for one in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value
