"""What SSDiff says, in the language of QGIS: translations lie as plain text in resources/i18n, one file for each."""

from __future__ import annotations

import json
from pathlib import Path

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QCoreApplication, QLocale, QTranslator

CONTEXT = "SSDiff"
FOLDER = Path(__file__).parents[1] / "resources" / "i18n"


def tr(text: str) -> str:
    return QCoreApplication.translate(CONTEXT, text)


class Words(QTranslator):
    """The sentences of one language."""

    def __init__(self, file: Path):
        super().__init__()
        self._known = json.loads(file.read_text(encoding="utf-8"))

    def isEmpty(self):
        return False

    def translate(self, context, text, disambiguation=None, number=-1):
        """None says that others are to be asked; an empty text would be shown."""
        return self._known.get(text) if context == CONTEXT else None


def language() -> str:
    """Of QGIS: what its options say, else the system's."""
    settings = QgsSettings()
    chosen = settings.value("locale/userLocale", "", str)
    return chosen if chosen and settings.value("locale/overrideFlag", False, bool) else QLocale().name()


def installed() -> Words | None:
    """Makes all that is said from here on come in QGIS's language, if we know it."""
    name = language()
    for file in (FOLDER / f"{name}.json", FOLDER / f"{name.split('_')[0]}.json"):
        if file.exists():
            words = Words(file)
            QCoreApplication.installTranslator(words)
            return words
    return None
