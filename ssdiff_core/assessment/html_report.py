"""One HTML file that shows how good fused images are: it needs nothing besides itself, on a screen or on paper."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from string import Template

import numpy as np

from .. import __version__
from ..common.locks import move
from ..common.paths import RESOURCES
from ..common.progress import part
from ..domain.measures import ALL, ON_HQNR, Measure, best
from ..domain.options import AssessOptions
from ..domain.study import Result, Study
from . import charts, tables
from .measure import measure_all, sample_of, with_beside
from .png import RAMP, data_uri, heat, png
from .provenance import facts_of
from .report_data import CROP, Exhibits, gather

TEMPLATE = RESOURCES / "report.html"
KEY = ("HQNR", "D_lambda_K", "D_s", "D_rho"), ("SAM", "ERGAS", "Q2n", "SCC")
"measures that come first, without and with a reference"
FULL = 0.0005
"share of pixels at one greatest value, from which on they are taken to be saturated"
MANY = 10
"times as many pixels as each of so many values below it"
MAPS = {
    "D_rho": ("Detail unlike PAN's", "One less the local correlation with PAN, mean of the bands"),
    "R-SAM": ("Spectral error", "Angle between MS and the image as the MS sensor would see it, in degrees"),
    "SAM": ("Spectral error", "Angle between the image and its reference, in degrees"),
    "error": ("Error", "Difference from the reference, root mean square of the bands, in counts"),
}
text = html.escape


def write(
    study: Study,
    results: Sequence[Result],
    asked: AssessOptions,
    page: str | Path | None,
    folder: str | Path | None = None,
    protocol: str = "full",
    progress: Callable[[float], None] = lambda share: None,
) -> None:
    """The report as a page, and its maps and crops as PNG files in a folder; each if it is named."""
    exhibits = gather(study, asked, progress)
    if page:
        partial = Path(f"{page}.part")
        partial.write_text(as_html(study, results, asked, exhibits, protocol), encoding="utf-8")
        move(partial, page)
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name, picture in pictures(exhibits):
            (Path(folder) / f"{name}.png").write_bytes(picture)


def assessed(study: Study, asked: AssessOptions, page: str | Path | None, progress: Callable[[float], None]) -> dict:
    """A study measured, with what stands beside it, and its report, if a page is named: see tables.document."""
    study, end = with_beside(study, asked), 0.8 if page else 1.0
    (results,) = measure_all([study], asked, part(progress, 0, end))
    if page:
        write(study, results, asked, page, progress=part(progress, end, 1))
    return tables.document([study], results, asked, "full", results[0])


def pictures(exhibits: Exhibits) -> list[tuple[str, bytes]]:
    """The report's maps and crops, and what to call them."""
    found = [("overview", png(exhibits.overview))]
    for name, by_image in exhibits.maps.items():
        most = scale(exhibits, name)
        found += [(f"{name}_{_plain(of)}", heat(field, most)) for of, field in by_image.items()]
    for number, crop in enumerate(exhibits.crops, 1):
        found += [(f"crop{number}_{_plain(of)}", png(image)) for of, image in crop.pictures.items()]
    return found


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)


def as_html(study: Study, results: Sequence[Result], asked: AssessOptions, exhibits: Exhibits, protocol: str) -> str:
    sections = (
        head(study, results, protocol),
        warnings(study, results, asked, exhibits),
        table(results, protocol),
        crops(exhibits, study),
        maps(exhibits),
        histograms(exhibits),
        spectra(exhibits, study),
        correlation(exhibits),
        facts(study, asked, exhibits, protocol),
        f"<footer>Made by SSDiff for QGIS {text(__version__)}, {datetime.now(timezone.utc):%d %B %Y}.</footer>",
    )
    side = exhibits.crops[0].window.width if exhibits.crops else 1
    title = f"{headline(study, protocol)}: how good it is"
    filled = {"title": text(title), "ramp": ", ".join(RAMP), "zoom": zoom_of(side), "body": "\n".join(sections)}
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(filled)


# --- numbers ---------------------------------------------------------------------------------------------------------


