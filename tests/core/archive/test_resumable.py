"""Messages of archive runs that end early say how the run continues."""

from types import SimpleNamespace

import pytest

distributed = pytest.importorskip("distributed")

from ssdiff_core.archive import archive  # noqa: E402
from ssdiff_core.common.errors import WorkerError  # noqa: E402


def test_a_lost_scheduler_is_told_wherever_it_is_noticed():
    plan = SimpleNamespace(prepared=SimpleNamespace(jobs=[1, 2, 3]))
    with (
        pytest.raises(WorkerError, match=r"^the connection to the scheduler was lost: 0 of 3 .* --resume continues$"),
        archive._resumable(plan, []),
    ):
        raise distributed.comm.CommClosedError("in <TCP (closed)>: Connection reset by peer")
