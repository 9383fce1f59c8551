"""Which weights there are, which are taken, and how they come here."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from plugins import ROOT, plugin_with, run, tiny
from servers import Files, corrupt, running, status

from ssdiff_core.common.errors import Cancelled, ConfigError, DownloadError, WeightsError
from ssdiff_core.common.fingerprints import sha256_of
from ssdiff_core.common.paths import RESOURCES
from ssdiff_core.weights import catalogue
from ssdiff_core.weights.card import is_id
from ssdiff_core.weights.catalogue import adopt, fetcher, find, home, known, published


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The user's folder for weights."""
    monkeypatch.setenv("SSDIFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SSDIFF_WEIGHTS_URL", raising=False)
    folder = tmp_path / "cache" / "weights"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("release") / "eight.safetensors", "eight", 8)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory, eight):
    """With weights for eight bands in its catalogue that do not come with it."""
    return plugin_with(tmp_path_factory.mktemp("with") / "plugin", eight)


@pytest.fixture
def release(eight):
    """A server of what was published."""
    with running(Files({"/eight.safetensors": eight.read_bytes()})) as server:
        yield server


def here(plugin) -> dict:
    """What there is, by id."""
    return {entry.id: entry for entry in known(plugin / "resources")}


# --- the catalogue ---------------------------------------------------------------------------------------------------


def test_catalogue_and_files_agree():
    made = runpy.run_path(str(ROOT / "scripts" / "make_catalogue.py"))["catalogue"]()
    assert made == (RESOURCES / "weights.json").read_text(encoding="utf-8"), "run scripts/make_catalogue.py"


def test_every_published_file_can_be_fetched_from_the_home_of_the_project():
    about = (ROOT / "metadata.txt").read_text(encoding="utf-8")
    assert f"repository={home().split('/releases/')[0]}\n" in about
    assert home().startswith("https://github.com/")
    for entry in published():
        assert entry.urls[0] == entry.file
        assert is_id(entry.id)


def test_the_catalogue_keeps_what_is_published_and_not_bundled(plugin):
    before = (plugin / "resources" / "weights.json").read_text()
    assert run(plugin, "scripts/make_catalogue.py").returncode == 0
    assert (plugin / "resources" / "weights.json").read_text() == before
    assert {entry.id: entry.bundled for entry in published(plugin / "resources")} == {"general-4": True, "eight": False}


def test_the_environment_and_a_setting_name_another_home(monkeypatch):
    assert home("http://setting/w") == "http://setting/w/"
    monkeypatch.setenv("SSDIFF_WEIGHTS_URL", "http://mirror/")
    assert home("http://setting/w") == "http://mirror/"


# --- which there are -------------------------------------------------------------------------------------------------


def test_each_entry_states_where_its_file_is(plugin, folder, eight):
    tiny(folder / "adapted.safetensors", "mine", 4)
    (folder / "damaged.safetensors").write_bytes(b"no weights")
    assert {name: entry.state for name, entry in here(plugin).items()} == {
        **{"general-4": "bundled", "eight": "not here", "mine": "your own"}
    }
    (folder / "any name.safetensors").write_bytes(eight.read_bytes())
    assert here(plugin)["eight"].state == "here"
    assert here(plugin)["eight"].path.name == "any name.safetensors"
    assert here(plugin)["mine"].bands == ("b0", "b1", "b2", "b3")


def test_a_file_with_a_published_id_but_another_digest_is_not_used_as_the_published_file(plugin, folder, tmp_path):
    tiny(folder / "eight.safetensors", "eight", 8, licence="another")
    plugin = shutil.copytree(plugin, tmp_path / "damaged")
    bundled = plugin / "resources" / "weights" / "general-4.safetensors"
    bundled.write_bytes(bundled.read_bytes()[:-1] + b"?")
    assert {name: entry.path for name, entry in here(plugin).items()} == {"general-4": None, "eight": None}


# --- which is taken --------------------------------------------------------------------------------------------------