def headline(study: Study, protocol: str) -> str:
    files = study.files
    if protocol == "wald":
        return ", ".join(image.name for image in files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
    return Path(files[0].path).name if len(files) == 1 else f"{len(files)} fused images"


def how(study: Study, protocol: str) -> str:
    if protocol == "wald":
        return "Fused from PAN and MS made coarser by the ratio, compared with MS as it is"
    if study.reference:
        return f"Compared with {Path(study.reference.path).name}"
    return f"Measured at full resolution against PAN and MS, in the {study.convention} convention"


def head(study: Study, results: Sequence[Result], protocol: str) -> str:
    first, *others = results
    chosen = [ALL[name] for name in KEY[bool(study.reference)]]
    beside = [result for result in others if not result.path or len(results) < 5][-3:]
    blocks = "".join(_figure(measure, first, beside) for measure in chosen)
    of = f"{text(first.name)} · " if len(study.files) > 1 else ""
    return (
        f'<header><p class="over">{of}{text(study.sensor.label)}</p><h1>{text(headline(study, protocol))}</h1>'
        f'<p class="lead">{text(how(study, protocol))}.</p></header><div class="figures">{blocks}</div>'
    )


def _figure(measure: Measure, first: Result, beside: Sequence[Result]) -> str:
    others = "".join(f"<dd>{text(one.name)} {measure.shown(one.values[measure.name])}</dd>" for one in beside)
    return (
        f'<div><dl><dt>{text(measure.label)} <span title="{text(measure.goal)}">{measure.arrow}</span></dt>'
        f'<dd class="value">{measure.shown(first.values[measure.name])}</dd>{others}</dl></div>'
    )


def table(results: Sequence[Result], protocol: str) -> str:
    measures, files = results[0].measures, [result for result in results if result.path]
    top = "".join(f"<th>{text(m.label)} {m.arrow}<small>{text(m.goal.split(' is ')[0])}</small></th>" for m in measures)
    leaders = {m.name: best([result.values[m.name] for result in results], m) for m in measures}
    rows = "".join(_row(result, i, measures, leaders) for i, result in enumerate(results))
    if len(files) > 1 and protocol != "wald":
        overall = tables.summary(files)
        for name, values in (("Mean of the files", overall.mean), ("Standard deviation", overall.std)):
            cells = "".join(f"<td>{m.shown(values[m.name])}</td>" for m in measures)
            rows += f'<tr class="overall"><th scope="row">{name}</th>{cells}</tr>'
    terms = "".join(f"<div><dt>{text(m.label)}</dt><dd>{text(m.meaning)}</dd></div>" for m in measures)
    hqnr = f'<p class="note">{text(ON_HQNR)}</p>' if "HQNR" in results[0].values else ""
    return (
        '<section id="measures"><h2>Measures</h2><p class="lead">Below the image stand plain interpolation of MS (EXP) '
        "and classical fusion of the same scene; under each name stands its ideal value.</p>"
        f'<div class="wide"><table><thead><tr><th></th>{top}</tr></thead><tbody>{rows}</tbody></table></div>'
        f'{hqnr}<dl class="terms">{terms}</dl></section>'
    )


def _row(result: Result, number: int, measures: Sequence[Measure], leaders: dict) -> str:
    cells = "".join(
        f"<td{' class=best' if leaders[m.name] == number else ''}>{m.shown(result.values[m.name])}</td>"
        for m in measures
    )
    kind = "" if result.path else ' class="beside"'
    return f'<tr{kind}><th scope="row">{text(result.name)}</th>{cells}</tr>'


# --- what to know ----------------------------------------------------------------------------------------------------


def warnings(study: Study, results: Sequence[Result], asked: AssessOptions, exhibits: Exhibits) -> str:
    told = [*study.warnings, *saturation(exhibits), *tables.missing(results)]
    sample = sample_of(study, asked)
    if not sample.whole:
        told.append(f"The scene is large: {sample} are measured")
    remarks = [one for one in told if _is_remark(one)]
    loud = [one for one in told if one not in remarks]
    listed = [
        f'<ul class="{kind}">{"".join(f"<li>{text(_sentence(str(one)))}</li>" for one in said)}</ul>' if said else ""
        for kind, said in (("warnings", loud), ("remarks", remarks))
    ]
    return "".join(listed)


def _is_remark(message) -> bool:
    """Returns whether a message reports that nothing is wrong: a small shift, or one that was corrected."""
    return getattr(message, "kind", "").startswith(("shift_small", "shift_corrected"))


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")


def saturation(exhibits: Exhibits) -> list[str]:
    """Bands of which many pixels have the greatest value there is, and more than have any value near it."""
    named = [("PAN", exhibits.histograms["PAN"][0])]
    named += [(f"the {band} band of MS", of) for band, of in zip(exhibits.bands, exhibits.histograms["MS"])]
    return [
        f"{share:.2%} of {which} is at its greatest value, {of.value(len(of.keys) - 1):g}: probably saturated"
        for which, of in named
        for share in [of.counts[-1] / of.counts.sum() if len(of.counts) > MANY else 0]
        if share > FULL and of.counts[-1] > MANY * max(of.counts[-MANY:-1].mean(), 1)
    ]


def facts(study: Study, asked: AssessOptions, exhibits: Exhibits, protocol: str) -> str:
    rows = facts_of(study, asked, protocol)
    listed = "".join(f"<dt>{text(key)}</dt><dd>{text(str(value))}</dd>" for key, value in rows)
    return (
        f'<section id="inputs"><h2>Inputs and provenance</h2><div class="scene"><dl class="facts">{listed}</dl>'
        f"{overview(exhibits, study.scene.window)}</div></section>"
    )


def overview(exhibits: Exhibits, window) -> str:
    """The first image, with the places of the crops."""
    marks, size = "", window.width / 26
    for number, crop in enumerate(exhibits.crops, 1):
        x, y, side = crop.window.col - window.col, crop.window.row - window.row, crop.window.width
        marks += f'<rect x="{x}" y="{y}" width="{side}" height="{side}"/>'
        marks += f'<text x="{x + size / 2:.1f}" y="{y + 1.2 * size:.1f}" font-size="{size:.1f}">{number}</text>'
    return (
        f'<figure><div class="overview"><img alt="The whole image" src="{data_uri(png(exhibits.overview))}">'
        f'<svg viewBox="0 0 {window.width} {window.height}">{marks}</svg></div>'
        f"<figcaption>{text(exhibits.shown[0].name)}; numbers mark the crops</figcaption></figure>"
    )


# --- pictures --------------------------------------------------------------------------------------------------------


def crops(exhibits: Exhibits, study: Study) -> str:
    if not exhibits.crops:
        return ""
    names, side = list(exhibits.crops[0].pictures), exhibits.crops[0].window.width
    after, zoom = exhibits.shown[0].name, zoom_of(side)
    before = exhibits.shown[1].name if len(study.files) > 1 else "EXP" if "EXP" in names else "MS"
    chosen = (
        _choice("before", "Left", names, before)
        + _choice("after", "Right", names, after)
        + _choice("zoom", "Size", [str(n) for n in sorted({1, zoom, 2 * zoom})], str(zoom), ":1")
    )
    figures = "".join(_crop(number, crop, before, after) for number, crop in enumerate(exhibits.crops, 1))
    return (
        '<section id="crops"><h2>Where the images differ most</h2><p class="lead">All pictures are stretched alike. '
        '<span class="hint">Drag the line, touch, or use the arrow keys.</span></p>'
        f'<form class="choices">{chosen}</form><div class="crops" style="--side:{side}">{figures}</div></section>'
    )


def zoom_of(side: int) -> int:
    """How large a pixel is shown at first: as it is, but crops of a small scene as large as others."""
    return max(round(CROP / side), 1)


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
    slider = f'<input type="range" value="50" aria-label="Crop {number}: how much of the left image is seen">'
    return (
        f'<figure class="crop"><div class="stage">{images}<b>{number}</b>{slider}</div>'
        f"<figcaption>row {window.row}, column {window.col}</figcaption></figure>"
    )


def maps(exhibits: Exhibits) -> str:
    parts = ""
    for name, by_image in exhibits.maps.items():
        (title, meaning), most = MAPS[name], scale(exhibits, name)
        figures = "".join(_map(of, field, most) for of, field in by_image.items())
        parts += (
            f'<h3>{text(title)}</h3><p class="lead">{text(meaning)}.</p><div class="maps">{figures}</div>'
            f'<p class="scale">0<i></i>{most:.3g} or more</p>'
        )
    return f'<section id="maps"><h2>Maps of what is wrong</h2><p class="lead">Dark is good.</p>{parts}</section>'


def _map(of: str, field: np.ndarray, most: float) -> str:
    picture = f'<img alt="{text(of)}" src="{data_uri(heat(field, most))}">'
    return f"<figure>{picture}<figcaption>{text(of)}</figcaption></figure>"


def scale(exhibits: Exhibits, name: str) -> float:
    """Where a map's colours end: what hardly a cell of the first image exceeds, so that its own faults are seen."""
    first = exhibits.maps[name][exhibits.shown[0].name]
    known = first[np.isfinite(first)]
    return float(f"{max(np.quantile(known, 0.98), 1e-6):.2g}") if known.size else 1.0


def histograms(exhibits: Exhibits) -> str:
    of = exhibits.shown[0].name
    figures = "".join(
        f"<figure><h3>{text(band)}</h3>{charts.histograms(f'Histogram of {band}', *pair)}</figure>"
        for band, *pair in zip(exhibits.bands, exhibits.histograms["MS"], exhibits.histograms[of])
    )
    key = f'<ul class="key"><li><i class="area"></i>MS</li><li><i class="fused"></i>{text(of)}</li></ul>'
    return (
        '<section id="histograms"><h2>Histograms</h2><p class="lead">Counts of each band before and after. A good '
        "image keeps their shape; it may spread a little, as it shows more.</p>"
        f'{key}<div class="small">{figures}</div></section>'
    )


def spectra(exhibits: Exhibits, study: Study) -> str:
    first, kinds = exhibits.shown[0].name, {"MS": "ms", "PAN": "pan", exhibits.shown[0].name: "fused", "EXP": "beside"}
    series = [charts.Series(n, kind, *exhibits.spectra[n].curve) for n, kind in kinds.items() if n in exhibits.spectra]
    series = [_to_level(one, series[0]) if one.kind == "pan" else one for one in series]
    drawing = charts.spectra(series, 0.5 / study.scene.placement.ratio)
    if not drawing:
        return ""
    key = "".join(f'<li><i class="{one.kind}"></i>{text(one.name)}</li>' for one in series)
    return (
        '<section id="spectra"><h2>Power spectra</h2><p class="lead">How much there is to see at each fineness, from '
        f"coarse (left) to fine (right), mean of the bands. Where MS ends, {text(first)} should follow PAN, which "
        f'is brought to the level of MS here; interpolation falls off.</p><ul class="key">{key}</ul>{drawing}</section>'
    )


def _to_level(pan: charts.Series, ms: charts.Series) -> charts.Series:
    """PAN with as much power as MS where both see all."""
    n = min(max(len(ms.y) // 2, 1), len(pan.y))
    if not n or not len(ms.y):
        return pan
    return charts.Series(pan.name, pan.kind, pan.x, pan.y * np.exp(np.mean(np.log(ms.y[:n]) - np.log(pan.y[:n]))))


def correlation(exhibits: Exhibits) -> str:
    if len(exhibits.bands) < 2:
        return ""
    first = exhibits.shown[0].name
    one, other = (correlations(exhibits.moments[name].co) for name in ("MS", first))
    apart = np.abs(other - one).max()
    drawn = "".join(
        f"<figure><h3>{text(name)}</h3>{_matrix(values, exhibits.bands)}</figure>"
        for name, values in (("MS", one), (first, other))
    )
    return (
        '<section id="correlation"><h2>Correlation of the bands</h2><p class="lead">How alike the bands are to each '
        f'other. The greatest difference is {apart:.3f}.</p><div class="matrices">{drawn}</div></section>'
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
