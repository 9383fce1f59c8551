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
