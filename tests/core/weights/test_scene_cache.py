"""What was learnt about scenes is kept for further runs."""

import json
import os

import pytest

from ssdiff_core.weights import scene_cache


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SSDIFF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "scenes"


def weights_file(tmp_path, content=b"weights"):
    file = tmp_path / "made.safetensors"
    file.write_bytes(content)
    return file


def test_an_entry_is_read_as_it_was_written(tmp_path):
    scene = tmp_path / "scene.tif"
    scene.write_bytes(b"x")
    key = scene_cache.key_of(scene_cache.WEIGHTS, [str(scene)], 1, "two")
    assert scene_cache.read(key) is None
    kept = scene_cache.write(key, {"seconds": 1.5}, weights_file(tmp_path))
    entry = scene_cache.read(key)
    assert (entry.kind, entry.record["seconds"], entry.weights) == ("weights", 1.5, kept)
    assert kept.read_bytes() == b"weights"
    assert entry.size == kept.stat().st_size + entry.path.stat().st_size


def test_a_changed_file_has_another_key(tmp_path):
    scene = tmp_path / "scene.tif"
    scene.write_bytes(b"x")
    before = scene_cache.key_of(scene_cache.STATISTICS, [str(scene)])
    assert before == scene_cache.key_of(scene_cache.STATISTICS, [str(scene)])
    assert before != scene_cache.key_of(scene_cache.STATISTICS, [str(scene)], "more")
    scene.write_bytes(b"xy")
    assert before != scene_cache.key_of(scene_cache.STATISTICS, [str(scene)])


def test_nothing_is_kept_of_files_whose_changes_cannot_be_noticed(tmp_path, cache):
    key = scene_cache.key_of(scene_cache.WEIGHTS, ["/vsicurl/http://localhost/x.tif"])
    made = weights_file(tmp_path)
    assert scene_cache.write(key, {}, made) == made
    assert scene_cache.read(key) is None
    assert not cache.exists()


@pytest.mark.parametrize("damage", ["record", "weights", "missing"])
def test_a_damaged_entry_counts_as_missing(tmp_path, damage):
    kept = scene_cache.write("weights-1", {"seconds": 1}, weights_file(tmp_path))
    record = kept.with_suffix(".json")
    if damage == "record":
        record.write_text(record.read_text()[:-5])
    elif damage == "weights":
        kept.write_bytes(b"other")
    else:
        kept.unlink()
    assert scene_cache.read("weights-1") is None


def test_the_entries_unused_for_longest_are_removed_when_the_cache_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr(scene_cache, "MAXIMUM_BYTES", 2500)
    for number in range(4):
        kept = scene_cache.write(f"weights-{number}", {}, weights_file(tmp_path, bytes(1000)))
        os.utime(kept.with_suffix(".json"), (number, number))
        if number == 1:
            assert scene_cache.read("weights-0")  # used again, so it is not the oldest
    assert [entry.path.stem for entry in scene_cache.entries()] == ["weights-0", "weights-3"]
    assert scene_cache.clear()[0] == 2
    assert list(scene_cache.folder().iterdir()) == []


def test_a_folder_that_cannot_be_written_to_costs_only_the_cache(tmp_path, cache):
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    made = weights_file(tmp_path)
    assert scene_cache.write("weights-1", {"seconds": 1}, made) == made
    assert made.exists()
    assert scene_cache.read("weights-1") is None
    assert not scene_cache.working_file().is_relative_to(cache)


def test_a_record_is_plain_json(tmp_path):
    kept = scene_cache.write("weights-1", {"seconds": 1}, weights_file(tmp_path))
    assert set(json.loads(kept.with_suffix(".json").read_text())) == {"seconds", "sha256", "check"}


@pytest.mark.parametrize("change", [{"seconds": 2}, {"seconds": "x"}, {"more": 1}])
def test_an_entry_that_was_changed_counts_as_missing(change):
    scene_cache.write("shift-1", {"seconds": 1})
    path = scene_cache.folder() / "shift-1.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert scene_cache.read("shift-1") is None


@pytest.mark.skipif(os.name == "nt", reason="pipes and devices")
@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_or_device_in_place_of_an_entry_is_not_read(tmp_path, suffix, kind):
    kept = scene_cache.write("weights-1", {"seconds": 1}, weights_file(tmp_path)).with_suffix(suffix)
    kept.unlink()
    os.mkfifo(kept) if kind == "pipe" else kept.symlink_to("/dev/zero")
    assert scene_cache.read("weights-1") is None
    scene_cache.write("weights-2", {})
    assert scene_cache.read("weights-2")


@pytest.mark.skipif(os.name == "nt" or os.getuid() != 0, reason="needs the administrator, who may give files away")
def test_an_entry_of_another_user_counts_as_missing():
    scene_cache.write("shift-1", {"seconds": 1})
    os.chown(scene_cache.folder() / "shift-1.json", 65534, 65534)
    assert scene_cache.read("shift-1") is None
