"""Names, ideal values and meanings of the quality measures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """A quality measure."""

    name: str
    "key in JSON and CSV"
    label: str
    "name in reports"
    ideal: float
    "value of a perfect image"
    decimals: int
    "number of decimals in tables"
    meaning: str
    "one line of explanation, which the plugin translates"
    unit: str = ""

    @property
    def higher_is_better(self) -> bool:
        return self.ideal > 0

    @property
    def arrow(self) -> str:
        """The direction of improvement."""
        return "↑" if self.higher_is_better else "↓"

    @property
    def direction(self) -> str:
        return "higher is better" if self.higher_is_better else "lower is better"

    @property
    def ideal_text(self) -> str:
        return self.formatted(self.ideal, decimals=0)

    def formatted(self, value: float | None, decimals: int | None = None) -> str:
        """Returns the value as text, a dash for NaN and for None, which stands for NaN and infinity in JSON."""
        if value is None or value != value:
            return "–"
        return "∞" if value == float("inf") else f"{value:.{self.decimals if decimals is None else decimals}f}"


WITH_REFERENCE = (
    Measure(
        "SAM", "SAM", 0, 3, "mean angle between the spectra of the image and of the reference, in degrees", "degrees"
    ),
    Measure(
        "ERGAS",
        "ERGAS",
        0,
        3,
        "root mean square error relative to the mean of each band, in percent, divided by the ratio",
    ),
    Measure("Q2n", "Q2ⁿ", 1, 4, "similarity of mean, contrast and spectrum in blocks of 32 × 32 pixels"),
    Measure("SCC", "SCC", 1, 4, "correlation of the edges of the image and of the reference"),
    Measure("PSNR", "PSNR", float("inf"), 2, "ratio of the peak value to the error, in decibels", "dB"),
    Measure("UQI", "UQI", 1, 4, "similarity of each band in windows of 32 × 32 pixels, mean of the bands"),
)
WITHOUT_REFERENCE = (
    Measure(
        "D_lambda_K", "Dλ,K", 0, 4, "difference between MS and the image at the resolution of MS (spectral distortion)"
    ),
    Measure("D_s", "Dₛ", 0, 4, "change of the correlation between bands and PAN (spatial distortion)"),
    Measure(
        "HQNR", "HQNR", 1, 4, "(1 − Dλ,K)(1 − Dₛ): spectral and spatial quality combined; favours plain interpolation"
    ),
    Measure("D_lambda", "Dλ", 0, 4, "change of the correlation between the bands (spectral distortion)"),
    Measure("QNR", "QNR", 1, 4, "(1 − Dλ)(1 − Dₛ), the predecessor of HQNR"),
    Measure("D_rho", "Dρ", 0, 4, "1 minus the local correlation with PAN (missing spatial detail)"),
    Measure("R-SAM", "R-SAM", 0, 3, "SAM between MS and the image at the resolution of MS", "degrees"),
    Measure("R-ERGAS", "R-ERGAS", 0, 3, "ERGAS between MS and the image at the resolution of MS"),
    Measure("R-Q2n", "R-Q2ⁿ", 1, 4, "Q2ⁿ between MS and the image at the resolution of MS"),
)
ALL = {measure.name: measure for measure in (*WITH_REFERENCE, *WITHOUT_REFERENCE)}
ON_HQNR = (
    "HQNR rewards interpolation: an image without any spatial detail of PAN can reach the highest value. Dρ measures "
    "this detail; a good image does well in both."
)


def of(values: dict) -> list[Measure]:
    """Returns the measures among the keys of values, in their usual order."""
    return [measure for name, measure in ALL.items() if name in values]


def best(values: list[float], measure: Measure) -> int | None:
    """Returns the index of the best value; None if all are NaN."""
    known = [(value if measure.higher_is_better else -value, i) for i, value in enumerate(values) if value == value]
    return max(known, key=lambda pair: pair[0])[1] if known else None
