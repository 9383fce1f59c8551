from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QGIS_PROCESS = shutil.which("qgis_process.bin") or shutil.which("qgis_process")


class Qgis:
    """A real QGIS with a profile of its own and a plugin folder."""

    def __init__(self, folder: Path, plugin: Path):
        self.profile = folder / "profile"
        self.plugins = folder / "plugins"
        for made in (self.profile, self.plugins):
            made.mkdir(mode=0o700)
        (self.plugins / "ssdiff").symlink_to(plugin)
        enabled = self("plugins", "enable", "ssdiff")
        assert enabled.returncode == 0, enabled.stderr

    def __call__(self, *arguments, **extra) -> subprocess.CompletedProcess:
        """qgis_process with these arguments, and more in its environment."""
        return self._run([QGIS_PROCESS, *arguments], extra)

    def python(self, code: str, *arguments, **extra) -> subprocess.CompletedProcess:
        """Python with QGIS in this profile; `app` is its application, and the plugin can be imported as ssdiff."""
        begin = "import sys; from qgis.core import QgsApplication; app = QgsApplication([], False); app.initQgis()\n"
        return self._run(
            [sys.executable, "-c", begin + code, *map(str, arguments)], {"PYTHONPATH": self.plugins, **extra}
        )

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
        env = {
            **os.environ,
            "QT_QPA_PLATFORM": "offscreen",
            "QGIS_CUSTOM_CONFIG_PATH": self.profile,
            "QGIS_PLUGINPATH": self.plugins,
            "XDG_RUNTIME_DIR": self.profile,
            "SSDIFF_PYTHON": sys.executable,
            **extra,
        }
        env = {name: str(value) for name, value in env.items()}
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="session")
def qgis_with(tmp_path_factory):
    """Makes a QGIS with a plugin folder, and a profile that no other has."""
    return lambda plugin: Qgis(tmp_path_factory.mktemp("qgis"), plugin)


@pytest.fixture(scope="session")
def qgis_process(qgis_with):
    """QGIS with this project as its plugin."""
    return qgis_with(ROOT)
