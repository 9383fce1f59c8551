"""A real QGIS with a profile of its own, in which the repository root is the plugin folder."""

from __future__ import annotations

import configparser
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QGIS_PROCESS = shutil.which("qgis_process.bin") or shutil.which("qgis_process")
QGIS_PLUGINS = "/usr/share/qgis/python/plugins"
BEGIN = "import json, sys; from qgis.core import QgsApplication; app = QgsApplication([], False); app.initQgis()\n"


class Qgis:
    """A real QGIS of a user whose folders are all fresh, and a plugin folder."""

    def __init__(self, folder: Path, plugin: Path):
        self.profile, self.plugins, cache = (folder / name for name in ("profile", "plugins", "cache"))
        for made in (self.profile, self.plugins):
            made.mkdir(mode=0o700)
        (self.plugins / "ssdiff").symlink_to(plugin)
        own = {
            "HOME": folder,
            "QT_QPA_PLATFORM": "offscreen",
            "QGIS_CUSTOM_CONFIG_PATH": self.profile,
            "QGIS_PLUGINPATH": self.plugins,
            "XDG_RUNTIME_DIR": self.profile,
            "SSDIFF_CACHE": cache,
            "SSDIFF_PYTHON": sys.executable,
        }
        self.environ = {**os.environ, **{name: str(value) for name, value in own.items()}}
        enabled = self("plugins", "enable", "ssdiff")
        assert enabled.returncode == 0, enabled.stderr

    def __call__(self, *arguments, **extra) -> subprocess.CompletedProcess:
        """qgis_process with these arguments, and more in its environment."""
        return self._run([QGIS_PROCESS, *map(str, arguments)], extra)

    def python(self, code: str, *arguments, **extra) -> subprocess.CompletedProcess:
        """Python with QGIS in this profile; `app` is its application, and the plugin can be imported as ssdiff."""
        command = [sys.executable, "-c", BEGIN + code, *map(str, arguments)]
        return self._run(command, {"PYTHONPATH": f"{self.plugins}{os.pathsep}{QGIS_PLUGINS}", **extra})

    def settings(self, **sections) -> None:
        """Settings as QGIS keeps them, a dictionary for each section."""
        file = self.profile / "profiles" / "default" / "QGIS" / "QGIS3.ini"
        kept = configparser.RawConfigParser()
        kept.optionxform = str
        kept.read(file)
        kept.read_dict(sections)
        with open(file, "w") as out:
            kept.write(out, space_around_delimiters=False)

    def _run(self, command, extra) -> subprocess.CompletedProcess:
        env = {**self.environ, **{name: str(value) for name, value in extra.items()}}
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="session")
def qgis_with(tmp_path_factory):
    """Makes a QGIS with a plugin folder, and a profile that no other has."""
    return lambda plugin: Qgis(tmp_path_factory.mktemp("qgis"), plugin)


@pytest.fixture(scope="session")
def qgis_process(qgis_with):
    """QGIS with this project as its plugin."""
    return qgis_with(ROOT)


@pytest.fixture(scope="session")
def environ(qgis_process):
    """What its programs are started with."""
    return qgis_process.environ


@pytest.fixture(scope="session")
def plugins(qgis_process):
    """Its folder of plugins."""
    return qgis_process.plugins


@pytest.fixture(scope="session")
def torchless():
    """For tests of a QGIS whose own Python cannot compute."""
    if not subprocess.run(["/usr/bin/python3", "-c", "import torch"], capture_output=True).returncode:
        pytest.skip("the Python of this QGIS has torch itself")


@pytest.fixture(scope="session")
def outputs(qgis_process):
    """What an algorithm of ours answers."""

    def run(algorithm, *parameters, **extra):
        done = qgis_process("run", f"ssdiff:{algorithm}", "--json", *parameters, **extra)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)["results"]

    return run


@pytest.fixture(scope="session")
def in_qgis(qgis_process):
    """Runs Python in a QGIS without windows; what it calls `answer` comes back."""

    def run(code, processing=True, **extra):
        folders = {} if processing else {"PYTHONPATH": qgis_process.plugins}
        whole = f"answer = None\n{code}\nprint('ANSWER', json.dumps(answer), flush=True)\napp.exitQgis()\n"
        done = qgis_process.python(whole, **folders, **extra)
        answers = [line for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
        assert answers, done.stderr
        return json.loads(answers[-1][len("ANSWER ") :])

    return run
