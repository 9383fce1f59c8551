"""The HTML report on the quality of fused images: one self-contained file, for the screen and for print."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from string import Template

import numpy as np

from .. import __version__
from ..common.files import write_whole
from ..common.notices import Notice
from ..common.paths import RESOURCES
from ..common.progress import subrange
from ..domain.measures import ALL, ON_HQNR, Measure, best
from ..domain.options import AssessOptions
from ..domain.study import Result, Study
from . import charts, tables
from .measure import measure_all, sample_of, with_baselines
from .png import RAMP, data_uri, heat, png
from .provenance import facts_of
from .report_data import CROP_SIDE, ReportData, gather

TEMPLATE = RESOURCES / "report.html"
KEY = ("HQNR", "D_lambda_K", "D_s", "D_rho"), ("SAM", "ERGAS", "Q2n", "SCC")
"measures shown in the header, without and with a reference"
SATURATED_SHARE = 0.0005
"minimum share of pixels at the maximum value of a saturated band"
SATURATED_PEAK = 10
"a saturated band has this many times more pixels at its maximum than at each of this many values below"
REMARK_KINDS = frozenset({"shift_small", "shift_small_bands", "shift_corrected", "shift_corrected_bands"})
"kinds of notices that report no problem"
MAPS = {
    "D_rho": ("Missing spatial detail", "1 minus the local correlation with PAN, mean of the bands"),
    "R-SAM": ("Spectral error", "Angle between the spectra of MS and of the image at the resolution of MS, in degrees"),
    "SAM": ("Spectral error", "Angle between the spectra of the image and of the reference, in degrees"),
    "error": ("Error", "Root mean square difference from the reference over the bands, in digital numbers"),
}
text = html.escape


def write(
    study: Study,
    results: Sequence[Result],
    options: AssessOptions,
    page: str | Path | None,
    folder: str | Path | None = None,
    protocol: str = "full",
    progress: Callable[[float], None] = lambda share: None,
) -> None:
    """Writes the report to `page`, and its maps and crops as PNG files to `folder`, where these are given."""
    data = gather(study, options, progress)
    if page:
        write_whole(page, as_html(study, results, options, data, protocol))
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name, picture in pictures(data):
            (Path(folder) / f"{name}.png").write_bytes(picture)


def assess_and_report(
    study: Study, options: AssessOptions, page: str | Path | None, progress: Callable[[float], None]
) -> dict:
    """Measures a study and its baselines, writes the report to `page`, if any, and returns tables.document."""
    study, end = with_baselines(study, options, tick=lambda: progress(0.0)), 0.8 if page else 1.0
    (results,) = measure_all([study], options, subrange(progress, 0, end))
    if page:
        write(study, results, options, page, progress=subrange(progress, end, 1))
    return tables.document([study], results, options, "full", results[0])


def pictures(data: ReportData) -> list[tuple[str, bytes]]:
    """Returns the names and PNG files of the maps and crops."""
    found = [("overview", png(data.overview))]
    for name, by_image in data.maps.items():
        maximum = scale(data, name)
        found += [(f"{name}_{_file_name(of)}", heat(field, maximum)) for of, field in by_image.items()]
    for number, crop in enumerate(data.crops, 1):
        found += [(f"crop{number}_{_file_name(of)}", png(image)) for of, image in crop.pictures.items()]
    return found


def _file_name(name: str) -> str:
    """Returns the name with underscores for characters that file systems may reject."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)


def as_html(study: Study, results: Sequence[Result], options: AssessOptions, data: ReportData, protocol: str) -> str:
    sections = (
        head(study, results, protocol),
        warnings(study, results, options, data),
        table(results, protocol),
        crops(data, study),
        maps(data),
        histograms(data),
        spectra(data, study),
        correlation(data),
        facts(study, options, data, protocol),
        f"<footer>Created with SSDiff for QGIS {text(__version__)}, {datetime.now(timezone.utc):%d %B %Y}.</footer>",
    )
    side = data.crops[0].window.width if data.crops else 1
    title = f"Quality assessment: {headline(study, protocol)}"
    filled = {"title": text(title), "ramp": ", ".join(RAMP), "zoom": zoom_of(side), "body": "\n".join(sections)}
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(filled)


# --- measures --------------------------------------------------------------------------------------------------------


