"""Parts of large scenes: what an earlier attempt has fused is found again, and a damaged file is not used."""

from __future__ import annotations

from ssdiff_core.archive import parts
from ssdiff_core.archive.parts import groups_of
from ssdiff_core.domain.block_passes import blocks_of
from ssdiff_core.domain.window import Window


def test_a_block_stays_in_its_part_when_others_are_done(monkeypatch):
    monkeypatch.setattr(parts, "PART_PIXELS", 3 * 256 * 256)
    blocks = dict(enumerate(blocks_of(Window(0, 0, 1000, 1100), 256)))
    groups = groups_of(blocks)
    assert [number for group in groups for number, _ in group] == list(blocks)
    assert max(map(len, groups)) == 3
    left = {number: window for number, window in blocks.items() if number > 7}
    assert groups_of(left)[1:] == groups[3:]
    assert set(groups_of(left)[0]) <= set(groups[2])


def test_a_damaged_part_file_is_not_used():
    whole = b'{"crc": 907060870, "sums": []}\nhello'
    assert parts._is_whole(whole)
    for damaged in (None, b"", whole[:-1], whole.replace(b"l", b"m"), whole[1:], b"[]\n"):
        assert not parts._is_whole(damaged)
