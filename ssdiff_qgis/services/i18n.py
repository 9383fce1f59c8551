"""Translations of the plugin: one JSON file for each language in resources/i18n, keyed by the English text.

QTranslator is not used because QGIS would then call Python for every text of its own, from all threads.
tests/qgis/services/test_i18n.py reports missing and unused translations.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from qgis.core import QgsProcessingFeedback, QgsSettings
from qgis.PyQt.QtCore import QLocale

from ...ssdiff_core.common.failures import failure_of
from ...ssdiff_core.common.notices import Notice, Notify

FOLDER = Path(__file__).parents[2] / "resources" / "i18n"
TRADITIONAL = QLocale.Script.TraditionalHanScript

STATES = ("worker_busy", "install_progress")
"kinds of notices that tell what a run is doing now: also shown beside its progress"

_translations: dict[str, str] = {}


def tr(text: str) -> str:
    """Returns the translation of an English text, or the text itself if there is none."""
    return _translations.get(text, text)


def tr_notice(notice: Notice) -> str:
    """Returns the text of a notice from the core in QGIS's language."""
    return notice.worded(tr)


def tr_error(error: Exception, files: Iterable[object] = ()) -> str:
    """Returns the message of an exception in QGIS's language. files: see `failure_of`."""
    return failure_of(error, files).worded(tr)


def log_notices(feedback: QgsProcessingFeedback) -> Notify:
    """Returns a callback that writes the notices it receives to the log of a Processing algorithm.

    A feedback with a list `notices` collects them too, and one with `show_state` shows what the run waits for.
    """
    show_state = getattr(feedback, "show_state", feedback.setProgressText)

    def show(notice: Notice) -> None:
        text = tr_notice(notice)
        getattr(feedback, "notices", []).append(notice)
        show_state(text) if notice.kind in STATES else feedback.pushInfo(text)

    return show


def load_translations() -> None:
    """Loads the translations for QGIS's language; without a file for it, the plugin is in English."""
    _translations.clear()
    file = translation_file(language())
    if file:
        _translations.update(json.loads(file.read_text(encoding="utf-8")))


def language() -> str:
    """Returns the locale of QGIS: the one chosen in its options, otherwise that of the system."""
    settings = QgsSettings()
    chosen = settings.value("locale/userLocale", "", str)
    return chosen if chosen and settings.value("locale/overrideFlag", False, bool) else QLocale().name()


def translation_file(name: str) -> Path | None:
    """Returns the translation file for a locale such as de, de_AT or zh-Hans, or None.

    Traditional Chinese gets English, because simplified characters would be mixed with QGIS's traditional ones.
    """
    locale = QLocale(name)
    region = locale.name()
    names = (region,) if locale.script() == TRADITIONAL else (region, region.split("_")[0])
    files = (FOLDER / f"{each}.json" for each in names)
    return next((file for file in files if file.exists()), None)
