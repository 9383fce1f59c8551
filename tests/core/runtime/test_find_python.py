"""Where interpreters lie on each system, and what they answer."""

import sys

import pytest

from ssdiff_core.runtime import find_python
from ssdiff_core.runtime.find_python import Host

QGIS = {
    "OSGeo4W": (
        Host("win32", r"C:\OSGeo4W\bin\qgis-bin.exe", r"C:\OSGeo4W\apps\Python312", (3, 12)),
        [r"C:\OSGeo4W\apps\Python312\python.exe", r"C:\OSGeo4W\bin\python3.exe"],
        r"C:\OSGeo4W\apps\Python312\python.exe",
    ),
    "the installer for Windows": (
        Host(
            "win32", r"C:\Program Files\QGIS 3.34\bin\qgis-ltr-bin.exe", r"C:\PROGRA~1\QGIS3~1.34\apps\Python39", (3, 9)
        ),
        [r"C:\PROGRA~1\QGIS3~1.34\apps\Python39\python3.exe", r"C:\Program Files\QGIS 3.34\bin\python.exe"],
        r"C:\PROGRA~1\QGIS3~1.34\apps\Python39\python3.exe",
    ),
    "conda on Windows": (
        Host("win32", r"C:\envs\gis\Library\bin\qgis.exe", r"C:\envs\gis", (3, 13)),
        [r"C:\envs\gis\python.exe"],
        r"C:\envs\gis\python.exe",
    ),
    "QGIS.app": (
        Host("darwin", "/Applications/QGIS.app/Contents/MacOS/QGIS", "/Applications/QGIS.app/Contents/MacOS", (3, 9)),
        ["/Applications/QGIS.app/Contents/MacOS/bin/python3"],
        "/Applications/QGIS.app/Contents/MacOS/bin/python3",
    ),
    "QGIS.app since 3.44": (
        Host(
            "darwin",
            "/Applications/QGIS.app/Contents/MacOS/QGIS",
            "/Applications/QGIS.app/Contents/Frameworks",
            (3, 12),
        ),
        ["/Applications/QGIS.app/Contents/MacOS/python3.12"],
        "/Applications/QGIS.app/Contents/MacOS/python3.12",
    ),
    "conda on macOS": (
        Host("darwin", "/opt/conda/envs/gis/QGIS.app/Contents/MacOS/QGIS", "/opt/conda/envs/gis", (3, 12)),
        ["/opt/conda/envs/gis/bin/python3.12", "/opt/conda/envs/gis/bin/python3"],
        "/opt/conda/envs/gis/bin/python3.12",
    ),
    "Debian": (
        Host("linux", "/usr/bin/python3", "/usr", (3, 11)),
        ["/usr/bin/python3", "/usr/bin/python3.11"],
        "/usr/bin/python3.11",
    ),
    "a shim of another Python first on PATH": (
        Host("linux", "/home/me/.pyenv/shims/python3", "/usr", (3, 11)),
        ["/home/me/.pyenv/shims/python3", "/usr/bin/python3.11"],
        "/usr/bin/python3.11",
    ),
    "Flatpak": (Host("linux", "/usr/bin/python3", "/usr", (3, 12)), ["/usr/bin/python3"], "/usr/bin/python3"),
    "conda on Linux": (
        Host("linux", "/opt/conda/envs/gis/bin/python3", "/opt/conda/envs/gis", (3, 12)),
        ["/opt/conda/envs/gis/bin/python3.12", "/usr/bin/python3"],
        "/opt/conda/envs/gis/bin/python3.12",
    ),
}


@pytest.mark.parametrize("name", QGIS)
def test_the_interpreter_of_each_qgis_is_found_where_it_lies(name):
    host, files, interpreter = QGIS[name]
    assert find_python.own(host, files.__contains__)[0] == interpreter


@pytest.mark.parametrize("name", QGIS)
def test_the_program_itself_is_never_taken_for_an_interpreter(name):
    host = QGIS[name][0]
    assert not any("qgis" in path.replace("\\", "/").rsplit("/", 1)[-1].lower() for path in find_python.own(host, bool))


def test_where_there_is_none_none_is_found():
    assert find_python.own(Host("linux", "", "", (3, 11)), lambda path: False) == []


def test_the_shim_of_macos_that_asks_to_install_developer_tools_is_not_touched():
    others = find_python.of_system(Host("darwin"), bool)
    assert "/usr/bin/python3" not in others
    assert others.index("/opt/homebrew/bin/python3.13") < others.index("/opt/homebrew/bin/python3.9")
    assert find_python.of_system(Host("win32"), bool) == []


def test_an_interpreter_says_what_it_is():
    told = find_python.properties(sys.executable)
    assert told.version == sys.version_info[:2]
    assert told.platform == find_python.this_platform()
    assert told.tag == "py{}{}-".format(*told.version) + told.platform
    assert told.venv


@pytest.mark.parametrize("path", ["/nowhere/python", __file__, "/bin/true"])
def test_what_is_no_python_says_nothing(path):
    assert find_python.properties(path) is None


def test_platforms_are_called_what_wheels_are_made_for():
    assert find_python.this_platform("linux", "x86_64") == "linux-x86_64"
    assert find_python.this_platform("linux", "aarch64") == "linux-aarch64"
    assert find_python.this_platform("darwin", "arm64") == "macos-arm64"
    assert find_python.this_platform("win32", "ARM64", "win-amd64") == "win-amd64"  # QGIS for Intel on an ARM computer
