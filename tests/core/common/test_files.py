"""Kinds and identities of files, and outputs that replace nothing else."""

import os
import socket

import pytest

from ssdiff_core.common.errors import ConfigError
from ssdiff_core.common.files import (
    check_targets,
    identity,
    is_own,
    kind_of,
    open_new,
    open_own,
    open_own_or_new,
    open_to_read,
    write_whole,
)

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")


@posix
def test_what_is_no_regular_file_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")  # names of sockets are short
        kinds = [kind_of(tmp_path / name) for name in ("file", "none", "folder", "pipe", "socket", "link")]
    assert kinds == ["", "", "a folder", "a pipe", "a socket", "a pipe"]
    assert kind_of(tmp_path / "link", follow=False) == "a link"
    assert kind_of(os.devnull) == "a device"


@posix
def test_a_file_is_the_same_under_all_its_names(tmp_path):
    (tmp_path / "file").write_text("x")
    os.link(tmp_path / "file", tmp_path / "hard")
    (tmp_path / "soft").symlink_to("file")
    (tmp_path / "copy").write_text("x")
    (tmp_path / "folder").mkdir()
    same = [identity(tmp_path / name) for name in ("file", "hard", "soft", "folder/../file")]
    assert len(set(same)) == 1
    assert identity(tmp_path / "copy") not in same
    assert identity(tmp_path / "new") == identity(tmp_path / "folder" / ".." / "new")


@posix
def test_a_new_file_is_not_written_through_a_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    with pytest.raises(FileExistsError):
        open_new(tmp_path / "link")
    (tmp_path / "victim").write_text("precious")
    with pytest.raises(OSError, match="it is a link"):
        open_own(tmp_path / "link")
    assert (tmp_path / "victim").read_text() == "precious"


@posix
@pytest.mark.parametrize("opened", [open_to_read, open_own, open_own_or_new])
def test_a_pipe_is_named_and_not_waited_for(tmp_path, opened):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="it is a pipe"):
        opened(tmp_path / "pipe")


@posix
@pytest.mark.skipif(getattr(os, "getuid", int)() != 0, reason="only root can give files away")
def test_a_file_is_own_unless_others_may_change_it(tmp_path):
    modes = {"own": (0, 0o644), "open": (0, 0o666), "strange": (65534, 0o644)}
    for name, (owner, mode) in modes.items():
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(mode)
        os.chown(tmp_path / name, owner, os.getgid())
    assert [is_own(tmp_path / name) for name in modes] == [True, False, False]


def test_a_text_is_written_in_one_step(tmp_path):
    (tmp_path / "page").write_text("old")
    write_whole(tmp_path / "page", "né\n" * 1000)
    assert (tmp_path / "page").read_bytes() == "né\n".encode() * 1000
    assert os.listdir(tmp_path) == ["page"]


@posix
@pytest.mark.parametrize("name", ["file", "hard", "soft", "./file"])
def test_no_output_is_an_input_under_any_name(tmp_path, name):
    (tmp_path / "file").write_text("x")
    os.link(tmp_path / "file", tmp_path / "hard")
    (tmp_path / "soft").symlink_to("file")
    with pytest.raises(ConfigError, match="is one of the inputs"):
        check_targets(f"{tmp_path}/{name}", inputs=[tmp_path / "file"])
    with pytest.raises(ConfigError, match="is one of the inputs"):
        check_targets(tmp_path / "new", inputs=[tmp_path / "file"], beside=[tmp_path / name])


@posix
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_only_regular_files_are_replaced(tmp_path, kind):
    target = tmp_path / "target"
    if kind == "pipe":
        os.mkfifo(target)
    else:
        try:
            os.mknod(target, 0o600 | 0o020000, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("only root can make a device")
    with pytest.raises(ConfigError, match=f"target is a {kind}: give a file"):
        check_targets(target)


def test_two_outputs_do_not_share_a_file(tmp_path):
    with pytest.raises(ConfigError, match="is used for two outputs"):
        check_targets(tmp_path / "o.tif", tmp_path / "o.tif.part", beside=[tmp_path / "o.tif.part"])
