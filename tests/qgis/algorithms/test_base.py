"""What all algorithms have in common."""

from files import sample_files
from plugins import plugin_with


def test_a_bug_is_one_sentence_that_names_the_files_and_its_traceback_is_in_the_log_on_request(qgis_with, tmp_path):
    plugin = plugin_with(tmp_path / "plugin")
    with open(plugin / "ssdiff_core" / "raster" / "reader.py", "a") as file:
        file.write("\n\ndef alignment(*arguments):\n    raise LookupError('no place')\n")
    pan, ms, _ = sample_files(tmp_path, 64)
    align = "align", {"PANCHROMATIC": pan, "SPECTRAL": ms}
    qgis = qgis_with(plugin)
    for extra, shown in (({}, False), ({"SSDIFF_DEBUG": "1"}, True)):
        ((outputs, log),) = qgis.runs(align, **extra)
        assert outputs is None
        for part in ("LookupError: no place", str(pan), str(ms), "This is a bug of SSDiff: please report it"):
            assert part in log
        assert ("Traceback (most recent call last)" in log) == shown


def test_adapting_and_fusing_share_the_bar_and_the_log_tells_the_speed(in_qgis):
    code = """
from qgis.core import QgsProcessingFeedback
from ssdiff.ssdiff_core.common.notices import Notice
from ssdiff.ssdiff_qgis.algorithms import base
base.ESTIMATE_AFTER = base.ESTIMATE_INTERVAL = 0.0
feedback, texts = QgsProcessingFeedback(), []
feedback.setProgressText = texts.append
progress = base.RunProgress(feedback, 0.8)
progress.receive(Notice("estimate", {"total": 40.0, "adapting": 10.0}))
answer = []
for pixels in (0, 1_000_000):
    report = progress(pixels)
    for share in (0.0, 0.5, 1.0):
        report(share)
        answer.append(round(feedback.progress()))
answer.append(texts)
"""
    *shares, texts = in_qgis(code)
    assert shares == [0, 10, 20, 20, 50, 80]
    assert [text.split(",")[0] for text in texts] == ["10% done", "50% done"]
    assert ["million pixels a second" in text for text in texts] == [False, True]
