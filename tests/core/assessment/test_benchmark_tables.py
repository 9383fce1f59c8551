"""Tables of a benchmark: what is quoted is marked, and every format shows the same values."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from ssdiff_core.assessment.benchmark_tables import Benchmark, Row, as_csv, document, latex, text, write_report
from ssdiff_core.assessment.published import published_rows

GOOD = Row("SSDiff (a_b&c)", {"SAM": 2.5, "PSNR": 41.0}, {"SAM": 0.25, "PSNR": float("nan")}, {"reduced": 0.1234})
BAD = Row("<EXP>", {"SAM": 3.5, "PSNR": float("inf")}, {"SAM": 0.5, "PSNR": 1.0}, {"reduced": 0.01})
QUOTED = Row("SSDiff", {"SAM": 2.8}, {}, source="Somebody & others, 2024", printed={"SAM": ("2.80", "")})
SET = {"path": "folder/test_qb.h5", "resolution": "reduced", "count": 20, "bands": 4, "shape": (256, 256), "ratio": 4}
TABLE = Benchmark("QuickBird", (SET,), (GOOD, BAD), (QUOTED,), ("a note",))


def test_a_table_has_methods_as_rows_and_published_ones_with_the_number_of_their_source():
    lines = text(TABLE).splitlines()
    assert lines[0] == "QuickBird: 20 images at reduced resolution (test_qb.h5)"
    assert lines[2].split() == ["SAM", "↓", "PSNR", "↑", "s", "per", "image"]
    assert lines[3].split() == ["SSDiff", "(a_b&c)", "2.5000±0.2500", "41.00±–", "0.123"]
    assert lines[4].split() == ["<EXP>", "3.5000±0.5000", "∞±1.00", "0.01"]
    assert lines[5:7] == ["quoted:", next(line for line in lines if line.startswith("SSDiff [1]"))]
    assert lines[6].split() == ["SSDiff", "[1]", "2.80", "–", "–"]
    assert "[1] quoted, not measured here: Somebody & others, 2024" in lines


def test_the_digest_is_that_of_the_measures_and_not_of_the_times():
    slow = replace(TABLE, rows=(replace(GOOD, seconds={"reduced": 9.0}), BAD))
    worse = replace(TABLE, rows=(replace(GOOD, mean={"SAM": 2.5001, "PSNR": 41.0}), BAD))
    assert slow.digest == TABLE.digest
    assert worse.digest != TABLE.digest
    assert replace(TABLE, quoted=()).digest == TABLE.digest


def test_csv_has_two_columns_for_each_measure_and_says_what_is_measured():
    rows = list(csv.DictReader(io.StringIO(as_csv([TABLE]))))
    assert [row["source"] for row in rows] == ["measured", "measured", "Somebody & others, 2024"]
    assert (rows[0]["SAM"], rows[0]["SAM std"], rows[0]["seconds"]) == ("2.5", "0.25", "0.1234")
    assert (rows[2]["SAM"], rows[2]["SAM std"], rows[2]["ERGAS"]) == ("2.8", "", "")


def test_latex_escapes_names_and_all_its_rows_have_the_same_cells():
    written = latex([TABLE])
    rows = [line for line in written.splitlines() if line.endswith(r"\\")]
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [3] * 4
    assert rows[1] == r"SSDiff (a\_b\&c) & \textbf{2.5000$\pm$0.2500} & 41.00$\pm$-- & 0.123 \\"
    assert r"\textbf{$\infty$$\pm$1.00}" in rows[2]
    assert rows[3] == r"SSDiff [1] & 2.80 & -- & -- \\"
    assert r"[1] quoted from Somebody \& others, 2024" in written
    assert written.isascii()


def test_the_page_shows_every_row_as_text(tmp_path):
    class Cells(HTMLParser):
        def handle_data(self, data):
            cells.append(data)

    cells: list[str] = []
    write_report(tmp_path / "page.html", [TABLE])
    Cells().feed((tmp_path / "page.html").read_text(encoding="utf-8"))
    for cell in ("SSDiff (a_b&c)", "<EXP>", "2.5000±0.2500", "SSDiff [1]", "2.80"):
        assert cell in cells


def test_the_document_is_json_without_nan():
    (found,) = json.loads(json.dumps(document([TABLE]), allow_nan=False))["benchmarks"]
    assert [row["method"] for row in found["rows"]] == ["SSDiff (a_b&c)", "<EXP>"]
    assert found["quoted"] == [
        {"method": "SSDiff", "mean": {"SAM": 2.8}, "std": {}, "seconds": {}, "source": QUOTED.source}
    ]
    assert found["digest"] == TABLE.digest


@pytest.mark.parametrize(
    ("sensor", "methods", "sam", "hqnr"),
    [("wv3", 23, "2.8429", "0.9565"), ("gf2", 13, "0.6694", "0.9573"), ("qb", 13, "4.4640", "0.9338")],
)
def test_the_published_rows_are_those_of_the_paper(sensor, methods, sam, hqnr):
    rows = published_rows(sensor)
    assert len(rows) == methods
    (ours,) = (row for row in rows if row.method == "SSDiff")
    assert (ours.printed["SAM"][0], ours.printed["HQNR"][0]) == (sam, hqnr)
    assert "Zhong et al., SSDiff, NeurIPS 2024" in ours.source
    for row in rows:
        assert row.source
        if {"D_lambda_K", "D_s", "HQNR"} <= set(row.mean):
            product = (1 - row.mean["D_lambda_K"]) * (1 - row.mean["D_s"])
            assert row.mean["HQNR"] == pytest.approx(product, abs=0.006)


def test_a_sensor_without_publications_has_no_published_rows():
    assert published_rows("spot67") == []
    assert {row.source.rpartition(": ")[2] for row in published_rows("wv2")} == {"trained on WorldView-3"}
