"""What each measure is called, which way is better, and what it says in plain words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    name: str
    label: str
    ideal: float
    decimals: int
    meaning: str
    unit: str = ""

    @property
    def rises(self) -> bool:
        """Whether more is better."""
        return self.ideal > 0

    @property
    def arrow(self) -> str:
        return "↑" if self.rises else "↓"

    @property
    def goal(self) -> str:
        """What is good, in two words."""
        if self.ideal == float("inf"):
            return "higher is better"
        return f"{self.ideal:g} is ideal"

    def shown(self, value: float | None) -> str:
        """None: no number, or infinity, as JSON has neither."""
        if value is None or value != value:
            return "–"
        return "∞" if value == float("inf") else f"{value:.{self.decimals}f}"


WITH_REFERENCE = (
    Measure("SAM", "SAM", 0, 3, "angle between the spectra of a pixel and of the reference, in degrees", "degrees"),
    Measure("ERGAS", "ERGAS", 0, 3, "error relative to the brightness of each band, in percent over the ratio"),
    Measure("Q2n", "Q2ⁿ", 1, 4, "likeness of level, contrast and spectrum in squares of 32 pixels"),
    Measure("SCC", "SCC", 1, 4, "likeness of the edges"),
    Measure("PSNR", "PSNR", float("inf"), 2, "peak over error, in decibels", "dB"),
    Measure("UQI", "UQI", 1, 4, "likeness of each band by itself"),
)
WITHOUT_REFERENCE = (
    Measure("D_lambda_K", "Dλ,K", 0, 4, "what the MS sensor would see differently from MS: the loss of spectrum"),
    Measure(
        "D_s", "Dₛ", 0, 4, "how far the bands' likeness to PAN has moved from what it is in MS: the loss of detail"
    ),
    Measure("HQNR", "HQNR", 1, 4, "both in one: (1 − Dλ,K)(1 − Dₛ); kind to images that only interpolate"),
    Measure("D_lambda", "Dλ", 0, 4, "how far the bands' likeness to each other has moved from what it is in MS"),
    Measure("QNR", "QNR", 1, 4, "(1 − Dλ)(1 − Dₛ), the older form of HQNR"),
    Measure("D_rho", "Dρ", 0, 4, "one less the local correlation with PAN: detail that is not there"),
    Measure("R-SAM", "R-SAM", 0, 3, "SAM of the image, seen once more by the MS sensor, and MS", "degrees"),
    Measure("R-ERGAS", "R-ERGAS", 0, 3, "ERGAS of the same two"),
    Measure("R-Q2n", "R-Q2ⁿ", 1, 4, "Q2ⁿ of the same two"),
)
ALL = {measure.name: measure for measure in (*WITH_REFERENCE, *WITHOUT_REFERENCE)}
ON_HQNR = (
    "HQNR rewards interpolation: an image without any detail of PAN may score best. Dρ, which asks for that detail, "
    "stands beside it; a good image does well in both."
)


def of(values: dict) -> list[Measure]:
    """The measures among the values that a measuring class answers, in their usual order."""
    return [measure for name, measure in ALL.items() if name in values]


def best(values: list[float], measure: Measure) -> int | None:
    """Which value comes nearest to the ideal; None where none is known."""
    known = [(value if measure.rises else -value, i) for i, value in enumerate(values) if value == value]
    return max(known, key=lambda pair: pair[0])[1] if known else None
