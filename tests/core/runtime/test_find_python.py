"""Folders of interpreters on each system, and the properties that interpreters report."""

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
def test_the_interpreter_of_each_qgis_is_found(name):
    host, files, interpreter = QGIS[name]
    assert find_python.of_program(host, files.__contains__)[0] == interpreter


@pytest.mark.parametrize("name", QGIS)
def test_the_program_itself_is_never_taken_for_an_interpreter(name):
    host = QGIS[name][0]
    assert not any(
        "qgis" in path.replace("\\", "/").rsplit("/", 1)[-1].lower() for path in find_python.of_program(host, bool)
    )


def test_no_interpreter_is_found_in_a_program_without_one():
    assert find_python.of_program(Host("linux", "", "", (3, 11)), lambda path: False) == []


def test_the_macos_shim_that_offers_to_install_developer_tools_is_not_used():
    others = find_python.of_system(Host("darwin"), bool)
    assert "/usr/bin/python3" not in others
    assert others.index("/opt/homebrew/bin/python3.13") < others.index("/opt/homebrew/bin/python3.9")
    assert find_python.of_system(Host("win32"), bool) == []


def test_an_interpreter_reports_its_properties():
    reported = find_python.properties(sys.executable)
    assert reported.version == sys.version_info[:2]
    assert reported.platform == find_python.this_platform()
    assert reported.tag == "py{}{}-".format(*reported.version) + reported.platform
    assert reported.venv


@pytest.mark.parametrize("path", ["/nowhere/python", __file__, "/bin/true"])
def test_a_program_that_is_no_python_has_no_properties(path):
    assert find_python.properties(path) is None


def test_platforms_have_the_names_that_wheels_use():
    assert find_python.this_platform("linux", "x86_64") == "linux-x86_64"
    assert find_python.this_platform("linux", "aarch64") == "linux-aarch64"
    assert find_python.this_platform("darwin", "arm64") == "macos-arm64"
    assert find_python.this_platform("win32", "ARM64", "win-amd64") == "win-amd64"  # QGIS for Intel on an ARM computer
