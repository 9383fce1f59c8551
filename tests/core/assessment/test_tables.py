"""Tables of measures."""

import csv

from command import ssdiff
from files import sample_files


def test_no_cell_of_a_csv_file_is_a_formula(tmp_path):
    pan, ms, _ = sample_files(tmp_path, 64)
    for name in ("=1+1.tif", "@x.tif"):
        ssdiff("pansharpen", pan, ms, tmp_path / name, "--method", "exp")
    files = [tmp_path / "=1+1.tif", tmp_path / "@x.tif"]
    ssdiff("assess", *files, "--pan", pan, "--ms", ms, "--csv", tmp_path / "t.csv")
    with open(tmp_path / "t.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert [rows[1][0], rows[2][0]] == ["'=1+1", "'@x"]
    numbers = [cell for row in rows[1:] for cell in row[3:] if cell]
    assert [float(cell) for cell in numbers]