@pytest.fixture
def entries(tmp_path):
    """As they might be: for QuickBird, any four bands, any eight, and Landsat's ratio; and one of the user's."""
    made = (("qb", "qb", 4, 4), ("four", "general", 4, 4), ("eight", "general", 8, 4), ("landsat", "landsat89", 4, 2))
    some = [
        catalogue.Entry(
            name, f"{name}.safetensors", 1, "0" * 64, (), sensor, ("b",) * bands, ratio, path=tmp_path / name
        )
        for name, sensor, bands, ratio in made
    ]
    return [
        *some,
        *(
            replace(some[0], id=f"own-{ratio}", sha256="", ratio=ratio, path=tmp_path / f"own-{ratio}")
            for ratio in (4, 3)
        ),
    ]


def never(entry):
    raise AssertionError(f"{entry.id} was to be fetched")


@pytest.mark.parametrize(
    ("sensor", "bands", "ratio", "chosen"),
    [
        ("qb", 4, 4, "qb"),
        ("ikonos", 4, 4, "four"),
        ("general", 4, 4.1, "four"),
        ("qb", 3, 4, "four"),
        ("wv3", 8, 4, "eight"),
        ("landsat89", 4, 2, "landsat"),
        ("qb", 4, 3, "own-3"),
        ("qb", 4, 2.76, "own-3"),
        ("general", 4, 6, "four"),
    ],
)
def test_auto_selects_the_best_fitting_weights(entries, sensor, bands, ratio, chosen):
    assert find("auto", sensor, bands, ratio, never, print, entries).name == chosen


@pytest.mark.parametrize(
    ("sensor", "bands", "ratio", "chosen"),
    [
        ("wv3", 8, 4, "general-4-patches"),
        ("wv2", 8, 4, "general-4-patches"),
        ("gf2", 4, 4, "general-4-patches"),
        ("qb", 4, 4, "qb-patches"),
        ("wv2", 4, 4, "general-4-patches"),
        ("qb", 3, 4, "general-4-patches"),
        ("qb", 4, 5, "general-4-patches"),
        ("pleiades", 4, 4, "general-4-patches"),
        ("spot67", 3, 4, "general-4-patches"),
        ("general", 6, 4, "general-4-patches"),
        ("general", 16, 4, "general-4-patches"),
        ("landsat7", 6, 2, "landsat7-patches"),
        ("landsat89", 6, 2, "landsat89-patches"),
        ("general", 4, 2, "general-4-ratio2-patches"),
    ],
)
def test_bundled_weights_cover_every_sensor(sensor, bands, ratio, chosen):
    assert find("auto", sensor, bands, ratio, never, print, known()).stem == chosen


def test_networks_on_patches_come_first_among_weights_that_fit_equally(entries):
    found = [replace(entry, patches=entry.id == "four") for entry in entries]
    assert find("auto", "general", 4, 4, never, print, found).name == "four"
    only_general = [entry for entry in entries if entry.sensor == "general" and len(entry.bands) == 4]
    slow = replace(only_general[0], id="slow", path=only_general[0].path.with_name("slow"))
    for order in ([slow, *found], [*found, slow]):
        assert find("auto", "general", 4, 4, never, print, order).name == "four"


def test_band_groups_of_a_network_on_patches_precede_slower_weights_for_all_bands(entries):
    found = [replace(entry, patches=entry.id == "four") for entry in entries]
    assert find("auto", "wv3", 8, 4, never, print, found).name == "four"


def test_weights_can_be_named_by_id_or_file_and_may_be_missing(entries, tmp_path):
    assert find("eight", "qb", 4, 4, never, print, entries).name == "eight"
    assert find("mine.safetensors", "qb", 4, 4, never, print, entries) == Path("mine.safetensors")
    odd = tmp_path / "odd name"
    odd.touch()
    assert find(str(odd), "qb", 4, 4, never, print, entries) == odd
    with pytest.raises(ConfigError, match=r"unknown weights 'nine': choose qb, four, eight, landsat, own-4, own-3, or"):
        find("nine", "qb", 4, 4, never, print, entries)
    with pytest.raises(ConfigError, match=r"no weights for 4 bands at ratio 4; .* mtf-glp-fs"):
        find("auto", "general", 4, 4, never, print, [entry for entry in entries if entry.sensor == "qb"])


