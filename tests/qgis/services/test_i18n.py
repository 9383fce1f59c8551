"""The plugin is shown in QGIS's language, and in English where there is no translation."""

import ast
import json
import re
from pathlib import Path

import pytest

from ssdiff_core.common import errors
from ssdiff_core.common.notices import TEMPLATES
from ssdiff_core.domain import measures
from ssdiff_core.domain.options import PRESET_OPTION, AdaptOptions, AssessOptions, PansharpenOptions, options_of

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "resources" / "i18n"
LANGUAGES = sorted(file.stem for file in FOLDER.glob("*.json"))
TRANSLATED_ATTRIBUTES = ("LABEL", "ABOUT")
"class attributes of the algorithms that are translated when they are shown"
VARIABLES = ("LABEL", "ABOUT", "label", "help", "meaning")
"attributes that are passed to tr, whose values are collected below"
PLACEHOLDER = re.compile(r'{.*?}|<a href=".*?">|</a>|\*\.html|SSDIFF_\w+')
"parts of a text that a translation must keep: fields of format strings, links, names"


COMMAND_LINE = ("archive/", "cli/", "inprocess/", "training/tensorboard.py")
"packages and modules that QGIS does not use"
NOT_IN_QGIS = ("no_tensorboard", "training_resumed", "scene_simulated", "lms_differs", "bench_")
"beginnings of the kinds of notices that only the command line shows"
TOLD_IN_ENGLISH = (
    "assessment/tables.py",  # --baseline
    "classical/",
    "fusion/",  # options within the limits of their parameters do not raise these
    "metrics/conventions.py",
    "model/",  # what a weights file contains is checked when its card is read
    "raster/hdf5_writer.py",
    "raster/image_sets.py",
    "training/",
    "weights/model_config.py",  # reasons of `weights_file_invalid` and `header_invalid`
    "worker/server/",
    "workflows/assess.py",  # folders without images
)
"files whose other errors only programmers, or users of the command line, meet"


def nodes():
    for file in sorted((ROOT / "ssdiff_qgis").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            yield file.name, node


def arguments():
    """Yields the arguments of all calls of tr by file; for a method tr (Qt's own), which is not allowed, the call."""
    for name, node in nodes():
        if isinstance(node, ast.Call) and "tr" in (getattr(node.func, "id", ""), getattr(node.func, "attr", "")):
            yield name, node.args[0] if isinstance(node.func, ast.Name) else node


def texts() -> set[str]:
    """Returns all texts that need a translation."""
    found = {node.value for _, node in arguments() if isinstance(node, ast.Constant)}
    for _, node in nodes():
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], (ast.Name, ast.Tuple)):
            found |= set(_attributes(node))
    return found | option_texts() | {measure.meaning for measure in measures.ALL.values()}


def option_texts() -> set[str]:
    """Returns labels and help texts of the options that QGIS offers."""
    options = [
        option for kind in (AdaptOptions, AssessOptions, PansharpenOptions) for option in options_of(kind).values()
    ]
    return {text for option in (*options, PRESET_OPTION) if option.label for text in (option.label, option.help)}


def translations(language: str) -> dict[str, str]:
    return json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))


def _attributes(node: ast.Assign):
    target, value = node.targets[0], node.value
    pairs = zip(target.elts, value.elts) if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) else ()
    for name, text in pairs or [(target, value)]:
        if getattr(name, "id", "") in TRANSLATED_ATTRIBUTES and isinstance(text, ast.Constant) and text.value:
            yield text.value


def test_every_text_passed_to_tr_is_collected():
    hidden = [
        (name, ast.unparse(node))
        for name, node in arguments()
        if not isinstance(node, ast.Constant) and getattr(node, "attr", "") not in VARIABLES
    ]
    assert hidden == []


def test_the_languages_are_there():
    assert set(LANGUAGES) == {"de", "es", "fr", "zh"}


def notices() -> set[str]:
    """Returns the texts of the notices that QGIS may show, except those that consist of values alone."""
    shown = {text for kind, text in TEMPLATES.items() if not kind.startswith(NOT_IN_QGIS)}
    return {text for text in shown if re.search(r"[a-z]", re.sub(r"{.*?}", "", text))}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_a_translation_of_every_text_and_notice_and_no_other(language):
    known = translations(language)
    assert sorted((texts() | notices()) - set(known)) == []
    assert sorted(set(known) - texts() - set(TEMPLATES.values())) == []
    assert [text for text, translation in known.items() if not translation.strip()] == []


def calls_for_qgis():
    """Yields the calls in the modules of ssdiff_core that QGIS uses, with the path of the file."""
    for file in sorted((ROOT / "ssdiff_core").rglob("*.py")):
        path = file.relative_to(ROOT / "ssdiff_core").as_posix()
        if not path.startswith(COMMAND_LINE):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    yield path, node


