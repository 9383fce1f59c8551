"""States of files: what counts as a change of an input."""

from ssdiff_core.common.fingerprints import states_of

BAND = '<PAMDataset><PAMRasterBand band="1"><Metadata>{}</Metadata></PAMRasterBand></PAMDataset>'
MEAN = '<MDI key="STATISTICS_MEAN">7</MDI>'


def state(path, content):
    path.write_text(content)
    return states_of([str(path)])


def test_statistics_in_a_sidecar_do_not_count_and_all_else_does(tmp_path):
    sidecar = tmp_path / "ms.tif.aux.xml"
    assert state(sidecar, BAND.format(MEAN)) == []
    units = state(sidecar, BAND.format('<MDI key="UNITS">counts</MDI>'))
    assert units == state(sidecar, BAND.format('<MDI key="UNITS">counts</MDI>' + MEAN))
    assert units != state(sidecar, BAND.format('<MDI key="UNITS">reflectance</MDI>'))


def test_other_files_change_when_they_are_written(tmp_path):
    raster = tmp_path / "ms.tif"
    assert state(raster, "one") != state(raster, "another")
    assert states_of([str(tmp_path / "missing.tif")]) == [(str(tmp_path / "missing.tif"), None)]
