"""The zip that people install: made, looked at as the plugin site does, installed into an empty profile and run."""

import configparser
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.parse import urlparse

import pytest
from files import read, sample_files

from ssdiff_core import __version__
from ssdiff_core.weights import catalogue
from ssdiff_core.weights.card import read_card

ROOT = Path(__file__).parents[1]
QGIS_PROCESS = shutil.which("qgis_process.bin") or shutil.which("qgis_process")
REQUIRED = ["name", "description", "version", "qgisMinimumVersion", "author", "email", "about", "tracker", "repository"]
READ_BY_QGIS = [
    "qgisMaximumVersion",
    "homepage",
    "license",
    "icon",
    "hasProcessingProvider",
    "category",
    "tags",
    "changelog",
]
LINKS = ["tracker", "repository", "homepage"]
SWITCHES = ["experimental", "deprecated", "server"]


def package(folder: Path, *options: str, root: Path = ROOT) -> subprocess.CompletedProcess:
    command = [sys.executable, str(root / "scripts" / "package.py"), str(folder), *options]
    return subprocess.run(command, capture_output=True, text=True)


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def zipped(tmp_path_factory):
    done = package(tmp_path_factory.mktemp("dist"))
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.split()[0])


@pytest.fixture(scope="module")
def names(zipped):
    with zipfile.ZipFile(zipped) as file:
        return file.namelist()


@pytest.fixture(scope="module")
def general(zipped):
    """What metadata.txt in the zip says, read with the parser that QGIS and the plugin site read it with."""
    parser = configparser.ConfigParser()
    parser.optionxform = str
    with zipfile.ZipFile(zipped) as file:
        parser.read_string(file.read("ssdiff/metadata.txt").decode("utf-8"))
    return dict(parser.items("general"))


@pytest.fixture
def clone(tmp_path):
    """The repository as others get it."""
    git(tmp_path, "clone", "-q", "--no-hardlinks", str(ROOT), "clone")
    return tmp_path / "clone"


def test_the_same_files_make_the_same_bytes(zipped, names, tmp_path):
    package(tmp_path)
    assert (tmp_path / "ssdiff.zip").read_bytes() == zipped.read_bytes()
    assert names == sorted(names)
    with zipfile.ZipFile(zipped) as file:
        assert {(entry.date_time, entry.external_attr) for entry in file.infolist()} == {
            ((1980, 1, 1, 0, 0, 0), 0o100644 << 16)
        }


def test_all_that_runs_is_in_the_zip_and_nothing_else(zipped, names):
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    code = {f"ssdiff/{path}" for path in tracked if path.startswith(("ssdiff_core/", "ssdiff_qgis/"))}
    assert code | {"ssdiff/__init__.py", "ssdiff/metadata.txt", "ssdiff/LICENSE"} <= set(names)
    weights = "resources/weights/general-4.safetensors"
    with zipfile.ZipFile(zipped) as file:
        assert file.read(f"ssdiff/{weights}") == (ROOT / weights).read_bytes()
    assert {Path(name).suffix for name in names} == {"", ".py", ".txt", ".json", ".html", ".svg", ".safetensors"}
    assert not [name for name in names if re.search(r"/(\.|(tests|docs|scripts|sample)/)", name)]


def test_the_documentation_leads_to_files_that_are_there_and_its_pictures_are_small(names):
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    link = re.compile(r'\]\(([\w./-]+)(?:#[\w-]+)?\)|src="([\w./-]+)"')
    led = {page.parent / "".join(found) for page in pages for found in link.findall(page.read_text(encoding="utf-8"))}
    here = {path.resolve() for path in led if path.name != "releases"}  # a page of the project's home
    assert [path for path in here if not path.is_file()] == []
    pictures = set((ROOT / "docs" / "pictures").iterdir())
    assert pictures == {path for path in here if path.suffix == ".png"}
    assert max(path.stat().st_size for path in pictures) < 300_000
    assert not [name for name in names if name.endswith(".png")]


def test_the_first_page_tells_the_scores_that_the_weights_tell():
    shown = re.search(r"\| GaoFen-2 .*\n\|[-|]+\n(.*) \|.*\|", (ROOT / "README.md").read_text(encoding="utf-8"))[1]
    scores = {}
    for name in ("general-4", "general-8"):  # what a scene's own number of bands gets
        (told_by,) = read_card(ROOT / "resources" / "weights" / f"{name}.safetensors").scores.values()
        scores |= told_by
    assert sorted(re.findall(r"\d\.\d\d", shown)) == sorted(f"{score:.2f}" for score in scores.values())