def test_auto_uses_the_best_local_weights_if_the_download_fails(entries, tmp_path):
    entries[0] = replace(entries[0], path=None)
    assert find("auto", "qb", 4, 4, lambda entry: tmp_path / "fetched", print, entries).name == "fetched"
    said = []

    def fails(entry):
        raise DownloadError("no network")

    assert find("auto", "qb", 4, 4, fails, said.append, entries).name == "four"
    assert [str(message) for message in said] == ["no network; weights four are used instead"]
    with pytest.raises(DownloadError):
        find("qb", "qb", 4, 4, fails, said.append, entries)
    with pytest.raises(DownloadError):
        find("auto", "qb", 4, 4, fails, said.append, entries[:1])


# --- how they come here ----------------------------------------------------------------------------------------------


def test_weights_are_fetched_once_on_first_use(plugin, release, folder):
    said, shares = [], []
    fetch = fetcher(progress=shares.append, notify=said.append, base=release.url)
    path = find("eight", "general", 8, 4, fetch, print, known(plugin / "resources"))
    assert path.parent == folder
    assert sha256_of(path) == here(plugin)["eight"].sha256
    assert "Downloading weights eight, " in str(said[0])
    assert shares[-1] == 1
    assert find("auto", "general", 8, 4, never, print, known(plugin / "resources")) == path
    assert len(release.asked) == 1


def test_a_download_never_overwrites_a_file_of_the_user(plugin, release, folder):
    own = tiny(folder / "eight.safetensors", "eight", 8, licence="my own").read_bytes()
    path = fetcher(base=release.url)(here(plugin)["eight"])
    assert (folder / "eight.safetensors").read_bytes() == own
    assert here(plugin)["eight"].path == path


@pytest.mark.parametrize("bad", [corrupt, status(404)])
def test_a_failed_download_gives_one_sentence_that_explains_the_import(bad, plugin, release, folder):
    release.script = [bad] * 9
    with pytest.raises(DownloadError) as caught:
        fetcher(base=release.url)(here(plugin)["eight"])
    assert "\n" not in str(caught.value)
    for part in ("weights eight are not on this computer", f"{release.url}/eight.safetensors", "weights import FILE"):
        assert part in str(caught.value)
    assert not list(folder.glob("*.safetensors"))


def test_offline_bundled_weights_work_and_others_explain_the_import(plugin, release, monkeypatch, tmp_path):
    monkeypatch.setenv("SSDIFF_OFFLINE", "1")
    fetch = fetcher(base=release.url)
    assert find("auto", "general", 4, 4, never, print, known(plugin / "resources")).name == "general-4.safetensors"
    with pytest.raises(DownloadError, match=r"not on this computer .*offline.*weights import FILE"):
        find("eight", "general", 8, 4, fetch, print, known(plugin / "resources"))
    said = []
    assert find("auto", "general", 8, 4, fetch, said.append, known(plugin / "resources")).stem == "general-4"
    assert (said[0].kind, said[0].values["weights"]) == ("weights_instead", "general-4")
    assert release.asked == []


def test_cancelling_a_download_does_not_select_other_weights(plugin, release):
    with pytest.raises(Cancelled):
        find(
            "auto",
            "general",
            8,
            4,
            fetcher(base=release.url, cancelled=lambda: True),
            print,
            known(plugin / "resources"),
        )


