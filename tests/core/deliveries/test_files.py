"""Places are walked within limits, and nothing that is in them makes that fail or wait."""

import os
import shutil
import tarfile
import zipfile

import pytest

from scripts import make_deliveries
from ssdiff_core.common.errors import Cancelled, ConfigError
from ssdiff_core.deliveries import files, find_scenes
from ssdiff_core.deliveries.files import files_at, inside, name_of

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes with names of files")


def with_notices(function, *arguments):
    notices = []
    return function(*arguments, notices.append), [notice.kind for notice in notices]


@posix
def test_links_in_circles_and_pipes_are_passed_over(scene, tmp_path):
    make_deliveries.maxar(tmp_path / "in", scene)
    (tmp_path / "in" / "again").symlink_to(tmp_path)
    (tmp_path / "in" / "broken").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "in" / "a_pan.tif")
    (found,) = find_scenes([tmp_path])
    assert found.complete


def test_deep_folders_are_left_out(tmp_path):
    deep = tmp_path.joinpath(*map(str, range(files.MAXIMUM_DEPTH)))
    (deep / "x").mkdir(parents=True)
    for folder in (deep, deep / "x"):
        (folder / "a.txt").write_text("")
    assert list(files_at(str(tmp_path), print).paths) == [f"{deep.as_posix()}/a.txt"]


def test_a_search_tells_how_far_it_is_and_ends_when_it_is_cancelled(scene, tmp_path):
    make_deliveries.maxar(tmp_path / "in", scene)
    (tmp_path / "empty" / "below").mkdir(parents=True)
    told = []
    find_scenes([tmp_path], watch=told.append)
    assert [notice.kind for notice in told].count("search_listing") > 5  # each folder and each layout
    assert (told[-1].kind, told[-1].values["number"], told[-1].values["total"]) == ("search_checking", 1, 1)
    for number in range(len(told)):
        with pytest.raises(Cancelled):
            find_scenes([tmp_path], watch=cancelled_at(number))


def cancelled_at(number: int):
    """Returns a watch that raises Cancelled when it is told something after this number of times."""
    left = iter(range(number))

    def watch(told):
        if next(left, None) is None:
            raise Cancelled("cancelled")

    return watch


def test_too_many_files_are_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAXIMUM_FILES", 5)
    for number in range(9):
        (tmp_path / f"{number}.txt").write_text("")
    found, kinds = with_notices(files_at, str(tmp_path))
    assert (len(found.paths), kinds) == (5, ["place_truncated"])


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user for whom permissions count")
def test_a_folder_that_cannot_be_read_is_reported(tmp_path):
    (tmp_path / "closed").mkdir(mode=0)
    assert with_notices(files_at, str(tmp_path))[1] == ["place_unreadable"]


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz", ".tgz", ".ZIP"])
def test_archives_are_read_without_unpacking(scene, tmp_path, ending):
    root = make_deliveries.airbus(tmp_path / "in", scene)
    archive = tmp_path / f"order{ending}"
    if ending.lower() == ".zip":
        with zipfile.ZipFile(archive, "w") as file:
            for path in root.rglob("*"):
                file.write(path, path.relative_to(tmp_path / "in"))
    else:
        with tarfile.open(archive, "w" if ending == ".tar" else "w:gz") as file:
            file.add(root, root.name)
    shutil.rmtree(tmp_path / "in")
    found, kinds = with_notices(find_scenes, [tmp_path])
    assert [delivery.complete for delivery in found] == [True]
    assert found[0].sensor == "pleiades"
    assert kinds == (["archive_slow"] if ending in (".tar.gz", ".tgz") else [])
    assert with_notices(find_scenes, [archive])[0] == [found[0].__class__(**{**vars(found[0]), "place": str(archive)})]
    assert with_notices(find_scenes, [inside(str(archive))])[0][0].pan == found[0].pan


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", os.urandom(5000)])
@pytest.mark.parametrize("ending", [".zip", ".tar", ".tgz"])
def test_a_damaged_archive_is_reported_and_the_rest_is_found(scene, tmp_path, ending, content):
    make_deliveries.airbus(tmp_path, scene)
    (tmp_path / f"damaged{ending}").write_bytes(content)
    found, kinds = with_notices(find_scenes, [tmp_path])
    assert [delivery.complete for delivery in found] == [True]
    assert set(kinds) <= {"place_unreadable", "archive_slow"}


def test_names_in_archives_that_lead_elsewhere_are_no_files_there(scene, tmp_path):
    pan, ms = scene.write(tmp_path / "p.tif", scene.pan), scene.write(tmp_path / "m.tif", scene.ms, 4)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.write(pan, "../../a_pan.tif")
        file.write(ms, "../../a_ms.tif")
        file.write(ms, "/etc/b_ms.tif")
    for delivery in find_scenes([tmp_path / "x.zip"]):
        assert all(path.startswith(f"/vsizip/{tmp_path}/x.zip") for path in delivery.files)


@pytest.mark.parametrize("name", ["nothing", "text.txt"])
def test_what_is_no_place_is_an_error(tmp_path, name):
    (tmp_path / "text.txt").write_text("")
    with pytest.raises(ConfigError, match="name a folder, an archive, a list"):
        find_scenes([tmp_path / name])


def test_a_remote_place_is_not_listed_offline(monkeypatch):
    monkeypatch.setenv("SSDIFF_OFFLINE", "1")
    from ssdiff_core.common.errors import RasterError

    with pytest.raises(RasterError, match="SSDIFF_OFFLINE"):
        find_scenes(["/vsis3/bucket/folder"])


def test_the_name_of_a_file_is_what_follows_the_last_slash():
    assert [name_of(path) for path in ("/a/b.tif", "b.tif", "/vsizip//a.zip/c/d")] == ["b.tif", "b.tif", "d"]
