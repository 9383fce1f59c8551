"""Any exception becomes one sentence and an exit code."""

import errno
import os

import pytest
from osgeo import gdal

from ssdiff_core.common import failures
from ssdiff_core.common.errors import RasterError, one_line
from ssdiff_core.common.failures import BUG, FAILED, TRACKER, failure_of, traceback_of
from ssdiff_core.common.notices import notice
from ssdiff_core.weights.catalogue import repository

gdal.UseExceptions()


def caught(function, *arguments) -> Exception:
    with pytest.raises(Exception) as info:  # noqa: PT011
        function(*arguments)
    return info.value


def test_an_error_of_ssdiff_is_told_as_it_is():
    failure = failure_of(RasterError("a.tif cannot be read"), ["b.tif"])
    assert (failure.sentence, failure.code) == ("a.tif cannot be read", FAILED)


def test_a_line_break_in_the_name_of_a_file_is_told_as_an_escape():
    for error in (RasterError("a\nb.tif cannot be read"), OSError(errno.EACCES, "no", "a\nb.tif"), MemoryError()):
        assert failure_of(error, ["a\nb.tif"]).sentence.startswith(r"a\nb.tif")
    failure = failure_of(RasterError(notice("cannot_open", path="a\nb.tif", reason="no")))
    assert failure.worded(lambda text: "offen: {path}") == r"offen: a\nb.tif"


def test_an_error_of_the_system_names_its_file():
    error = OSError(errno.EACCES, os.strerror(errno.EACCES), "a.tif")
    assert failure_of(error).sentence == f"a.tif: {os.strerror(errno.EACCES)}"


def test_an_error_of_gdal_names_the_files_and_is_no_bug(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(b"nothing")
    failure = failure_of(caught(gdal.Open, str(path)), ["a.tif"])
    assert failure.code == FAILED
    assert failure.sentence.startswith("a.tif: ")
    assert "not recognized" in failure.sentence


def test_a_message_of_gdal_that_is_not_utf8_is_told(tmp_path):
    path = tmp_path / "a.vrt"
    path.write_bytes(b"<VRTDataset rasterXSize='1' rasterYSize='1'><Gr\xfc\xdfe \xa2x/></VRTDataset>")
    error = caught(gdal.OpenEx, str(path), gdal.OF_RASTER | gdal.OF_VERBOSE_ERROR)
    assert one_line(error) != "RuntimeError"


def test_a_bug_names_the_place_the_files_and_where_to_report_it():
    failure = failure_of(caught(repository, 5), ["pan.tif", "ms.tif"])
    assert failure.code == BUG
    for part in ("pan.tif, ms.tif", "TypeError", "weights", "catalogue.py:", TRACKER, "SSDIFF_DEBUG=1"):
        assert part in failure.sentence
    assert "\n" not in failure.sentence


def test_bugs_are_reported_to_the_project():
    assert f"{repository()}/issues" == TRACKER


def test_an_import_that_fails_tells_the_first_reason():
    def load():
        try:
            raise ImportError("cannot allocate memory", name="a")
        except ImportError:
            raise ModuleNotFoundError("No module named '_gdal'", name="_gdal") from None

    assert "cannot allocate memory" in failure_of(caught(load)).sentence


def test_a_thread_that_cannot_be_started_is_no_bug():
    failure = failure_of(RuntimeError("can't start new thread"), ["a.tif"])
    assert (failure.code, "a.tif needs more memory" in failure.sentence) == (FAILED, True)


def test_out_of_memory_is_no_bug():
    assert failure_of(MemoryError(), ["a.tif"]).sentence == "a.tif needs more memory than is free: lower --memory"


def test_out_of_memory_names_the_limit_of_the_address_space(monkeypatch):
    monkeypatch.setattr(failures, "has_limited_address_space", lambda: True)
    limit = "needs more memory than the limit of the address space (ulimit -v) allows: raise it, or lower --memory"
    for files, named in ((["a.tif"], "a.tif"), ([], "this run")):
        assert failure_of(MemoryError(), files).sentence == f"{named} {limit}"


def test_a_traceback_is_told_whole():
    assert "in repository" in traceback_of(caught(repository, 5))
