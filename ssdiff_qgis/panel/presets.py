"""Choice of a preset, with the estimated time of each."""

from __future__ import annotations

from collections.abc import Mapping

from qgis.PyQt.QtWidgets import QComboBox, QWidget

from ...ssdiff_core.common.progress import rounded_duration
from ...ssdiff_core.domain.options import DEFAULT_PRESET, PRESET_OPTION, PRESETS
from ...ssdiff_core.workflows.estimate import Estimate
from ..services.i18n import tr
from .widgets import describe

CLASSICAL_PRESET = "classical"
"preset that needs no runtime"


class PresetBox(QComboBox):
    """Selects a preset of pansharpening the whole layer."""

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self._estimates: Mapping[str, Estimate] = {}
        for preset in PRESETS:
            self.addItem(preset, preset)
        self.select(DEFAULT_PRESET)
        describe(self, tr(PRESET_OPTION.label), tr(PRESET_OPTION.help))

    @property
    def value(self) -> str:
        """The selected preset."""
        return self.currentData()

    @property
    def estimate(self) -> Estimate | None:
        """The estimate for the selected preset, if it is known."""
        return self._estimates.get(self.value)

    def select(self, preset: str) -> None:
        self.setCurrentIndex(self.findData(preset))

    def show_estimates(self, estimates: Mapping[str, Estimate]) -> None:
        """Shows the times of the presets; those that are not given are unknown."""
        self._estimates = estimates
        for index, preset in enumerate(PRESETS):
            found = estimates.get(preset)
            self.setItemText(index, f"{preset} ({rounded_duration(found.seconds)})" if found else preset)