def test_notices_without_a_translation_are_those_of_the_command_line():
    for path, call in calls_for_qgis():
        if getattr(call.func, "id", "") == "notice" and isinstance(call.args[0], ast.Constant):
            assert not call.args[0].value.startswith(NOT_IN_QGIS), path


def test_errors_that_qgis_may_show_are_notices():
    classes = {name for name, kind in vars(errors).items() if isinstance(kind, type)} - {"Cancelled", "BlockError"}
    english = [
        f"{path}: {ast.unparse(call)}"
        for path, call in calls_for_qgis()
        if getattr(call.func, "id", "") in classes
        and call.args
        and isinstance(call.args[0], (ast.Constant, ast.JoinedStr, ast.BinOp))
        and not path.startswith(TOLD_IN_ENGLISH)
    ]
    assert english == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_keeps_the_placeholders(language):
    """Those without a name in their order."""

    def kept(text: str, original: str) -> list[str]:
        found = PLACEHOLDER.findall(text)
        return sorted(found) if original in TEMPLATES.values() else found

    pairs = {text: (kept(text, text), kept(translation, text)) for text, translation in translations(language).items()}
    assert {text: found for text, found in pairs.items() if found[0] != found[1]} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_call_an_algorithm_by_its_translated_name(language):
    known = translations(language)
    assert [
        text
        for text, translation in known.items()
        if "Install runtime" in text and known["Install runtime"] not in translation
    ] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_file_is_sorted_with_one_text_on_each_line(language):
    expected = json.dumps(translations(language), ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    assert (FOLDER / f"{language}.json").read_text(encoding="utf-8") == expected


def test_regions_use_their_language_and_traditional_chinese_does_not_use_simplified(in_qgis):
    expected = {"de": "de", "de_AT": "de", "fr_CA": "fr", "es_MX": "es", "zh_CN": "zh", "zh-Hans": "zh", "zh_SG": "zh"}
    english = ["zh-Hant", "zh_TW", "zh_HK", "pt_BR", "en_US", "xx"]
    code = f"""
from ssdiff.ssdiff_qgis.services.i18n import translation_file
answer = [translation_file(name) and translation_file(name).stem for name in {[*expected, *english]}]
"""
    assert in_qgis(code) == [*expected.values(), *[None] * len(english)]


LOCALES = {"de_AT": "de", "fr": "fr", "es_MX": "es", "zh-Hans": "zh", "zh-Hant": None, "pt_BR": None}
"locales that QGIS is set to one after the other, and the translations that are expected"


def test_a_dialog_is_in_the_language_of_qgis(in_qgis):
    code = f"""
from qgis.core import QgsSettings
import ssdiff
answer = {{}}
for language in {list(LOCALES)}:
    QgsSettings().setValue("locale/userLocale", language)
    QgsSettings().setValue("locale/overrideFlag", True)
    plugin = ssdiff.classFactory(None)
    plugin.initProcessing()
    algorithm = QgsApplication.processingRegistry().algorithmById("ssdiff:pansharpen")
    mask = algorithm.parameterDefinition("MASK")
    answer[language] = [algorithm.displayName(), mask.description(), mask.help(), algorithm.shortDescription()]
    plugin.unload()
for name in ("userLocale", "overrideFlag"):
    QgsSettings().remove(f"locale/{{name}}")
"""
    mask = options_of(PansharpenOptions)["mask"]
    english = ["Pansharpen (SSDiff)", mask.label, mask.help]
    (about,) = (text for text in texts() if text.startswith("Fuses a panchromatic") and "SSDiff. " in text)
    for language, (*labels, first) in in_qgis(code).items():
        known = translations(LOCALES[language]) if LOCALES[language] else {}
        assert labels == [known.get(text, text) for text in english]
        assert re.match(r"[^.。]+$", first)
        assert known.get(about, about).startswith(first)


def test_a_notice_and_an_error_with_its_reason_are_in_the_language_of_qgis(in_qgis):
    code = """
from ssdiff.ssdiff_core.common.errors import RasterError
from ssdiff.ssdiff_core.common.notices import notice
from ssdiff.ssdiff_qgis.services import i18n
i18n._translations.update(json.loads(i18n.translation_file("de").read_text(encoding="utf-8")))
told = notice("cannot_open", path="a.tif", reason=notice("does_not_exist", path="b.tif"))
answer = [i18n.tr_notice(notice("shift_unknown")), i18n.tr_error(RasterError(told)), str(RasterError(told))]
answer.append(i18n.tr_error(MemoryError(), ["a.tif"]))
"""
    kinds = ("shift_unknown", "cannot_open", "does_not_exist", "files_out_of_memory")
    shift, opened, missing, memory = (translations("de")[TEMPLATES[kind]] for kind in kinds)
    *german, english, failure = in_qgis(code)
    assert german == [shift, opened.format(path="a.tif", reason=missing.format(path="b.tif"))]
    assert english == "a.tif cannot be opened: b.tif does not exist" != german[1]
    assert failure == memory.format(files="a.tif")
