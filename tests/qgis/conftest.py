"""A real QGIS with a profile of its own, in which the repository root is the plugin folder."""

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
SCRIPT = """
import json, sys
sys.path[:0] = {paths!r}
from qgis.core import QgsApplication
application = QgsApplication([], False)
application.initQgis()
answer = None
{code}
print("ANSWER", json.dumps(answer), flush=True)
application.exitQgis()
"""


@pytest.fixture(scope="session")
def plugins(tmp_path_factory):
    """A folder of plugins, with this one in it under its name."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "ssdiff").symlink_to(ROOT)
    return folder


@pytest.fixture(scope="session")
def environ(tmp_path_factory, plugins):
    """Of a user whose folders are all fresh."""
    home = tmp_path_factory.mktemp("home")
    return {
        **os.environ,
        "HOME": str(home),
        "QT_QPA_PLATFORM": "offscreen",
        "QGIS_CUSTOM_CONFIG_PATH": str(home / "profile"),
        "QGIS_PLUGINPATH": str(plugins),
        "XDG_RUNTIME_DIR": str(home),
        "SSDIFF_CACHE": str(home / "cache"),
        "SSDIFF_PYTHON": sys.executable,
    }


@pytest.fixture(scope="session")
def qgis_process(environ):
    """Runs qgis_process; keywords are variables of its environment."""

    def run(*arguments, **extra):
        return subprocess.run(
            [QGIS_PROCESS, *arguments], env={**environ, **extra}, capture_output=True, text=True, timeout=300
        )

    enabled = run("plugins", "enable", "ssdiff")
    assert enabled.returncode == 0, enabled.stderr
    return run


@pytest.fixture(scope="session")
def outputs(qgis_process):
    """What an algorithm of ours answers."""

    def run(algorithm, *parameters, **extra):
        done = qgis_process("run", f"ssdiff:{algorithm}", "--json", *parameters, **extra)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)["results"]

    return run


@pytest.fixture(scope="session")
def in_qgis(environ, plugins):
    """Runs Python in a QGIS without windows, in which `ssdiff` can be imported; what it calls `answer` comes back."""

    def run(code, processing=True, **extra):
        paths = [str(plugins), *([QGIS_PLUGINS] if processing else [])]
        script = SCRIPT.format(paths=paths, code=code)
        done = subprocess.run(
            [sys.executable, "-c", script], env={**environ, **extra}, capture_output=True, text=True, timeout=300
        )
        answers = [line for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
        assert answers, done.stderr
        return json.loads(answers[-1][len("ANSWER ") :])

    return run
