"""What SSDiff says, in the language of QGIS: translations lie as plain text in resources/i18n, one file for each.

There is no QTranslator: all of QGIS, with its threads, would ask Python for every word of its own. Whoever changes a
text is told by tests/qgis/test_words.py which translations are missing and which nobody needs any more.
"""

from __future__ import annotations

import json
from pathlib import Path

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QLocale

FOLDER = Path(__file__).parents[2] / "resources" / "i18n"
TRADITIONAL = QLocale.Script.TraditionalHanScript

_known: dict[str, str] = {}


def tr(text: str) -> str:
    """In English what the language has no other words for."""
    return _known.get(text, text)


def learn() -> None:
    """Makes all that is said from here on come in QGIS's language, if we know it."""
    _known.clear()
    file = file_of(language())
    if file:
        _known.update(json.loads(file.read_text(encoding="utf-8")))


def language() -> str:
    """Of QGIS: what its options say, else the system's."""
    settings = QgsSettings()
    chosen = settings.value("locale/userLocale", "", str)
    return chosen if chosen and settings.value("locale/overrideFlag", False, bool) else QLocale().name()


def file_of(name: str) -> Path | None:
    """The translation for a language as QGIS names it, such as de, de_AT or zh-Hans.

    Who reads traditional Chinese is given English, rather than simplified signs between QGIS's traditional ones.
    """
    locale = QLocale(name)
    region = locale.name()
    names = (region,) if locale.script() == TRADITIONAL else (region, region.split("_")[0])
    files = (FOLDER / f"{each}.json" for each in names)
    return next((file for file in files if file.exists()), None)
