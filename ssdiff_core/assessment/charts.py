"""Charts as inline SVG, coloured by the CSS classes of the page."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..classical.scene_sums import Histogram

BINS = 64
"bins of a histogram"


@dataclass(frozen=True)
class Series:
    """A line of a chart."""

    name: str
    kind: str
    "CSS class: pan, ms, fused or baseline"
    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class Frame:
    """The mapping of values to positions in an SVG; margins in pixels."""

    width: int
    height: int
    x: tuple[float, float]
    y: tuple[float, float]
    left: int = 8
    right: int = 8
    top: int = 8
    bottom: int = 26

    def at(self, x, y) -> tuple[np.ndarray, np.ndarray]:
        across = (np.asarray(x, float) - self.x[0]) / (self.x[1] - self.x[0] or 1)
        up = (np.asarray(y, float) - self.y[0]) / (self.y[1] - self.y[0] or 1)
        wide, high = self.width - self.left - self.right, self.height - self.top - self.bottom
        return self.left + across * wide, self.top + (1 - up) * high

    def path(self, x, y, closed: bool = False) -> str:
        points = " L".join(f"{a:.1f} {b:.1f}" for a, b in zip(*self.at(x, y)))
        return f"M{points}{' Z' if closed else ''}"


def svg(frame: Frame, title: str, body: str) -> str:
    name = html.escape(title, quote=True)
    return (
        f'<svg viewBox="0 0 {frame.width} {frame.height}" role="img" aria-label="{name}"><title>{name}</title>'
        f"{body}</svg>"
    )


def histograms(title: str, before: Histogram, after: Histogram, width: int = 300, height: int = 150) -> str:
    """Returns the histograms of a band in MS (an area) and in the fused image (a line)."""
    low, high = before.quantile(0.001), before.quantile(0.999)
    room = (high - low) * 0.06 or 1.0
    edges = np.linspace(low - room, high + room, BINS + 1)
    one, other = (shares(histogram, edges) for histogram in (before, after))
    frame = Frame(width, height, (edges[0], edges[-1]), (0, max(one.max(), other.max()) * 1.05))
    middle = (edges[1:] + edges[:-1]) / 2
    area = frame.path([middle[0], *middle, middle[-1]], [0, *one, 0], closed=True)
    lines = f'<path class="area ms" d="{area}"/><path class="line fused" d="{frame.path(middle, other)}"/>'
    return svg(frame, title, _axis(frame, _ticks(*frame.x, 4), "{:g}") + lines)


def shares(histogram: Histogram, edges: np.ndarray) -> np.ndarray:
    """Returns the share of values between successive edges, smoothed because integers fall unevenly into bins."""
    values = np.array([histogram.value(i) for i in range(len(histogram.keys))])
    found, _ = np.histogram(values, edges, weights=histogram.counts)
    around = np.convolve(np.pad(found, 1, mode="edge"), (0.25, 0.5, 0.25), "valid")
    return around / max(histogram.counts.sum(), 1)


def spectra(series: Sequence[Series], nyquist: float, width: int = 1040, height: int = 400) -> str:
    """Returns power by frequency on a logarithmic scale. nyquist: of MS, in cycles per PAN pixel."""
    drawn = [one for one in series if len(one.x)]
    if not drawn:
        return ""
    low, high = (end([np.log10(end(one.y)) for one in drawn]) for end in (np.min, np.max))
    low = max(low, high - 8)
    frame = Frame(width, height, (0, 0.5), (low - 0.2, high + 0.2), left=44, bottom=44, right=16)
    x = float(frame.at(nyquist, low)[0])
    body = _axis(frame, [0, 0.1, 0.2, 0.3, 0.4, 0.5], "{:g}", "cycles per PAN pixel")
    for power in range(math.ceil(low), math.floor(high) + 1):
        y = float(frame.at(0, power)[1])
        body += f'<line class="grid" x1="{frame.left}" x2="{frame.width - frame.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        body += f'<text class="tick end" x="{frame.left - 8}" y="{y + 4:.1f}">10{_superscript(power)}</text>'
    body += f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{frame.top}" y2="{frame.height - frame.bottom}"/>'
    body += f'<text class="tick" x="{x + 6:.1f}" y="{frame.top + 12}">Nyquist frequency of MS</text>'
    for one in drawn:
        y = np.maximum(np.log10(one.y), low - 0.2)
        body += f'<path class="line {one.kind}" d="{frame.path(one.x, y)}"/>'
    return svg(frame, "Power spectra", body)


def _axis(frame: Frame, ticks: Sequence[float], form: str, label: str = "") -> str:
    base = frame.height - frame.bottom
    body = f'<line class="axis" x1="{frame.left}" x2="{frame.width - frame.right}" y1="{base}" y2="{base}"/>'
    for tick in ticks:
        x = float(frame.at(tick, frame.y[0])[0])
        body += f'<text class="tick mid" x="{x:.1f}" y="{base + 16}">{form.format(tick)}</text>'
    if label:
        middle = (frame.left + frame.width - frame.right) / 2
        body += f'<text class="tick mid" x="{middle:.1f}" y="{frame.height - 6}">{html.escape(label)}</text>'
    return body


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Returns about this many round numbers within a range."""
    step = 10 ** math.floor(math.log10((high - low) / about or 1))
    step *= min((m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= about), default=10)
    return [round(i * step, 10) for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _superscript(power: int) -> str:
    return "".join("⁻" if c == "-" else "⁰¹²³⁴⁵⁶⁷⁸⁹"[int(c)] for c in str(power))
