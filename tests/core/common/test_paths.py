"""The cache folder of each system, and the variable that selects another one."""

from pathlib import Path

import pytest

from ssdiff_core.common import paths


@pytest.mark.parametrize(
    ("system", "environ", "folder"),
    [
        ("linux", {"HOME": "/home/a"}, "/home/a/.cache/ssdiff"),
        ("linux", {"HOME": "/home/a", "XDG_CACHE_HOME": "/big"}, "/big/ssdiff"),
        ("darwin", {"HOME": "/Users/a"}, "/Users/a/Library/Caches/ssdiff"),
        ("win32", {"LOCALAPPDATA": "C:/Users/a/AppData/Local"}, "C:/Users/a/AppData/Local/ssdiff"),
        ("win32", {"USERPROFILE": "C:/Users/a"}, "C:/Users/a/AppData/Local/ssdiff"),
        ("darwin", {"HOME": "/Users/a", "SSDIFF_CACHE": "/Volumes/x"}, "/Volumes/x"),
    ],
)
def test_the_cache_folder_is_that_of_the_system_or_of_the_variable(system, environ, folder):
    assert paths.cache(environ, system) == Path(folder)