def headline(study: Study, protocol: str) -> str:
    files = study.files
    if protocol == "wald":
        return ", ".join(image.name for image in files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
    return Path(files[0].path).name if len(files) == 1 else f"{len(files)} fused images"


def method_summary(study: Study, protocol: str) -> str:
    if protocol == "wald":
        return (
            "Reduced-resolution assessment (Wald's protocol): PAN and MS are degraded by the ratio and fused, and the "
            "result is compared with the original MS"
        )
    if study.reference:
        return f"Assessment against the reference {Path(study.reference.path).name}"
    return f"Full-resolution assessment against PAN and MS, in the {study.convention} convention"


def head(study: Study, results: Sequence[Result], protocol: str) -> str:
    first, *others = results
    chosen = [ALL[name] for name in KEY[bool(study.reference)]]
    compared = [result for result in others if not result.path or len(results) < 5][-3:]
    blocks = "".join(_figure(measure, first, compared) for measure in chosen)
    of = f"{text(first.name)} · " if len(study.files) > 1 else ""
    return (
        f'<header><p class="over">{of}{text(study.sensor.label)}</p><h1>{text(headline(study, protocol))}</h1>'
        f'<p class="lead">{text(method_summary(study, protocol))}.</p></header><div class="figures">{blocks}</div>'
    )


def _figure(measure: Measure, first: Result, compared: Sequence[Result]) -> str:
    others = "".join(f"<dd>{text(one.name)} {measure.formatted(one.values[measure.name])}</dd>" for one in compared)
    return (
        f'<div><dl><dt>{text(measure.label)} <span title="{text(measure.direction)}">{measure.arrow}</span></dt>'
        f'<dd class="value">{measure.formatted(first.values[measure.name])}</dd>{others}</dl></div>'
    )


def table(results: Sequence[Result], protocol: str) -> str:
    measures, files = results[0].measures, [result for result in results if result.path]
    top = "".join(f"<th>{text(m.label)} {m.arrow}<small>{text(m.ideal_text)}</small></th>" for m in measures)
    leaders = {m.name: best([result.values[m.name] for result in results], m) for m in measures}
    rows = "".join(_row(result, i, measures, leaders) for i, result in enumerate(results))
    if len(files) > 1 and protocol != "wald":
        overall = tables.summary(files)
        for name, values in (("Mean of the files", overall.mean), ("Standard deviation", overall.std)):
            cells = "".join(f"<td>{m.formatted(values[m.name])}</td>" for m in measures)
            rows += f'<tr class="overall"><th scope="row">{name}</th>{cells}</tr>'
    terms = "".join(f"<div><dt>{text(m.label)}</dt><dd>{text(m.meaning)}</dd></div>" for m in measures)
    hqnr = f'<p class="note">{text(ON_HQNR)}</p>' if "HQNR" in results[0].values else ""
    return (
        '<section id="measures"><h2>Measures</h2><p class="lead">For comparison: interpolated MS (EXP) '
        "and a classical fusion of the same scene. The ideal value is given below the name of each measure; the best "
        "value is in bold.</p>"
        f'<div class="wide"><table><thead><tr><th></th>{top}</tr></thead><tbody>{rows}</tbody></table></div>'
        f'{hqnr}<dl class="terms">{terms}</dl></section>'
    )


def _row(result: Result, number: int, measures: Sequence[Measure], leaders: dict) -> str:
    cells = "".join(
        f"<td{' class=best' if leaders[m.name] == number else ''}>{m.formatted(result.values[m.name])}</td>"
        for m in measures
    )
    kind = "" if result.path else ' class="baseline"'
    return f'<tr{kind}><th scope="row">{text(result.name)}</th>{cells}</tr>'


# --- warnings -------------------------------------------------------------------------------------------------------


def warnings(study: Study, results: Sequence[Result], options: AssessOptions, data: ReportData) -> str:
    """Returns the list of problems and, less prominent, the list of remarks."""
    remarks = [message for message in study.warnings if _is_remark(message)]
    problems = [message for message in study.warnings if not _is_remark(message)]
    problems += [*saturation(data), *tables.missing(results)]
    sample = sample_of(study, options)
    if not sample.whole:
        problems.append(f"The scene is large: the measures are computed on {sample}")
    return _message_list("warnings", problems) + _message_list("remarks", remarks)


def _is_remark(message: Notice | str) -> bool:
    return isinstance(message, Notice) and message.kind in REMARK_KINDS


def _message_list(css_class: str, messages: Sequence[Notice | str]) -> str:
    items = "".join(f"<li>{text(_sentence(str(message)))}</li>" for message in messages)
    return f'<ul class="{css_class}">{items}</ul>' if items else ""


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")


def saturation(data: ReportData) -> list[str]:
    """Returns a warning for each band with many pixels at its maximum, and far fewer at the values just below."""
    named = [("PAN", data.histograms["PAN"][0])]
    named += [(f"the {band} band of MS", of) for band, of in zip(data.bands, data.histograms["MS"])]
    return [
        f"{share:.2%} of the pixels of {band} have the maximum {of.value(len(of.keys) - 1):g}: probably saturated"
        for band, of in named
        for share in [of.counts[-1] / of.counts.sum() if len(of.counts) > SATURATED_PEAK else 0]
        if share > SATURATED_SHARE and of.counts[-1] > SATURATED_PEAK * max(of.counts[-SATURATED_PEAK:-1].mean(), 1)
    ]


def facts(study: Study, options: AssessOptions, data: ReportData, protocol: str) -> str:
    rows = facts_of(study, options, protocol)
    listed = "".join(f"<dt>{text(key)}</dt><dd>{text(str(value))}</dd>" for key, value in rows)
    return (
        f'<section id="inputs"><h2>Inputs and provenance</h2><div class="scene"><dl class="facts">{listed}</dl>'
        f"{overview(data, study.scene.window)}</div></section>"
    )


def overview(data: ReportData, window) -> str:
    """Returns the first image with the positions of the crops."""
    marks, size = "", window.width / 26
    for number, crop in enumerate(data.crops, 1):
        x, y, side = crop.window.col - window.col, crop.window.row - window.row, crop.window.width
        marks += f'<rect x="{x}" y="{y}" width="{side}" height="{side}"/>'
        marks += f'<text x="{x + size / 2:.1f}" y="{y + 1.2 * size:.1f}" font-size="{size:.1f}">{number}</text>'
    return (
        f'<figure><div class="overview"><img alt="Overview of the image" src="{data_uri(png(data.overview))}">'
        f'<svg viewBox="0 0 {window.width} {window.height}">{marks}</svg></div>'
        f"<figcaption>{text(data.shown[0].name)}; the numbers mark the crops</figcaption></figure>"
    )


# --- figures ---------------------------------------------------------------------------------------------------------


def crops(data: ReportData, study: Study) -> str:
    if not data.crops:
        return ""
    names, side = list(data.crops[0].pictures), data.crops[0].window.width
    after, zoom = data.shown[0].name, zoom_of(side)
    before = data.shown[1].name if len(study.files) > 1 else "EXP" if "EXP" in names else "MS"
    chosen = (
        _choice("before", "Left", names, before)
        + _choice("after", "Right", names, after)
        + _choice("zoom", "Zoom", [str(n) for n in sorted({1, zoom, 2 * zoom})], str(zoom), ":1")
    )
    figures = "".join(_crop(number, crop, before, after) for number, crop in enumerate(data.crops, 1))
    return (
        '<section id="crops"><h2>Crops</h2><p class="lead">The areas where the images differ most, '
        "all with the same contrast stretch. "
        '<span class="hint">Drag the divider or use the arrow keys to compare.</span></p>'
        f'<form class="choices">{chosen}</form><div class="crops" style="--side:{side}">{figures}</div></section>'
    )


def zoom_of(side: int) -> int:
    """Returns the initial zoom: 1, and more for the smaller crops of a small scene."""
    return max(round(CROP_SIDE / side), 1)


def _choice(name: str, label: str, options: Sequence[str], chosen: str, unit: str = "") -> str:
    buttons = "".join(
        f'<label><input type="radio" name="{name}" value="{text(one)}"{" checked" if one == chosen else ""}>'
        f"<span>{text(LABEL.get(one, one))}{unit}</span></label>"
        for one in options
    )
    return f"<fieldset><legend>{label}</legend>{buttons}</fieldset>"


LABEL = {"reference": "Reference"}


def _crop(number: int, crop, before: str, after: str) -> str:
    images, window = "", crop.window
    for name, picture in crop.pictures.items():
        sides = " ".join(side for side, of in (("before", before), ("after", after)) if of == name)
        label = text(LABEL.get(name, name))
        images += f'<img data-of="{text(name)}" class="{sides}" alt="{label}" src="{data_uri(png(picture))}">'
    slider = f'<input type="range" value="50" aria-label="Crop {number}: position of the divider between the images">'
    return (
        f'<figure class="crop"><div class="stage">{images}<b>{number}</b>{slider}</div>'
        f"<figcaption>Row {window.row}, column {window.col}</figcaption></figure>"
    )


def maps(data: ReportData) -> str:
    parts = ""
    for name, by_image in data.maps.items():
        (title, meaning), maximum = MAPS[name], scale(data, name)
        figures = "".join(_map(of, field, maximum) for of, field in by_image.items())
        parts += (
            f'<h3>{text(title)}</h3><p class="lead">{text(meaning)}.</p><div class="maps">{figures}</div>'
            f'<p class="scale">0<i></i>{maximum:.3g} or more</p>'
        )
    return f'<section id="maps"><h2>Error maps</h2><p class="lead">Dark areas have small errors.</p>{parts}</section>'


def _map(of: str, field: np.ndarray, maximum: float) -> str:
    picture = f'<img alt="{text(of)}" src="{data_uri(heat(field, maximum))}">'
    return f"<figure>{picture}<figcaption>{text(of)}</figcaption></figure>"


def scale(data: ReportData, name: str) -> float:
    """Returns the upper end of a map's colour scale: the 98th percentile in the first image."""
    first = data.maps[name][data.shown[0].name]
    known = first[np.isfinite(first)]
    return float(f"{max(np.quantile(known, 0.98), 1e-6):.2g}") if known.size else 1.0


def histograms(data: ReportData) -> str:
    of = data.shown[0].name
    figures = "".join(
        f"<figure><h3>{text(band)}</h3>{charts.histograms(f'Histogram of {band}', *pair)}</figure>"
        for band, *pair in zip(data.bands, data.histograms["MS"], data.histograms[of])
    )
    key = f'<ul class="key"><li><i class="area"></i>MS</li><li><i class="fused"></i>{text(of)}</li></ul>'
    return (
        '<section id="histograms"><h2>Histograms</h2><p class="lead">Distribution of the values of each band in MS '
        "and in the fused image. A good image preserves its shape, slightly widened by the added detail.</p>"
        f'{key}<div class="small">{figures}</div></section>'
    )


def spectra(data: ReportData, study: Study) -> str:
    first, kinds = data.shown[0].name, {"MS": "ms", "PAN": "pan", data.shown[0].name: "fused", "EXP": "baseline"}
    series = [charts.Series(n, kind, *data.spectra[n].curve) for n, kind in kinds.items() if n in data.spectra]
    series = [_scaled_to(one, series[0]) if one.kind == "pan" else one for one in series]
    drawing = charts.spectra(series, 0.5 / study.scene.placement.ratio)
    if not drawing:
        return ""
    key = "".join(f'<li><i class="{one.kind}"></i>{text(one.name)}</li>' for one in series)
    return (
        '<section id="spectra"><h2>Power spectra</h2><p class="lead">Radially averaged power by spatial frequency, '
        f"mean of the bands. PAN is scaled to the level of MS. Beyond the Nyquist frequency of MS, {text(first)} "
        f'should follow PAN; interpolation (EXP) falls off.</p><ul class="key">{key}</ul>{drawing}</section>'
    )


def _scaled_to(pan: charts.Series, ms: charts.Series) -> charts.Series:
    """Returns the spectrum of PAN, scaled to that of MS at the lower half of the frequencies of MS."""
    n = min(max(len(ms.y) // 2, 1), len(pan.y))
    if not n or not len(ms.y):
        return pan
    return charts.Series(pan.name, pan.kind, pan.x, pan.y * np.exp(np.mean(np.log(ms.y[:n]) - np.log(pan.y[:n]))))


def correlation(data: ReportData) -> str:
    if len(data.bands) < 2:
        return ""
    first = data.shown[0].name
    one, other = (correlations(data.moments[name].co) for name in ("MS", first))
    difference = np.abs(other - one).max()
    drawn = "".join(
        f"<figure><h3>{text(name)}</h3>{_matrix(values, data.bands)}</figure>"
        for name, values in (("MS", one), (first, other))
    )
    return (
        '<section id="correlation"><h2>Correlation between bands</h2><p class="lead">Correlation matrices of MS and '
        f"the fused image. The maximum difference is {difference:.3f}.</p>"
        f'<div class="matrices">{drawn}</div></section>'
    )


def correlations(co: np.ndarray) -> np.ndarray:
    spread = np.sqrt(np.diag(co))
    return co / np.maximum(np.outer(spread, spread), 1e-12)


def _matrix(values: np.ndarray, bands: Sequence[str]) -> str:
    top = "".join(f"<th>{text(band)}</th>" for band in bands)
    rows = ""
    for band, line in zip(bands, values):
        cells = "".join(
            f'<td style="--share:{abs(value):.2f};--tone:var(--{"fused" if value >= 0 else "warn"})">{value:.2f}</td>'
            for value in line
        )
        rows += f"<tr><th>{text(band)}</th>{cells}</tr>"
    return f'<table class="matrix"><thead><tr><th></th>{top}</tr></thead><tbody>{rows}</tbody></table>'
