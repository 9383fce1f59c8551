"""Tables of a benchmark on sets of images, with methods as rows: as text, CSV, LaTeX, HTML and JSON values.

Published rows follow those that were measured. They are marked with the number of their source.
"""

from __future__ import annotations

import csv
import hashlib
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from .. import __version__
from ..common.files import write_whole
from ..common.paths import RESOURCES
from ..domain.measures import ALL, Measure, best
from .png import RAMP
from .tables import cell, in_columns, to_json

REDUCED = ("SAM", "ERGAS", "Q2n", "SCC", "PSNR")
"measures at reduced resolution"
FULL = ("D_lambda_K", "D_s", "HQNR", "D_lambda", "QNR")
"measures at full resolution"
SECONDS = {"reduced": "seconds", "full": "seconds_full"}
"names of the columns of the time per image, by resolution"
DECIMALS = {"PSNR": 2}
"number of decimals in tables; 4, as papers print them, if not listed"


@dataclass(frozen=True)
class Row:
    """The results of a method."""

    method: str
    mean: dict[str, float]
    "mean of each measure over the images"
    std: dict[str, float]
    "sample standard deviation of each measure over the images, if it is known"
    seconds: dict[str, float] = field(default_factory=dict)
    "median time per image, by resolution"
    images: tuple[dict, ...] = ()
    "file, number, measures and seconds of each image"
    source: str = ""
    "publication that the row is quoted from; empty: measured"
    printed: dict[str, tuple[str, str]] = field(default_factory=dict)
    "mean and standard deviation of each measure of a quoted row, as published"


@dataclass(frozen=True)
class Benchmark:
    """The results of all methods on the images of a sensor."""

    sensor: str
    "label of the sensor"
    sets: tuple[dict, ...]
    "path, resolution (reduced or full), number of images and shape of each set"
    rows: tuple[Row, ...]
    quoted: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def measures(self) -> list[Measure]:
        return [ALL[name] for name in (*REDUCED, *FULL) if name in self.rows[0].mean]

    @property
    def digest(self) -> str:
        """SHA-256 of the measured table without its times; equal for runs with the same seed on the same machine."""
        cells = [(row.method, *map(_plain, _cells(self, row))) for row in self.rows]
        return hashlib.sha256(repr(cells).encode()).hexdigest()

    @property
    def sources(self) -> list[str]:
        """The sources of the quoted rows, in order."""
        return list(dict.fromkeys(row.source for row in self.quoted))

    def name(self, row: Row) -> str:
        """Returns the name of a row; quoted ones have the number of their source."""
        return f"{row.method} [{self.sources.index(row.source) + 1}]" if row.source else row.method

    @property
    def title(self) -> str:
        return f"{self.sensor}: " + ", ".join(
            f"{each['count']} images at {each['resolution']} resolution ({Path(each['path']).name})"
            for each in self.sets
        )

    @property
    def remarks(self) -> list[str]:
        """What is to be known about the table, with the sources of its quoted rows."""
        quoted = [f"[{number}] quoted, not measured here: {source}" for number, source in enumerate(self.sources, 1)]
        return [*self.notes, *quoted, f"digest of the measured values: {self.digest}"]


def _cells(benchmark: Benchmark, row: Row) -> list[tuple[str, str]]:
    """Returns mean and standard deviation of each measure as texts, empty where they are unknown."""
    if row.source:
        return [row.printed.get(measure.name, ("", "")) for measure in benchmark.measures]
    return [
        tuple(_formatted(measure, values.get(measure.name)) for values in (row.mean, row.std))
        for measure in benchmark.measures
    ]


def _formatted(measure: Measure, value: float | None) -> str:
    return "" if value is None else measure.formatted(value, DECIMALS.get(measure.name, 4))


def _plain(pair: tuple[str, str], between: str = "±") -> str:
    return between.join(part for part in pair if part) or "–"


