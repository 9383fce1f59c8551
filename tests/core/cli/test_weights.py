"""`ssdiff weights`, and `ssdiff pansharpen` with weights that are not here yet: the commands, with a real server."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import command
import numpy as np
import pytest
from files import write
from plugins import tiny
from scenes import SAMPLE
from servers import cut, stalled
from waiting import HANG_SECONDS

from ssdiff_core.common import paths
from ssdiff_core.weights import catalogue


@pytest.fixture
def server(release_server):
    return release_server


@pytest.fixture
def environ(server, tmp_path):
    """Environment variables of the commands: a cache of their own, and the server."""
    return {"SSDIFF_CACHE": str(tmp_path / "cache"), "SSDIFF_WEIGHTS_URL": server.url, "no_proxy": "*"}


@pytest.fixture
def ssdiff(plugin_of_release, environ, monkeypatch):
    """The command line with the catalogue of the plugin folder; a process of its own would import PyTorch each time."""
    resources = plugin_of_release / "resources"
    listed = catalogue._catalogue(resources)
    monkeypatch.setattr(catalogue, "_catalogue", lambda _: listed)
    monkeypatch.setattr(paths, "RESOURCES", resources)

    def ssdiff(*arguments, expect=0, **more):
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**environ, **more}.items():
                patch.setenv(name, value)
            return command.ssdiff(*arguments, expect=expect)

    return ssdiff


def test_list_shows_all_there_are_and_where(ssdiff, server):
    ssdiff("weights", "get", "four")
    words = [line.split() for line in ssdiff("weights", "list").stdout.splitlines()]
    told = json.loads(ssdiff("weights", "list", "--json").stdout)
    assert {entry["id"]: entry["state"] for entry in told["weights"]} == {
        **{"general-4": "bundled", "four": "here", "eight": "not here"}
    }
    assert told["home"] == server.url + "/"
    secret = ssdiff("weights", "list", "--json", SSDIFF_WEIGHTS_URL="https://me:secret@mirror/w").stdout
    assert json.loads(secret)["home"] == "https://mirror/.../"
    assert [line[0] for line in words] == [entry["id"] for entry in told["weights"]]


def test_get_fetches_what_is_missing_and_prints_where_it_is(ssdiff, server, tmp_path, release):
    server.script = [cut(102_400)]
    done = ssdiff("weights", "get", "eight", "--progress", "json")
    path = Path(done.stdout.strip())
    assert path.parent == tmp_path / "cache" / "weights"
    assert path.read_bytes() == release[1].read_bytes()
    assert "Downloading weights eight, " in done.stderr
    assert json.loads(done.stderr.splitlines()[-1])["progress"] == 1
    assert server.ranges == [None, "bytes=102400-"]
    lines = ssdiff("weights", "get", "all").stdout.splitlines()
    assert len(lines) == 3
    assert len(server.asked) == 3


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signals here")
def test_an_interrupt_ends_it_and_the_next_run_goes_on(plugin_of_release, ssdiff, environ, server, tmp_path):
    server.script = [stalled(1_000_000)]
    get = [sys.executable, "-m", "ssdiff_core", "weights", "get", "eight"]
    env = {**os.environ, **environ, "PYTHONPATH": str(plugin_of_release)}
    with subprocess.Popen(get, cwd=plugin_of_release, env=env, stderr=subprocess.PIPE, text=True) as get:
        while not any(path.stat().st_size for path in tmp_path.rglob("*.part")):
            assert get.poll() is None
            time.sleep(0.05)
        get.send_signal(signal.SIGINT)
        assert get.wait(HANG_SECONDS) == 130
        assert get.stderr.read().splitlines()[-1] == "ssdiff: interrupted"
    ssdiff("weights", "get", "eight")
    assert server.ranges[1].startswith("bytes=")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("get", "nine"), "unknown weights 'nine': choose general-4, four, eight, or give the path of a file"),
        (("get", "eight"), "not on this computer"),
        (("verify", "eight"), "weights eight are not on this computer: download them with ssdiff weights get eight"),
        (("verify", "nowhere.safetensors"), "nowhere.safetensors cannot be read"),
        (("verify", "nowhere"), "unknown weights 'nowhere': choose "),
        (("import", "nowhere.safetensors"), "nowhere.safetensors cannot be read"),
    ],
)
def test_a_failure_is_one_sentence(ssdiff, arguments, sentence):
    done = ssdiff("weights", *arguments, expect=1, SSDIFF_OFFLINE="1")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_checkpoint_needs_its_options(ssdiff):
    assert "usage:" in ssdiff("weights", "import", "x.pt", "--id", "x", expect=2).stderr


def test_a_weights_file_takes_no_id_from_the_command(ssdiff, tmp_path):
    mine = tiny(tmp_path / "x.safetensors", "mine", 4)
    assert "are for a .pt checkpoint" in ssdiff("weights", "import", mine, "--id", "other", expect=2).stderr


def test_import_takes_a_file_in_and_it_is_found_by_its_id(ssdiff, tmp_path):
    ssdiff("weights", "import", tiny(tmp_path / "x.safetensors", "mine", 4), SSDIFF_OFFLINE="1")
    assert json.loads(ssdiff("weights", "verify", "mine", "--json").stdout)["published"] is False
    poisoned = tiny(tmp_path / "y.safetensors", "poisoned", 4)
    poisoned.write_bytes(poisoned.read_bytes()[:-64] + b"\xff" * 64)
    assert "NaN" in ssdiff("weights", "import", poisoned, expect=1).stderr


def test_a_published_file_that_came_by_another_way_is_what_get_would_have_fetched(ssdiff, release, server):
    ssdiff("weights", "import", release[1], SSDIFF_OFFLINE="1")
    ssdiff("weights", "get", "eight")
    assert json.loads(ssdiff("weights", "verify", "eight", "--json").stdout)["published"] is True
    assert server.asked == []


def test_verify_looks_at_all_that_is_here(ssdiff, tmp_path):
    ssdiff("weights", "get", "four", "eight")
    folder = tmp_path / "cache" / "weights"
    tiny(folder / "mine.safetensors", "mine", 4)
    assert [line.rsplit(": ")[1] for line in ssdiff("weights", "verify").stdout.splitlines()] == [
        *("general-4, as published", "eight, as published", "four, as published", "mine, intact")
    ]
    eight = next(folder.glob("eight-*.safetensors"))
    data = bytearray(eight.read_bytes())
    data[-1] ^= 1
    eight.write_bytes(data)
    (folder / "half.safetensors").write_bytes(data[:5000])
    done = ssdiff("weights", "verify", "--json", expect=1)
    faults = {told["file"]: told["fault"] for told in json.loads(done.stdout)["weights"] if told["fault"]}
    assert sorted(faults) == [str(eight), str(folder / "half.safetensors")]
    assert "differs from the published file" in faults[str(eight)]
    assert done.stderr == "ssdiff: 2 of 5 weights files cannot be used\n"
    ssdiff("weights", "get", "eight")  # what is damaged is fetched again
    assert "eight, as published" in ssdiff("weights", "verify", expect=1).stdout


def test_pansharpen_fetches_the_weights_it_needs(ssdiff, server, tmp_path):
    with np.load(SAMPLE) as file:
        pan = write(tmp_path / "pan.tif", file["pan"][:64, :64], (0.0, 1.0, 0.0, 0.0, 0.0, -1.0))
        ms = write(tmp_path / "ms.tif", file["ms"][:16, :16].transpose(2, 0, 1), (0.0, 4.0, 0.0, 0.0, 0.0, -4.0))
    pair = ("pansharpen", pan, ms, tmp_path / "out.tif", "--weights", "four", "--progress", "json")
    said = ssdiff(*pair, expect=1, SSDIFF_OFFLINE="1").stderr
    assert "weights four are not on this computer and cannot be downloaded" in said
    assert not (tmp_path / "out.tif").exists()
    said = ssdiff(*pair).stderr
    assert "Downloading weights four" in said
    assert (tmp_path / "out.tif").exists()
    ssdiff(*pair, SSDIFF_OFFLINE="1")
    assert len(server.asked) == 1


@pytest.mark.parametrize("record", ["{}", "[" * 100_000, '{"base": 5, "before": {"ERGAS": "x"}, "seconds": null}'])
def test_a_damaged_record_of_a_scene_does_not_break_the_list(ssdiff, tmp_path, record):
    folder = tmp_path / "cache" / "scenes"
    folder.mkdir(parents=True)
    (folder / f"weights-{'0' * 32}.json").write_text(record)
    assert "general-4" in ssdiff("weights", "list").stdout
