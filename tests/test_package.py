"""Builds the plugin zip, checks it as plugins.qgis.org does, installs it into an empty QGIS profile and runs it."""

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

import numpy as np
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


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


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
    """The [general] section of metadata.txt in the zip, read with the parser that QGIS and plugins.qgis.org use."""
    parser = configparser.ConfigParser()
    parser.optionxform = str
    with zipfile.ZipFile(zipped) as file:
        parser.read_string(file.read("ssdiff/metadata.txt").decode("utf-8"))
    return dict(parser.items("general"))


@pytest.fixture
def clone(tmp_path):
    """A fresh clone of the repository."""
    git(tmp_path, "clone", "-q", "--no-hardlinks", str(ROOT), "clone")
    return tmp_path / "clone"


def test_the_zip_is_reproducible(zipped, names, tmp_path):
    package(tmp_path)
    assert (tmp_path / "ssdiff.zip").read_bytes() == zipped.read_bytes()
    assert names == sorted(names)
    with zipfile.ZipFile(zipped) as file:
        assert {(entry.date_time, entry.external_attr) for entry in file.infolist()} == {
            ((1980, 1, 1, 0, 0, 0), 0o100644 << 16)
        }


def test_the_zip_holds_all_code_and_resources_and_nothing_else(zipped, names):
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    code = {f"ssdiff/{path}" for path in tracked if path.startswith(("ssdiff_core/", "ssdiff_qgis/"))}
    assert code | {"ssdiff/__init__.py", "ssdiff/metadata.txt", "ssdiff/LICENSE"} <= set(names)
    weights = "resources/weights/general-4-patches.safetensors"
    with zipfile.ZipFile(zipped) as file:
        assert file.read(f"ssdiff/{weights}") == (ROOT / weights).read_bytes()
    suffixes = {"", ".py", ".txt", ".json", ".html", ".svg", ".safetensors", ".npz", ".png"}
    assert {Path(name).suffix for name in names} == suffixes
    assert not [name for name in names if re.search(r"/(\.|(tests|docs|scripts)/)", name)]


def test_the_help_in_the_zip_is_complete_and_its_links_lead_somewhere(zipped, names):
    pages = [name for name in names if name.startswith("ssdiff/resources/help/") and name.endswith(".html")]
    assert {"qgis.html", "install.html", "adapt.html", "weights.html"} <= {Path(name).name for name in pages}
    with zipfile.ZipFile(zipped) as file:
        texts = {name: file.read(name).decode() for name in pages}
    for name, text in texts.items():
        assert "<table>" in text or "<ul>" in text
        for target, anchor in re.findall(r'(?:href|src)="(?!https?://)([^"#]*)(?:#([^"]*))?"', text):
            linked = f"ssdiff/resources/help/{target}" if target else name
            assert linked in names
            assert not anchor or f'id="{anchor}"' in texts[linked]


def test_links_in_the_documentation_exist_and_pictures_are_small(names):
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    link = re.compile(r'\]\(([\w./-]+)(?:#[\w-]+)?\)|src="([\w./-]+)"')
    targets = {page.parent / "".join(match) for page in pages for match in link.findall(page.read_text("utf-8"))}
    files = {path.resolve() for path in targets if path.name != "releases"}  # a page of the project on GitHub
    assert [path for path in files if not path.is_file()] == []
    pictures = set((ROOT / "docs" / "pictures").iterdir())
    assert pictures == {path for path in files if path.suffix == ".png"}
    assert max(path.stat().st_size for path in pictures) < 300_000
    shown = {Path(name).parent.as_posix() for name in names if name.endswith(".png")}
    assert shown == {"ssdiff/resources/help/pictures"}


def test_the_python_example_in_the_readme_runs(monkeypatch):
    monkeypatch.chdir(ROOT)
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    with np.load(ROOT / "resources" / "sample" / "eureka.npz") as sample:
        names = {"pan": sample["pan"][:64, :64], "ms": sample["ms"].transpose(2, 0, 1)[:, :16, :16]}
    exec(example, names)
    assert names["fused"].shape == (4, 64, 64)
    assert np.isfinite(names["fused"]).all()


def test_the_scores_in_the_readme_are_those_in_the_weights_files():
    row = re.search(r"\| GaoFen-2 .*\n\|[-|]+\n(.*) \|.*\|", (ROOT / "README.md").read_text(encoding="utf-8"))[1]
    scores = {}
    for name in ("general-4", "qb"):  # the latter replace the general weights for their sensor
        (of_card,) = read_card(ROOT / "resources" / "weights" / f"{name}-patches.safetensors").scores.values()
        scores |= of_card
    assert sorted(re.findall(r"\d\.\d\d", row)) == sorted(f"{score:.2f}" for score in scores.values())


