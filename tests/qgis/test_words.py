"""SSDiff speaks the language of QGIS, and says in English what it has no other words for."""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LANGUAGES = sorted(file.stem for file in (ROOT / "resources" / "i18n").glob("*.json"))
NAMED = ("LABEL", "ABOUT")
"class attributes that are translated when they are shown"


def said() -> set[str]:
    """Every text that the plugin hands to tr."""
    found = set()
    for file in (ROOT / "ssdiff_qgis").glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "tr":
                found |= {node.args[0].value} if isinstance(node.args[0], ast.Constant) else set()
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], (ast.Name, ast.Tuple)):
                found |= set(_attributes(node))
    return found


def _attributes(node: ast.Assign):
    target, value = node.targets[0], node.value
    pairs = zip(target.elts, value.elts) if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) else ()
    for name, text in pairs or [(target, value)]:
        if getattr(name, "id", "") in NAMED and isinstance(text, ast.Constant) and text.value:
            yield text.value


def test_the_languages_are_there():
    assert set(LANGUAGES) == {"de", "es", "fr", "zh"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_words_for_all_that_is_said_and_for_nothing_else(language):
    known = json.loads((ROOT / "resources" / "i18n" / f"{language}.json").read_text(encoding="utf-8"))
    assert sorted(set(known) ^ said()) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_filled_in_stays_where_it_belongs(language):
    known = json.loads((ROOT / "resources" / "i18n" / f"{language}.json").read_text(encoding="utf-8"))
    holes = {
        text: (sorted(re.findall(r"{.*?}", text)), sorted(re.findall(r"{.*?}", told))) for text, told in known.items()
    }
    assert {text: found for text, found in holes.items() if found[0] != found[1]} == {}


def test_qgis_in_german_shows_german_labels_and_its_own_words(in_qgis):
    code = """
from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QCoreApplication
QgsSettings().setValue("locale/userLocale", "de_AT")
QgsSettings().setValue("locale/overrideFlag", True)
import ssdiff
plugin = ssdiff.classFactory(None)
plugin.initProcessing()
find = QgsApplication.processingRegistry().algorithmById
answer = [find("ssdiff:diagnostics").displayName(), QCoreApplication.translate("Others", "Their words")]
plugin.unload()
plugin = ssdiff.classFactory(None)
QgsSettings().remove("locale/userLocale")
QgsSettings().remove("locale/overrideFlag")
answer.append(QCoreApplication.translate("SSDiff", "What nobody has said"))
"""
    german, others, unknown = in_qgis(code)
    known = json.loads((ROOT / "resources" / "i18n" / "de.json").read_text(encoding="utf-8"))
    assert german == known["Diagnostics"] != "Diagnostics"
    assert (others, unknown) == ("Their words", "What nobody has said")
