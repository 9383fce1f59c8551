"""Notices: they pass through JSON with the notices among their values, which stay translatable."""

import json

import pytest

from ssdiff_core.common.notices import described, from_description, notice


@pytest.mark.parametrize(
    "told",
    [
        notice("out_of_memory"),
        notice("csv_damaged", path="pairs.csv", reason="it ends early"),
        notice("csv_damaged", path="pairs.csv", reason=notice("gdal_reports", reason=notice("out_of_memory"))),
        notice("bands_reordered", bands=["blue", notice("out_of_memory")]),
    ],
)
def test_a_notice_that_passed_through_json_is_the_same(told):
    received = from_description(json.loads(json.dumps(described(told))))
    assert received == told
    assert received.worded(lambda text: f"<{text}>") == told.worded(lambda text: f"<{text}>")


@pytest.mark.parametrize(
    "description",
    [
        *({}, [], 3),
        {"kind": "out_of_memory"},
        {"kind": "nothing", "values": {}},
        {"kind": "csv_damaged", "values": {}},
        {"kind": "csv_damaged", "values": {"path": "a", "reason": {"notice": {"kind": "nothing"}}}},
    ],
)
def test_what_describes_no_notice_is_an_error(description):
    with pytest.raises((LookupError, TypeError, ValueError, AttributeError)):
        from_description(description)