def test_files_that_git_does_not_track_are_not_packed(clone, tmp_path):
    assert package(tmp_path / "clean", root=clone).returncode == 0
    for junk in ("ssdiff_core/__pycache__/a.pyc", "ssdiff_core/secret.py", "resources/weights/mine.safetensors"):
        (clone / junk).parent.mkdir(exist_ok=True)
        (clone / junk).write_text("junk")
    assert package(tmp_path / "with_junk", root=clone).returncode == 0
    assert len({(tmp_path / made / "ssdiff.zip").read_bytes() for made in ("clean", "with_junk")}) == 1


@pytest.fixture
def clone_with_more_weights(clone):
    """A clone whose catalogue also lists weights that are not bundled."""
    file = clone / "resources" / "weights.json"
    catalogue = json.loads(file.read_text())
    more = {"file": "more.safetensors", "bundled": False, "digest": f"sha256:{hashlib.sha256(b'more').hexdigest()}"}
    file.write_text(json.dumps({**catalogue, "weights": [*catalogue["weights"], more]}))
    return clone


def test_a_release_consists_of_the_zip_the_weights_and_their_digests(clone_with_more_weights, tmp_path):
    dist = tmp_path / "dist"
    release = json.loads((clone_with_more_weights / "resources" / "weights.json").read_text())["release"]
    done = package(dist, "--release", root=clone_with_more_weights)
    assert done.returncode == 0
    assert f"more.safetensors does not exist: {release} must provide it already" in done.stderr
    (dist / "more.safetensors").write_bytes(b"more")
    assert package(dist, "--release", root=clone_with_more_weights).returncode == 0
    digests = dict(reversed(line.split("  ")) for line in (dist / "SHA256SUMS").read_text().splitlines())
    published = [entry.file for entry in catalogue.published()]
    assert list(digests) == ["ssdiff.zip", *published, "more.safetensors"]
    assert digests == {name: hashlib.sha256((dist / name).read_bytes()).hexdigest() for name in digests}


def test_weights_with_another_digest_than_the_catalogue_are_not_released(clone_with_more_weights, tmp_path):
    (tmp_path / "more.safetensors").write_bytes(b"others")
    done = package(tmp_path, "--release", root=clone_with_more_weights)
    assert done.returncode == 1
    assert "publish it under another id" in done.stderr


def test_a_zip_that_is_too_large_for_the_plugin_site_is_not_built(clone, tmp_path):
    (clone / "resources" / "huge.bin").write_bytes(os.urandom(25_000_000))
    git(clone, "add", "resources")
    done = package(tmp_path / "dist", root=clone)
    assert done.returncode == 1
    assert "bundle fewer weights" in done.stderr
    assert not list((tmp_path / "dist").iterdir())