def _times(benchmark: Benchmark, row: Row) -> list[str]:
    """Returns the time per image at each resolution as text."""
    resolutions = [name for name in SECONDS if name in benchmark.rows[0].seconds]
    return [f"{row.seconds[name]:.3g}" if name in row.seconds else "–" for name in resolutions]


def _heads(benchmark: Benchmark) -> list[str]:
    """Returns the headings of the columns, without that of the methods."""
    times = {"reduced": "s per image", "full": "s per full image"}
    columns = [f"{measure.name} {measure.arrow}" for measure in benchmark.measures]
    return [*columns, *(times[name] for name in SECONDS if name in benchmark.rows[0].seconds)]


def text(benchmark: Benchmark) -> str:
    """Returns the table for a terminal."""
    rows = [["", *_heads(benchmark)]]
    for row in (*benchmark.rows, *benchmark.quoted):
        rows.append([benchmark.name(row), *map(_plain, _cells(benchmark, row)), *_times(benchmark, row)])
    lines = in_columns(rows)
    if benchmark.quoted:
        lines.insert(1 + len(benchmark.rows), "quoted:")
    return "\n".join([benchmark.title, "", *lines, "", *benchmark.remarks])


def as_csv(benchmarks: Sequence[Benchmark]) -> str:
    """Returns one line for each method and sensor; every measure has two columns."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    names = (*REDUCED, *FULL)
    columns = [column for name in names for column in (name, f"{name} std")]
    writer.writerow(["sensor", "method", "source", *columns, *SECONDS.values()])
    for benchmark in benchmarks:
        for row in (*benchmark.rows, *benchmark.quoted):
            values = [values.get(name, "") for name in names for values in (row.mean, row.std)]
            times = [row.seconds.get(name, "") for name in SECONDS]
            source = row.source or "measured"
            writer.writerow([*map(cell, (benchmark.sensor, row.method, source)), *values, *times])
    return out.getvalue()


# --- LaTeX -----------------------------------------------------------------------------------------------------------


SYMBOLS = {
    "Q2n": r"Q$2^n$",
    "D_lambda_K": r"$D_{\lambda,K}$",
    "D_s": r"$D_s$",
    "D_lambda": r"$D_\lambda$",
}
SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
SPECIAL |= {character: f"\\{character}" for character in "&%$#_{}"}


def latex(benchmarks: Sequence[Benchmark]) -> str:
    """Returns a table environment for each sensor, which needs no package; the best measured values are bold."""
    return "\n".join(_latex_table(benchmark) for benchmark in benchmarks)


def _latex_table(benchmark: Benchmark) -> str:
    heads = [f"{SYMBOLS.get(m.name, m.name)} ${_direction(m)}$" for m in benchmark.measures]
    heads += _heads(benchmark)[len(heads) :]
    leaders = _leaders(benchmark)
    lines = [_latex_row(benchmark, row, leaders) for row in benchmark.rows]
    lines += [r"\hline"] * bool(benchmark.quoted)
    lines += [_latex_row(benchmark, row, {}) for row in benchmark.quoted]
    remarks = "".join(f"% {remark}\n" for remark in benchmark.remarks)
    caption = " ".join(
        [
            _escaped(benchmark.title) + ".",
            *(f"[{i}] quoted from {_escaped(source)}." for i, source in enumerate(benchmark.sources, 1)),
        ]
    )
    return (
        f"{remarks}\\begin{{table}}\n\\caption{{{caption}}}\n\\begin{{tabular}}{{l{'c' * len(heads)}}}\n\\hline\n"
        f"Method & {' & '.join(heads)} \\\\\n\\hline\n" + "\n".join(lines) + "\n\\hline\n\\end{tabular}\n\\end{table}\n"
    )


def _latex_row(benchmark: Benchmark, row: Row, leaders: dict[str, Row]) -> str:
    cells = []
    for measure, pair in zip(benchmark.measures, _cells(benchmark, row)):
        value = _plain(pair, r"$\pm$").replace("–", "--").replace("∞", r"$\infty$")
        cells.append(rf"\textbf{{{value}}}" if leaders.get(measure.name) is row else value)
    times = [time.replace("–", "--") for time in _times(benchmark, row)]
    return " & ".join([_escaped(benchmark.name(row)), *cells, *times]) + r" \\"


def _direction(measure: Measure) -> str:
    return r"\uparrow" if measure.higher_is_better else r"\downarrow"


def _escaped(text: str) -> str:
    return "".join(SPECIAL.get(character, character) for character in text)


def _leaders(benchmark: Benchmark) -> dict[str, Row]:
    """Returns the best measured row by measure."""
    found = {}
    for measure in benchmark.measures:
        index = best([row.mean[measure.name] for row in benchmark.rows], measure)
        found |= {} if index is None else {measure.name: benchmark.rows[index]}
    return found


# --- HTML and JSON ---------------------------------------------------------------------------------------------------


def write_report(path: str | Path, benchmarks: Sequence[Benchmark]) -> None:
    """Writes all tables as one HTML page."""
    title = "Benchmark on sets of images"
    body = f"<header><h1>{title}</h1></header>" + "".join(map(_section, benchmarks))
    footer = f"<footer>Created with SSDiff for QGIS {html.escape(__version__)}.</footer>"
    page = Template((RESOURCES / "report.html").read_text(encoding="utf-8"))
    write_whole(path, page.substitute(title=title, ramp=", ".join(RAMP), zoom=1, body=body + footer))


def _section(benchmark: Benchmark) -> str:
    top = "".join(f"<th>{html.escape(head)}</th>" for head in ("", *_heads(benchmark)))
    leaders = _leaders(benchmark)
    rows = "".join(_html_row(benchmark, row, leaders) for row in (*benchmark.rows, *benchmark.quoted))
    remarks = "".join(f"<li>{html.escape(remark)}</li>" for remark in benchmark.remarks)
    terms = "".join(
        f"<div><dt>{html.escape(m.label)}</dt><dd>{html.escape(m.meaning)}</dd></div>" for m in benchmark.measures
    )
    return (
        f"<section><h2>{html.escape(benchmark.sensor)}</h2><p class=lead>{html.escape(benchmark.title)}. Mean and "
        "standard deviation over the images; the best measured value is in bold.</p>"
        f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table></div>'
        f'<ul class="remarks">{remarks}</ul><dl class="terms">{terms}</dl></section>'
    )


def _html_row(benchmark: Benchmark, row: Row, leaders: dict[str, Row]) -> str:
    cells = ""
    for measure, pair in zip(benchmark.measures, _cells(benchmark, row)):
        cells += f"<td{' class=best' if leaders.get(measure.name) is row else ''}>{_plain(pair)}</td>"
    cells += "".join(f"<td>{time}</td>" for time in _times(benchmark, row))
    kind = ' class="baseline"' if row.source else ""
    return f'<tr{kind}><th scope="row">{html.escape(benchmark.name(row))}</th>{cells}</tr>'


def document(benchmarks: Sequence[Benchmark]) -> dict:
    """Returns all results as JSON values: the output of `ssdiff benchmark --json`."""
    return to_json(
        {
            "version": __version__,
            "benchmarks": [
                {
                    "sensor": benchmark.sensor,
                    "sets": benchmark.sets,
                    "rows": [_row_values(row) | {"images": row.images} for row in benchmark.rows],
                    "quoted": [_row_values(row) | {"source": row.source} for row in benchmark.quoted],
                    "notes": benchmark.notes,
                    "digest": benchmark.digest,
                }
                for benchmark in benchmarks
            ],
        }
    )


def _row_values(row: Row) -> dict:
    return {"method": row.method, "mean": row.mean, "std": row.std, "seconds": row.seconds}
