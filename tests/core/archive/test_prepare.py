"""Plans of archives, which open the headers of the scenes."""

from archives import make_pairs

from ssdiff_core.archive.job import ArchiveRun
from ssdiff_core.archive.prepare import PATTERN, prepare
from ssdiff_core.common.fingerprints import sha256_of
from ssdiff_core.deliveries import find_scenes
from ssdiff_core.domain.options import PansharpenOptions
from ssdiff_core.weights import catalogue


def test_the_weights_of_all_scenes_of_a_kind_are_looked_up_once(tmp_path, monkeypatch):
    """Looking up reads all weights files, to compare their checksums."""
    known, looked_up = catalogue.known, []
    monkeypatch.setattr(catalogue, "known", lambda **given: looked_up.append(1) or known(**given))
    run = ArchiveRun(str(tmp_path / "out"), PansharpenOptions())
    scenes = find_scenes([make_pairs(tmp_path / "in", 3)])
    prepared = prepare(scenes, run, PATTERN, 100, lambda entry: entry.path, print)
    assert len(prepared.jobs) == 3
    assert len(looked_up) == 1
    ((digest, path),) = prepared.weights.items()
    assert digest == sha256_of(path)
    assert {job.weights for job in prepared.jobs} == {digest}
