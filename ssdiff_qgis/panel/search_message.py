"""A search for deliveries in the background, with its progress and a Cancel button in QGIS's message bar."""

from __future__ import annotations

from collections.abc import Callable

from qgis.core import Qgis
from qgis.gui import QgsMessageBar, QgsMessageBarItem
from qgis.PyQt import sip
from qgis.PyQt.QtWidgets import QProgressBar, QPushButton

from ...ssdiff_core.common.notices import Notify
from ..services.i18n import tr
from ..services.tasks import SearchDeliveries

TITLE = "SSDiff"
"of messages"
BAR_WIDTH = 160
"of the progress bar, in pixels"


class Search:
    """Searches one place at a time; a new search ends the one before."""

    def __init__(self, message_bar: QgsMessageBar):
        self._message_bar = message_bar
        self._step: SearchDeliveries | None = None
        self._message: _Message | None = None

    def start(self, search: Callable[[Notify], object], then: Callable[[object], None]) -> None:
        """Searches, and passes what is found to `then`; an error becomes a warning in the message bar.

        search: see `SearchDeliveries`.
        """
        self.stop()

        def finished(step: SearchDeliveries) -> None:
            if step is not self._step:  # cancelled
                return
            self._close()
            if step.succeeded:
                then(step.found)
            else:
                self._message_bar.pushWarning(TITLE, step.error)

        self._step = SearchDeliveries(search, finished)
        self._message = _Message(self._step, self.stop)
        self._message_bar.pushWidget(self._message, Qgis.MessageLevel.Info)
        self._step.start()

    def stop(self) -> None:
        """Cancels the search and gives no result. The thread ends with its current access to a file."""
        step = self._step
        self._close()
        if step:
            step.cancel()

    def _close(self) -> None:
        message, self._step, self._message = self._message, None, None
        if message and not sip.isdeleted(message):  # QGIS deletes it if the user closes it; the search goes on then
            self._message_bar.popWidget(message)


class _Message(QgsMessageBarItem):
    """Shows what a search is doing, its progress and a button that cancels it."""

    def __init__(self, step: SearchDeliveries, cancel: Callable[[], None]):
        super().__init__(TITLE, f"{step.description()}…", Qgis.MessageLevel.Info)
        self.progress = QProgressBar(self)
        self.progress.setRange(0, 0)  # busy, until the number of deliveries is known
        self.progress.setFixedWidth(BAR_WIDTH)
        self.cancel = QPushButton(tr("Cancel"), self)
        self.cancel.clicked.connect(cancel)
        for widget in (self.progress, self.cancel):
            self.layout().addWidget(widget)
        step.stateChanged.connect(self._show_state)
        step.progressChanged.connect(self._show_progress)

    def _show_state(self, text: str) -> None:
        self.setText(text)

    def _show_progress(self, percent: float) -> None:
        self.progress.setRange(0, 100)
        self.progress.setValue(round(percent))
