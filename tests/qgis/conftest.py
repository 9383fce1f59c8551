"""Fixtures that run a real QGIS with its own profile and the repository root as plugin folder."""

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
INITIALISE = "import json, sys; from qgis.core import QgsApplication; app = QgsApplication([], False); app.initQgis()\n"
RUNS = """
import processing
from processing.core.Processing import Processing
from qgis.core import QgsProcessingException, QgsProcessingFeedback
Processing.initialize()
import ssdiff
plugin = ssdiff.classFactory(None)
plugin.initProcessing()
ran = []
for algorithm, parameters in json.loads(sys.argv[1]):
    results, feedback = None, QgsProcessingFeedback()
    try:
        results = processing.run(f"ssdiff:{algorithm}", parameters, feedback=feedback)
    except QgsProcessingException as error:
        feedback.pushInfo(str(error))
    ran.append((results, feedback.textLog()))
plugin.unload()
print("RAN", json.dumps(ran), flush=True)
app.exitQgis()
"""


class Qgis:
    """A real QGIS with empty user folders and a plugin folder."""

    def __init__(self, folder: Path, plugin: Path, profile: Path | None = None):
        """profile: a profile to copy in which the plugin is enabled; otherwise a new one, which takes a second."""
        self.profile, self.plugins, cache = (folder / name for name in ("profile", "plugins", "cache"))
        self.plugins.mkdir(mode=0o700)
        (self.plugins / "ssdiff").symlink_to(plugin)
        variables = {
            "HOME": folder,
            "QT_QPA_PLATFORM": "offscreen",
            "QGIS_CUSTOM_CONFIG_PATH": self.profile,
            "QGIS_PLUGINPATH": self.plugins,
            "XDG_RUNTIME_DIR": self.profile,
            "SSDIFF_CACHE": cache,
            "SSDIFF_PYTHON": sys.executable,
            "PYTHONDONTWRITEBYTECODE": "",
            # QGIS's own Python packages are installed without compiled files, in folders that cannot be written to.
            "PYTHONPYCACHEPREFIX": (profile or self.profile).with_name("compiled"),
        }
        self.environ = {**os.environ, **{name: str(value) for name, value in variables.items()}}
        if profile:
            shutil.copytree(profile, self.profile)
            return
        self.profile.mkdir(mode=0o700)
        enabled = self("plugins", "enable", "ssdiff")
        assert enabled.returncode == 0, enabled.stderr

    def __call__(self, *arguments, **extra) -> subprocess.CompletedProcess:
        """Runs qgis_process with these arguments and additional environment variables."""
        return self._run([QGIS_PROCESS, *map(str, arguments)], extra)

    def python(self, code: str, *arguments, **extra) -> subprocess.CompletedProcess:
        """Runs Python code with QGIS in this profile.

        `app` is the QgsApplication, and the plugin can be imported as ssdiff.
        """
        return self.run_alone(INITIALISE + code, *arguments, **extra)

    def run_alone(self, code: str, *arguments, **extra) -> subprocess.CompletedProcess:
        """Runs a Python program that starts QGIS itself."""
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return self._run(command, {"PYTHONPATH": f"{self.plugins}{os.pathsep}{QGIS_PLUGINS}", **extra})

    def runs(self, *runs: tuple[str, dict], **extra) -> list[tuple[dict | None, str]]:
        """Runs algorithms of the plugin one after another in one process; the time is mostly that of starting QGIS.

        runs: the name and the parameters of each. Returns the outputs, or None for a failed run, and the log of each.
        """
        given = [(name, {key: str(value) for key, value in parameters.items()}) for name, parameters in runs]
        done = self.python(RUNS, json.dumps(given), **extra)
        answers = [line for line in done.stdout.splitlines() if line.startswith("RAN ")]
        assert answers, done.stderr
        return json.loads(answers[-1][len("RAN ") :])

    def settings(self, **sections) -> None:
        """Writes settings into the file that QGIS keeps them in, a dictionary for each section."""
        file = self.profile / "profiles" / "default" / "QGIS" / "QGIS3.ini"
        parser = configparser.RawConfigParser()
        parser.optionxform = str
        parser.read(file)
        parser.read_dict(sections)
        with open(file, "w") as out:
            parser.write(out, space_around_delimiters=False)

    def _run(self, command, extra) -> subprocess.CompletedProcess:
        env = {**self.environ, **{name: str(value) for name, value in extra.items()}}
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=900)


@pytest.fixture(scope="session")
def profile(tmp_path_factory):
    """Returns the folder of a profile in which the plugin is enabled."""
    return Qgis(tmp_path_factory.mktemp("enabled"), ROOT).profile


@pytest.fixture(scope="session")
def qgis_with(tmp_path_factory, profile):
    """Returns a function that creates a QGIS with a plugin folder and a copy of a profile, by default a fresh one."""
    return lambda plugin, copied=profile: Qgis(tmp_path_factory.mktemp("qgis"), plugin, copied)


@pytest.fixture(scope="session")
def qgis_process(qgis_with):
    """Returns a QGIS with this repository as its plugin."""
    return qgis_with(ROOT)


@pytest.fixture(scope="session")
def environ(qgis_process):
    """Returns the environment of that QGIS."""
    return qgis_process.environ


@pytest.fixture(scope="session")
def plugins(qgis_process):
    """Returns the plugin folder of that QGIS."""
    return qgis_process.plugins


@pytest.fixture(scope="session")
def torchless():
    """Skips a test if QGIS's own Python has torch."""
    if not subprocess.run(["/usr/bin/python3", "-c", "import torch"], capture_output=True).returncode:
        pytest.skip("the Python of this QGIS has torch")


@pytest.fixture(scope="session")
def outputs(qgis_process):
    """Returns a function that runs an algorithm of the plugin and returns its outputs."""

    def run(algorithm, *parameters, **extra):
        done = qgis_process("run", f"ssdiff:{algorithm}", "--json", *parameters, **extra)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)["results"]

    return run


@pytest.fixture(scope="session")
def in_qgis(qgis_process):
    """Returns a function that runs Python code in QGIS without windows and returns its variable `answer`."""

    def run(code, processing=True, **extra):
        folders = {} if processing else {"PYTHONPATH": qgis_process.plugins}
        whole = f"answer = None\n{code}\nprint('ANSWER', json.dumps(answer), flush=True)\napp.exitQgis()\n"
        done = qgis_process.python(whole, **folders, **extra)
        answers = [line for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
        assert answers, done.stderr
        return json.loads(answers[-1][len("ANSWER ") :])

    return run
