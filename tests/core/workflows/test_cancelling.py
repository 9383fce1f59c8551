"""Work in QGIS's process ends soon after the user cancels it."""

import pytest
from command import ssdiff
from files import sample_files

from ssdiff_core.common.errors import Cancelled
from ssdiff_core.domain.options import AssessOptions, PansharpenOptions
from ssdiff_core.workflows import assess
from ssdiff_core.workflows.classical_backend import ClassicalBackend
from ssdiff_core.workflows.pansharpen import pansharpen


def cancel(*_):
    raise Cancelled("cancelled")


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return sample_files(tmp_path_factory.mktemp("pair"), 128)[:2]


def test_a_classical_run_ends_during_the_pass_over_the_scene(pair, tmp_path):
    options, never = PansharpenOptions(method="gsa"), lambda pixels: pytest.fail
    with pytest.raises(Cancelled):
        pansharpen(*pair, tmp_path / "o.tif", options, print, never, ClassicalBackend(cancel))
    assert not list(tmp_path.iterdir())


def test_an_assessment_ends_before_the_first_block_is_measured(pair, tmp_path):
    ssdiff("pansharpen", *pair, tmp_path / "o.tif", "--method", "exp")
    (study,) = assess.open_studies([tmp_path / "o.tif"], None, None, None, AssessOptions(), print)
    with pytest.raises(Cancelled):
        assess.assess_and_report(study, AssessOptions(), tmp_path / "report.html", cancel)
    assert not (tmp_path / "report.html").exists()