def test_an_imported_file_is_found_by_its_id(folder, tmp_path):
    adopted = adopt(tiny(tmp_path / "x.safetensors", "mine", 4))
    assert adopted.path == folder / "mine.safetensors"
    assert known()[-1].id == "mine"
    adopt(tmp_path / "x.safetensors")  # once more does no harm
    tiny(tmp_path / "x.safetensors", "mine", 8)
    with pytest.raises(WeightsError, match="there are other weights 'mine'"):
        adopt(tmp_path / "x.safetensors")
    assert sorted(path.name for path in folder.iterdir()) == ["mine.safetensors"]
    assert folder.joinpath("mine.safetensors").stat().st_mode & 0o777 == 0o666 & ~umask()


def umask() -> int:
    now = os.umask(0)
    os.umask(now)
    return now


@pytest.mark.parametrize("name", ["../mine", "a/b", "", "..", "a\nb", "con:1"])
def test_an_id_with_path_characters_is_refused(name, folder, tmp_path):
    with pytest.raises(WeightsError, match="letters, digits"):
        adopt(tiny(tmp_path / "x.safetensors", name, 4))
    assert [*folder.iterdir()] == []


def test_import_refuses_a_changed_file_with_a_published_id(folder, tmp_path):
    tiny(tmp_path / "x.safetensors", "general-4", 4)
    with pytest.raises(WeightsError, match="differs from the published file"):
        adopt(tmp_path / "x.safetensors")
    adopted = adopt(RESOURCES / "weights" / "unbundled" / "general-4.safetensors")
    assert adopted.path.name == f"general-4-{adopted.sha256[:8]}.safetensors"


@pytest.mark.parametrize("size", [0, 5, 500, -1])
def test_import_refuses_a_truncated_file(size, folder, tmp_path):
    path = tiny(tmp_path / "x.safetensors", "mine", 4)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        adopt(path)
    assert [*folder.iterdir()] == []


