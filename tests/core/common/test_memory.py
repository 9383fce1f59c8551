"""Free memory of the computer."""

from ssdiff_core.common import memory


def test_free_memory_is_read_from_the_system(tmp_path, monkeypatch):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  9000 kB\nMemFree:  100 kB\nMemAvailable:    2048 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", meminfo)
    assert memory.free_memory() == 2048 * 1024


def test_a_system_that_does_not_tell_gets_a_part_of_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "none")
    assert memory.free_memory() > 0
