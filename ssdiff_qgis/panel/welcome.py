"""First page of the panel: what to do in three steps, and a sample scene to try it with."""

from __future__ import annotations

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from ..services.i18n import tr
from .widgets import describe


class Welcome(QWidget):
    """Shown while the project has no layers to fuse."""

    sampleRequested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        steps = (
            tr("Add a panchromatic and a multispectral layer of the same area. The panel selects them."),
            tr("<b>Preview</b> shows the result for the visible part of the map, next to its input layers."),
            tr("<b>Pansharpen whole layer…</b> writes the result for the whole scene into a GeoTIFF."),
        )
        text = QLabel(f"<ol>{''.join(f'<li>{step}</li>' for step in steps)}</ol>", self)
        text.setWordWrap(True)
        self.sample = QPushButton(tr("Load sample data"), self)
        describe(self.sample, tr("Load sample data"), tr("Adds a small scene to the project, to try SSDiff with"))
        self.sample.clicked.connect(self.sampleRequested)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(text)
        layout.addWidget(self.sample)
        layout.addStretch(1)