def test_reading_the_catalogue_imports_neither_torch_nor_qt_nor_gdal_nor_requests():
    code = (
        "import sys, json; from ssdiff_core.weights import catalogue as c; c.known();"
        " c.find('auto', 'qb', 4, 4, None, None);"
        "print(json.dumps([n for n in ('torch', 'PyQt5', 'osgeo', 'requests') if n in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert json.loads(done.stdout) == []


# --- damaged and hostile files ---------------------------------------------------------------------------------------


def with_card(path, **entries):
    """Writes a copy of bundled weights with other entries of the card."""
    data = (RESOURCES / "weights" / "general-4-patches.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] |= {"id": "mine", **entries}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    return path


def many(digits: int) -> str:
    return "[" + ",".join(["9" * digits] * 4) + "]"


BAD_CARDS = {
    "integers of 400 digits": {"residual_sigma": many(400)},
    "integers of 5000 digits": {"wavelengths_nm": many(5000)},
    "a phase of 400 digits": {"ms_phase": "9" * 400},
    "a ratio that is a list": {"ratio": "[4]"},
    "a ratio that is an object": {"ratio": '{"a": 1}'},
    "a network of nothing": {"arch": '{"bands": null, "ratio": null, "tile": null}'},
    "widths that are text": {"arch": '{"widths": "abc"}'},
    "widths that are nested": {"arch": '{"widths": [[1], {}, 2]}'},
    "a network that is a list": {"arch": "[]"},
    "a factor of 400 digits": {"arch": f'{{"boosts": {many(400)}}}'},
    "a tile that no memory holds": {"arch": '{"tile": 1000000000}', "tile": "1000000000"},
    "a scale that is infinite": {"scale": "1e400"},
    "a tile of 5000 digits": {"tile": "9" * 5000},
    "control characters as id": {"id": "\x1b[31mred"},
}


@pytest.mark.parametrize("case", BAD_CARDS)
def test_a_bad_weights_file_in_the_folder_is_skipped_with_a_notice(case, folder):
    path, heard = with_card(folder / "bad.safetensors", **BAD_CARDS[case]), []
    assert [entry.id for entry in known(notify=heard.append)] == [entry.id for entry in published()]
    assert [(each.kind, each.values["path"]) for each in heard] == [("weights_skipped", str(path))]
    assert str(heard[0]).isprintable()
    assert len(str(heard[0])) < 600
    assert find("auto", "general", 4, 4.0, None, heard.append).name == "general-4-patches.safetensors"


ODD_FILES = {
    "folder": lambda path: path.mkdir(),
    "dangling link": lambda path: path.symlink_to("/nonexistent"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "link to a device": lambda path: path.symlink_to(os.devnull),
    "pipe": lambda path: os.mkfifo(path),
    "header that is too large": lambda path: path.write_bytes((1 << 23).to_bytes(8, "little") + b" " * (1 << 23)),
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes and links as files")
@pytest.mark.parametrize("case", ODD_FILES)
def test_what_is_no_weights_file_is_skipped_with_a_notice(case, folder):
    ODD_FILES[case](folder / "odd.safetensors")
    heard = []
    assert [entry.id for entry in known(notify=heard.append)] == [entry.id for entry in published()]
    assert [each.kind for each in heard] == ["weights_skipped"]


@pytest.mark.parametrize(
    "id",
    [
        "auto",
        "ALL",
        "..",
        ".",
        "",
        "CON",
        "nul.1",
        "lpt9",
        "x.part",
        "a/b",
        "a\\b",
        "-rf",
        "a\n",
        "x" * 81,
        "größe",
        "a.",
    ],
)
def test_an_id_that_means_something_else_is_refused(id, tmp_path):
    with pytest.raises(WeightsError, match="have an id that cannot be used"):
        adopt(with_card(tmp_path / "w.safetensors", id=id))


def damaged(plugin, tmp_path, text) -> Path:
    resources = tmp_path / "resources"
    resources.mkdir()
    content = json.loads((plugin / "resources" / "weights.json").read_text())
    (resources / "weights.json").write_text(text if isinstance(text, str) else json.dumps(text(content)))
    return resources


def changed(**values):
    """Returns a function that changes the first entry of a catalogue."""
    return lambda content: {**content, "weights": [{**content["weights"][0], **values}]}


BAD_CATALOGUES = {
    "no JSON": "{",
    "nothing": "",
    "a list": "[]",
    "nested without end": "[" * 100_000,
    "no weights": lambda content: {**content, "weights": None},
    "no release": lambda content: {"repository": "x", "weights": content["weights"]},
    "an unknown entry": changed(evil=1),
    "a digest that is none": changed(digest="sha256:x"),
    "an id with a path": changed(id="../../escaped"),
    "a file with a path": changed(file="../../escaped.safetensors"),
    "an absolute file": changed(file="/etc/passwd"),
    "a negative size": changed(size=-5),
    "a size of 1 EB": changed(size=10**18),
    "addresses that are numbers": changed(urls=[5]),
}


@pytest.mark.parametrize("case", BAD_CATALOGUES)
def test_a_damaged_catalogue_is_one_sentence_that_names_it(case, plugin, tmp_path):
    resources = damaged(plugin, tmp_path, BAD_CATALOGUES[case])
    with pytest.raises(WeightsError, match=r"weights\.json is damaged .*: install SSDiff again") as caught:
        assert [*known(resources), home(resources=resources, environ={})]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("base", ["http://[::1", "http://[x]/", "\x1b[31m", "file:///etc/", "http://127.0.0.1:99999/"])
def test_a_base_url_that_is_none_is_one_sentence(base, plugin):
    with pytest.raises(DownloadError) as caught:
        fetcher(base=base)(here(plugin)["eight"])
    assert str(caught.value).isprintable()


def test_secrets_of_the_base_url_are_in_no_sentence(plugin, release):
    release.files = {}
    base = release.url.replace("//", "//me:PASSWORD@") + "/TOKEN?sig=SIGNATURE"
    with pytest.raises(DownloadError) as caught:
        fetcher(base=base)(here(plugin)["eight"])
    for secret in ("PASSWORD", "TOKEN", "SIGNATURE"):
        assert secret not in str(caught.value)