def test_what_lies_about_in_a_clone_stays_out(clone, tmp_path):
    assert package(tmp_path / "clean", root=clone).returncode == 0
    for junk in ("ssdiff_core/__pycache__/a.pyc", "ssdiff_core/secret.py", "resources/weights/mine.safetensors"):
        (clone / junk).parent.mkdir(exist_ok=True)
        (clone / junk).write_text("junk")
    assert package(tmp_path / "littered", root=clone).returncode == 0
    assert len({(tmp_path / made / "ssdiff.zip").read_bytes() for made in ("clean", "littered")}) == 1


@pytest.fixture
def with_more(clone):
    """A clone whose catalogue also tells of weights that are not bundled."""
    file = clone / "resources" / "weights.json"
    catalogue = json.loads(file.read_text())
    more = {"file": "more.safetensors", "bundled": False, "digest": f"sha256:{hashlib.sha256(b'more').hexdigest()}"}
    file.write_text(json.dumps({**catalogue, "weights": [*catalogue["weights"], more]}))
    return clone


def test_a_release_is_the_zip_the_weights_and_their_digests(with_more, tmp_path):
    dist = tmp_path / "dist"
    done = package(dist, "--release", root=with_more)
    assert done.returncode == 0
    assert "more.safetensors is not here: weights-1 must hold it already" in done.stderr
    (dist / "more.safetensors").write_bytes(b"more")
    assert package(dist, "--release", root=with_more).returncode == 0
    sums = dict(reversed(line.split("  ")) for line in (dist / "SHA256SUMS").read_text().splitlines())
    bundled = [entry.file for entry in catalogue.published() if entry.bundled]
    assert list(sums) == ["ssdiff.zip", *bundled, "more.safetensors"]
    assert sums == {name: hashlib.sha256((dist / name).read_bytes()).hexdigest() for name in sums}


def test_weights_that_are_not_those_of_the_catalogue_are_not_released(with_more, tmp_path):
    (tmp_path / "more.safetensors").write_bytes(b"others")
    done = package(tmp_path, "--release", root=with_more)
    assert done.returncode == 1
    assert "publish it under another id" in done.stderr


def test_a_zip_that_the_site_would_not_take_is_not_made(clone, tmp_path):
    (clone / "resources" / "huge.bin").write_bytes(os.urandom(25_000_000))
    git(clone, "add", "resources")
    done = package(tmp_path / "dist", root=clone)
    assert done.returncode == 1
    assert "bundle fewer weights" in done.stderr
    assert not list((tmp_path / "dist").iterdir())