def test_packaging_outside_a_clone_fails_with_a_clear_message(tmp_path):
    (tmp_path / "scripts").mkdir()
    for name in ("package.py", "help_pages.py"):
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts")
    done = package(tmp_path / "dist", root=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("package.py must be run in a clone of the repository")


def test_the_plugin_site_accepts_the_zip(zipped, names):
    assert zipped.stat().st_size <= 25_000_000
    with zipfile.ZipFile(zipped) as file:
        assert file.testzip() is None
    assert {name.split("/")[0] for name in names} == {"ssdiff"}
    assert not [name for name in names if ".." in name or "\\" in name or name.startswith("/") or ".pyc" in name]
    assert not {"__MACOSX", ".git", "__pycache__"} & {part for name in names for part in name.split("/")}
    assert {"ssdiff/__init__.py", "ssdiff/metadata.txt", "ssdiff/LICENSE"} <= set(names)


def test_the_plugin_site_accepts_the_metadata(general, names):
    assert not [key for key in (*REQUIRED, *READ_BY_QGIS) if not general.get(key, "").strip()]
    assert all(urlparse(general[key]).scheme == "https" and urlparse(general[key]).netloc for key in LINKS)
    assert all(general[key] in ("True", "False") for key in SWITCHES)
    assert "/" not in general["author"]
    assert re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", general["email"])
    assert f"ssdiff/{general['icon']}" in names
    assert "plugin" not in general["name"].lower()
    assert "supportsQt6" not in general


def test_the_metadata_agree_with_the_version_and_the_changelog(general):
    assert general["version"] == __version__
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert (general["qgisMinimumVersion"], general["qgisMaximumVersion"]) == ("3.22", "4.99")
    assert general["hasProcessingProvider"] == "yes"
    assert "external dependency: PyTorch" in general["about"]
    assert general["license"] == "GPL-2.0-or-later"
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert changelog.split("\n")[2].startswith(f"## {__version__}")
    assert general["changelog"].split() == re.split(r"(?m)^## .*$", changelog)[1].split()


def test_the_scanners_of_the_plugin_site_find_nothing(zipped):
    for tool in ("bandit", "flake8", "detect_secrets"):
        pytest.importorskip(tool, reason=f"{tool} is not installed; `make setup` installs it")
    done = subprocess.run([sys.executable, ROOT / "scripts" / "scan.py", zipped], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_scan_finds_what_the_plugin_site_would_block(tmp_path):
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
    """The plugin folder in an empty profile with the zip unpacked as by the plugin manager, and a function that runs
    qgis_process in it."""
    profile = tmp_path_factory.mktemp("profile")
    plugins = profile / "profiles" / "default" / "python" / "plugins"
    with zipfile.ZipFile(zipped) as file:
        file.extractall(plugins)
    settings = profile / "profiles" / "default" / "QGIS" / "QGIS3.ini"
    settings.parent.mkdir(parents=True)
    settings.write_text("[PythonPlugins]\nssdiff=true\n")
    inherited = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "QGIS_PLUGINPATH")}
    variables = {
        "HOME": str(profile / "home"),
        "QT_QPA_PLATFORM": "offscreen",
        "QGIS_CUSTOM_CONFIG_PATH": str(profile),
        "XDG_RUNTIME_DIR": str(profile),
        "SSDIFF_PYTHON": sys.executable,
    }

    def run(*arguments):
        command = [QGIS_PROCESS, *arguments]
        return subprocess.run(
            command, env={**inherited, **variables}, cwd=profile, capture_output=True, text=True, timeout=300
        )

    return plugins / "ssdiff", run


def test_the_computing_process_runs_the_code_of_the_installed_zip(installed):
    folder, run = installed
    done = run("run", "ssdiff:diagnostics", "--json", "--", f"REPORT={folder.parent / 'report.json'}")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    assert results["READY"] is True
    report = json.loads(Path(results["REPORT"]).read_text(encoding="utf-8"))
    assert Path(report["computes"]["folder"]) == folder / "ssdiff_core"


def test_an_installed_zip_fuses_the_sample(installed, tmp_path):
    _, run = installed
    pan, ms, _ = sample_files(tmp_path)
    out = tmp_path / "fused.tif"
    parameters = (f"SPECTRAL={ms}", f"PANCHROMATIC={pan}", "EXTENT=400000,400038.4,4499961.6,4500000", f"OUTPUT={out}")
    done = run("run", "ssdiff:pansharpen", "--json", "--", *parameters)
    assert done.returncode == 0, done.stderr
    assert read(out).shape == (4, 64, 64)


def modules(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in (folder / "ssdiff_core").rglob("*.py")}


def test_a_wheel_fuses_and_reports_without_the_clone(clone, tmp_path):
    if not all(map(importlib.util.find_spec, ("pip", "setuptools", "wheel"))):
        pytest.skip("pip, setuptools and wheel are needed; `make setup` installs them")
    built, site = (f"--wheel-dir={tmp_path / 'built'}", f"--target={tmp_path / 'site'}")
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", built, str(clone)], check=True)
    wheel = next((tmp_path / "built").iterdir())
    subprocess.run([*pip, "install", "--no-deps", "--no-index", site, str(wheel)], check=True)
    assert modules(tmp_path / "site") == modules(clone)
    shutil.rmtree(clone)
    pan, ms, _ = sample_files(tmp_path)

    def ssdiff(*arguments):
        command = [sys.executable, tmp_path / "site" / "bin" / "ssdiff", *arguments]
        environ = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "SSDIFF_OFFLINE": "1"}
        done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert Path(json.loads(ssdiff("doctor", "--json"))["folder"]) == tmp_path / "site" / "ssdiff_core"
    assert json.loads(ssdiff("weights", "list", "--json"))["home"] == catalogue.home()
    extent = "--extent=400000,4499961.6,400038.4,4500000"
    ssdiff("pansharpen", pan, ms, "fused.tif", extent, "--report", "report.html")
    assert read(tmp_path / "fused.tif").shape == (4, 64, 64)
    assert (tmp_path / "report.html").stat().st_size > 10_000
