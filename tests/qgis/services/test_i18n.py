"""SSDiff speaks the language of QGIS, and says in English what it has no other words for."""

import ast
import json
import re
from pathlib import Path

import pytest

from ssdiff_core.domain import measures

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "resources" / "i18n"
LANGUAGES = sorted(file.stem for file in FOLDER.glob("*.json"))
NAMED = ("LABEL", "ABOUT")
"class attributes that are translated when they are shown"
KEPT = re.compile(r'{.*?}|<a href=".*?">|</a>|\*\.html|SSDIFF_\w+')
"what stands in a sentence for a machine: what is filled in, in this order, and links"


def syntax():
    for file in sorted((ROOT / "ssdiff_qgis").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            yield file.name, node


def handed():
    """What the plugin hands to tr, as syntax, by file; also to a tr of Qt, which would not ask our words."""
    for name, node in syntax():
        if isinstance(node, ast.Call) and "tr" in (getattr(node.func, "id", ""), getattr(node.func, "attr", "")):
            yield name, node.args[0] if isinstance(node.func, ast.Name) else node


def said() -> set[str]:
    """Every text that is handed to tr: as it stands there, of an attribute of a class, or of a measure."""
    found = {node.value for _, node in handed() if isinstance(node, ast.Constant)}
    for _, node in syntax():
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], (ast.Name, ast.Tuple)):
            found |= set(_attributes(node))
    return found | {measure.meaning for measure in measures.ALL.values()}


def known(language: str) -> dict[str, str]:
    return json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))


def _attributes(node: ast.Assign):
    target, value = node.targets[0], node.value
    pairs = zip(target.elts, value.elts) if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) else ()
    for name, text in pairs or [(target, value)]:
        if getattr(name, "id", "") in NAMED and isinstance(text, ast.Constant) and text.value:
            yield text.value


def test_all_that_is_handed_over_can_be_found():
    attributes = (*NAMED, "meaning")
    hidden = [
        (name, ast.unparse(node))
        for name, node in handed()
        if not isinstance(node, ast.Constant) and getattr(node, "attr", "") not in attributes
    ]
    assert hidden == []


def test_the_languages_are_there():
    assert set(LANGUAGES) == {"de", "es", "fr", "zh"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_words_for_all_that_is_said_and_for_nothing_else(language):
    assert sorted(set(known(language)) ^ said()) == []
    assert [text for text, told in known(language).items() if not told.strip()] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_filled_in_stays_in_its_order_and_links_lead_where_they_led(language):
    kept = {text: (KEPT.findall(text), KEPT.findall(told)) for text, told in known(language).items()}
    assert {text: found for text, found in kept.items() if found[0] != found[1]} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_algorithm_is_called_in_a_sentence_what_it_is_called_in_the_list(language):
    words = known(language)
    assert [
        text for text, told in words.items() if "Install runtime" in text and words["Install runtime"] not in told
    ] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_file_is_written_so_that_changes_can_be_read(language):
    written = json.dumps(known(language), ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    assert (FOLDER / f"{language}.json").read_text(encoding="utf-8") == written


def test_regions_take_their_language_and_traditional_chinese_does_not_take_simplified(in_qgis):
    words = {"de": "de", "de_AT": "de", "fr_CA": "fr", "es_MX": "es", "zh_CN": "zh", "zh-Hans": "zh", "zh_SG": "zh"}
    none = ["zh-Hant", "zh_TW", "zh_HK", "pt_BR", "en_US", "xx"]
    code = f"""
from ssdiff.ssdiff_qgis.services.i18n import file_of
answer = [file_of(name) and file_of(name).stem for name in {[*words, *none]}]
"""
    assert in_qgis(code) == [*words.values(), *[None] * len(none)]


SPOKEN = {"de_AT": "de", "fr": "fr", "es_MX": "es", "zh-Hans": "zh", "zh-Hant": None, "pt_BR": None}
"the languages that QGIS is set to, one after the other, and which words are to be heard"


def test_a_dialog_speaks_the_language_of_qgis(in_qgis):
    code = f"""
from qgis.core import QgsSettings
import ssdiff
answer = {{}}
for language in {list(SPOKEN)}:
    QgsSettings().setValue("locale/userLocale", language)
    QgsSettings().setValue("locale/overrideFlag", True)
    plugin = ssdiff.classFactory(None)
    plugin.initProcessing()
    fuse = QgsApplication.processingRegistry().algorithmById("ssdiff:pansharpen")
    mask = fuse.parameterDefinition("MASK")
    answer[language] = [fuse.displayName(), mask.description(), mask.help(), fuse.shortDescription()]
    plugin.unload()
for name in ("userLocale", "overrideFlag"):
    QgsSettings().remove(f"locale/{{name}}")
"""
    english = ["Pansharpen (SSDiff)", "Mask", "Polygons outside of which nothing is fused."]
    (about,) = (text for text in said() if text.startswith("Makes one sharp image with true colours"))
    for language, (*labels, first) in in_qgis(code).items():
        words = known(SPOKEN[language]) if SPOKEN[language] else {}
        assert labels == [words.get(text, text) for text in english]
        assert re.match(r"[^.。]+$", first)
        assert words.get(about, about).startswith(first)