def test_outside_a_clone_one_sentence_says_what_is_needed(tmp_path):
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "package.py", tmp_path / "scripts")
    done = package(tmp_path / "dist", root=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("the package is made in a clone of the repository")


def test_the_plugin_site_takes_the_zip(zipped, names):
    assert zipped.stat().st_size <= 25_000_000
    with zipfile.ZipFile(zipped) as file:
        assert file.testzip() is None
    assert {name.split("/")[0] for name in names} == {"ssdiff"}
    assert not [name for name in names if ".." in name or "\\" in name or name.startswith("/") or ".pyc" in name]
    assert not {"__MACOSX", ".git", "__pycache__"} & {part for name in names for part in name.split("/")}
    assert {"ssdiff/__init__.py", "ssdiff/metadata.txt", "ssdiff/LICENSE"} <= set(names)


def test_the_plugin_site_takes_the_metadata(general, names):
    assert not [key for key in (*REQUIRED, *READ_BY_QGIS) if not general.get(key, "").strip()]
    assert all(urlparse(general[key]).scheme == "https" and urlparse(general[key]).netloc for key in LINKS)
    assert all(general[key] in ("True", "False") for key in SWITCHES)
    assert "/" not in general["author"]
    assert re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", general["email"])
    assert f"ssdiff/{general['icon']}" in names
    assert "plugin" not in general["name"].lower()
    assert "supportsQt6" not in general


def test_the_metadata_say_what_is_true_of_ssdiff(general):
    assert general["version"] == __version__
    assert (general["qgisMinimumVersion"], general["qgisMaximumVersion"]) == ("3.22", "4.99")
    assert general["hasProcessingProvider"] == "yes"
    assert "external dependency: PyTorch" in general["about"]
    assert general["license"] == "GPL-2.0-or-later"
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert changelog.split("\n")[2].startswith(f"## {__version__}")
    assert general["changelog"].split() == re.split(r"(?m)^## .*$", changelog)[1].split()


def test_the_plugin_site_finds_nothing_in_the_code(zipped):
    for tool in ("bandit", "flake8", "detect_secrets"):
        pytest.importorskip(tool, reason=f"{tool} is not installed; `make setup` installs it")
    done = subprocess.run([sys.executable, ROOT / "scripts" / "scan.py", zipped], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_plugin_site_would_block_is_found(tmp_path):
    pytest.importorskip("bandit", reason="bandit is not installed; `make setup` installs it")
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as file:
        file.writestr("ssdiff/a.py", "try:\n    eval('1')\nexcept Exception:\n    pass\n")
        file.writestr("ssdiff/b.py", f"digest = '{hashlib.sha256(b'').hexdigest()}'\n")
        file.writestr("ssdiff/c.py", "print(missing)\n")
        file.writestr("ssdiff/d.py", "def broken(:\n")
    scan = [sys.executable, ROOT / "scripts" / "scan.py", tmp_path / "bad.zip"]
    done = subprocess.run(scan, capture_output=True, text=True)
    assert done.returncode == 1
    for found in ("B307", "B110", "b.py:1: Hex High Entropy String", "F821", "E999"):
        assert found in done.stdout


@pytest.fixture(scope="module")
def installed(zipped, tmp_path_factory):
    """An empty profile that the zip has been unpacked into, as the plugin manager does, and qgis_process in it."""
    profile = tmp_path_factory.mktemp("profile")
    plugins = profile / "profiles" / "default" / "python" / "plugins"
    with zipfile.ZipFile(zipped) as file:
        file.extractall(plugins)
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "QGIS_PLUGINPATH")}
    own = {
        "HOME": str(profile / "home"),
        "QT_QPA_PLATFORM": "offscreen",
        "QGIS_CUSTOM_CONFIG_PATH": str(profile),
        "XDG_RUNTIME_DIR": str(profile),
        "SSDIFF_PYTHON": sys.executable,
    }

    def run(*words):
        command = [QGIS_PROCESS, *words]
        return subprocess.run(command, env={**kept, **own}, cwd=profile, capture_output=True, text=True, timeout=300)

    enabled = run("plugins", "enable", "ssdiff")
    assert enabled.returncode == 0, enabled.stderr
    return plugins / "ssdiff", run


def test_what_computes_is_the_code_of_a_fresh_install(installed):
    folder, run = installed
    done = run("run", "ssdiff:diagnostics", "--json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    assert results["READY"] is True
    assert Path(json.loads(results["REPORT"])["computes"]["folder"]) == folder / "ssdiff_core"


def test_the_sample_is_fused_from_a_fresh_install(installed, tmp_path):
    _, run = installed
    pan, ms, _ = sample_files(tmp_path)
    out = tmp_path / "fused.tif"
    words = (f"SPECTRAL={ms}", f"PANCHROMATIC={pan}", "EXTENT=400000,400038.4,4499961.6,4500000", f"OUTPUT={out}")
    done = run("run", "ssdiff:pansharpen", "--json", "--", *words)
    assert done.returncode == 0, done.stderr
    assert read(out).shape == (4, 64, 64)


def test_what_pip_installs_needs_no_clone_to_fuse_and_report(clone, tmp_path):
    if not all(map(importlib.util.find_spec, ("pip", "setuptools", "wheel"))):
        pytest.skip("pip, setuptools and wheel are needed, which `make setup` brings")
    built, site = (f"--wheel-dir={tmp_path / 'built'}", f"--target={tmp_path / 'site'}")
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", built, str(clone)], check=True)
    wheel = next((tmp_path / "built").iterdir())
    subprocess.run([*pip, "install", "--no-deps", "--no-index", site, str(wheel)], check=True)
    shutil.rmtree(clone)
    pan, ms, _ = sample_files(tmp_path)

    def ssdiff(*words):
        command = [sys.executable, tmp_path / "site" / "bin" / "ssdiff", *words]
        environ = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "SSDIFF_OFFLINE": "1"}
        done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert Path(json.loads(ssdiff("doctor", "--json"))["folder"]) == tmp_path / "site" / "ssdiff_core"
    assert json.loads(ssdiff("weights", "list", "--json"))["home"] == catalogue.home()
    extent = "--extent=400000,4499961.6,400038.4,4500000"
    ssdiff("pansharpen", pan, ms, "fused.tif", extent, "--report", "report.html")
    assert read(tmp_path / "fused.tif").shape == (4, 64, 64)
    assert (tmp_path / "report.html").stat().st_size > 10_000
