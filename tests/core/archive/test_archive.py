"""Archives: the images are those of single runs, the catalogue is valid, and only what has changed is fused again."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from adapting import TINY_ON_PATCHES, base_weights, pair_of_files
from archives import ROOT, make_deliveries, make_pairs
from command import ssdiff
from files import read, write
from osgeo import gdal
from scenes import tiny_file

from ssdiff_core.adaptation import adapt, scene_source
from ssdiff_core.archive import checks, parts
from ssdiff_core.deliveries import delivery_pair, find_scenes
from ssdiff_core.domain.options import PansharpenOptions
from ssdiff_core.inprocess.backend import LocalBackend
from ssdiff_core.workflows.pansharpen import pansharpen

pystac = pytest.importorskip("pystac", reason="pystac is not installed")
validation = pytest.importorskip("pystac.validation", reason="pystac is not installed")
pytest.importorskip("distributed", reason="Dask distributed is not installed")


def alone(delivery, folder: Path, **options) -> np.ndarray:
    """Returns the image that a single run makes of a delivery."""
    pair = delivery_pair(delivery, folder)
    given = PansharpenOptions(sensor=pair.sensor, **options)
    pansharpen(pair.pan, pair.ms, folder / "o.tif", given, print, lambda n: lambda share: None, LocalBackend())
    return read(folder / "o.tif")


def summary(out: Path) -> dict[str, dict[str, str]]:
    with open(out / "summary.csv", encoding="utf-8", newline="") as file:
        return {row["scene"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def five(shared_client, tmp_path_factory):
    """An archive with reports of a delivery of each of five vendors: the deliveries, and the folder of the archive."""
    folder = tmp_path_factory.mktemp("five")
    places = make_deliveries(folder / "in", 5, 64)
    attached = "--scheduler", shared_client.scheduler.address, "--method", "mtf-glp-fs"
    ssdiff("archive", places, "-o", folder / "out", *attached, "--report", "--name", "{sensor}/{scene}.tif")
    return find_scenes([places]), folder / "out"


def test_an_archive_holds_the_images_of_single_runs(five, tmp_path):
    deliveries, out = five
    rows = summary(out)
    assert len(rows) == len(deliveries) == 5
    for number, delivery in enumerate(deliveries):
        folder = tmp_path / str(number)
        folder.mkdir()
        (image,) = out.glob(f"*/{delivery.name}.tif")
        assert np.array_equal(read(image), alone(delivery, folder, method="mtf-glp-fs"))
        row = rows[delivery.name]
        assert (row["state"], row["method"], row["file"]) == ("done", "mtf-glp-fs", image.relative_to(out).as_posix())
        assert 0 < float(row["HQNR"]) < 1
        assert float(row["seconds"]) > 0
        assert image.with_suffix(".html").stat().st_size > 10_000


def test_the_catalogue_is_valid_and_leads_to_images_reports_and_inputs(five):
    deliveries, out = five
    validator = validation.JsonSchemaSTACValidator()
    for file in (ROOT / "tests" / "data" / "stac").glob("*.json"):
        schema = json.loads(file.read_text(encoding="utf-8"))
        validator.schema_cache[schema["$id"].rstrip("#")] = schema
    unused = "https://proj.org/schemas/v0.5/projjson.schema.json"  # of a field that the items do not have
    validator.schema_cache[unused] = {"$schema": "http://json-schema.org/draft-07/schema#", "$id": unused}
    documents = [out / "catalog.json", out / "collection.json", *out.glob("*/*.json")]
    assert len(documents) == 2 + len(deliveries)
    for path in documents:
        validation.validate_dict(json.loads(path.read_text(encoding="utf-8")), validator=validator)
    inputs = {Path(file).name for delivery in deliveries for file in delivery.files}
    items = list(pystac.Catalog.from_file(out / "catalog.json").get_items(recursive=True))
    assert {item.id for item in items} == {delivery.name for delivery in deliveries}
    for item in items:
        image = gdal.Open(item.assets["fused"].get_absolute_href())
        assert item.properties["proj:shape"] == [image.RasterYSize, image.RasterXSize]
        assert [band["name"] for band in item.assets["fused"].extra_fields["eo:bands"]]
        assert Path(item.assets["report"].get_absolute_href()).is_file()
        west, south, east, north = item.bbox
        assert -180 < west < east < 180
        assert -90 < south < north < 90
        derived = {Path(link.href).name for link in item.links if link.rel == "derived_from"}
        assert derived <= inputs
        assert len(derived) >= 2


def test_a_scene_fused_by_all_workers_has_the_pixels_of_a_single_run(client, at, tmp_path):
    places, options = make_pairs(tmp_path / "in", 1, side=320), ("--memory", 64, "--align", "none")
    client.run(_small_parts)
    ssdiff("archive", places, "-o", tmp_path / "out", *at[:2], "--large", 0, *options, "--adapt", "none")
    (delivery,) = find_scenes([places])
    (tmp_path / "alone").mkdir()
    expected = alone(delivery, tmp_path / "alone", memory=64, align="none", adapt="none")
    assert np.array_equal(read(tmp_path / "out" / "a.tif"), expected)
    assert summary(tmp_path / "out")["a"]["weights"] == "general-4-patches"
    assert not list((tmp_path / "out").glob("*.part*"))


def _small_parts() -> None:
    parts.PART_PIXELS = 1


def test_resuming_fuses_only_what_is_missing_or_has_changed(at, tmp_path):
    places, out = make_pairs(tmp_path / "in", 4), tmp_path / "out"
    command = "archive", places, "-o", out, *at
    ssdiff(*command)
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.tif")}
    plan = json.loads(ssdiff(*command, "--plan", "--resume", "--json").stdout)
    assert [row["state"] for row in plan] == ["done"] * 4
    (out / "b.tif").unlink()
    os.truncate(out / "c.tif", 100)
    write(places / "d_pan.tif", read(places / "d_pan.tif") + 1, (403_000.0, 0.6, 0.0, 4_500_000.0, 0.0, -0.6))
    told = ssdiff(*command, "--resume", "--json").stdout
    events = [json.loads(line) for line in told.splitlines()]
    assert sorted(event["scene"] for event in events if event["event"] == "scene") == ["b", "c", "d"]
    after = {path.name: path.stat().st_mtime_ns for path in out.glob("*.tif")}
    assert [name for name in sorted(after) if after[name] == before[name]] == ["a.tif"]
    assert {row["state"] for row in summary(out).values()} == {"done"}
    ssdiff(*command, "--resume", "--dtype", "float32")
    assert read(out / "a.tif").dtype == np.float32


def test_a_scene_that_cannot_be_fused_is_set_aside_and_the_others_are_fused(at, tmp_path):
    places, out = make_pairs(tmp_path / "in", 3), tmp_path / "out"
    (out / "b.tif").mkdir(parents=True)
    content = (places / "c_ms.tif").read_bytes()
    (places / "c_ms.tif").write_bytes(b"no image")
    done = ssdiff("archive", places, "-o", out, *at, expect=1)
    assert "2 scenes are not fused: " in done.stderr
    assert done.stderr.count("b has failed and is tried again") == 2
    rows = summary(out)
    assert {name: row["state"] for name, row in rows.items()} == {"a": "done", "b": "failed", "c": "failed"}
    assert "b.tif is a folder" in rows["b"]["reason"]
    assert "c_ms.tif" in rows["c"]["reason"]
    (out / "b.tif").rmdir()
    (places / "c_ms.tif").write_bytes(content)
    ssdiff("archive", places, "-o", out, *at, "--resume")
    assert {row["state"] for row in summary(out).values()} == {"done"}


def test_weights_that_the_workers_lack_are_sent_to_them(client, tmp_path):
    places, weights = make_pairs(tmp_path / "in", 1), tiny_file(tmp_path)
    ssdiff("archive", places, "-o", tmp_path / "out", "--scheduler", client.scheduler.address, "--weights", weights)
    assert summary(tmp_path / "out")["a"]["weights"] == "tiny"
    received = client.run(_received_weights)
    assert sum(map(len, received.values())) == 1  # only the worker that has fused the scene


def _received_weights(dask_worker) -> list[str]:
    folder = Path(dask_worker.local_directory, "ssdiff-weights")
    return os.listdir(folder) if folder.exists() else []


def test_what_workers_lack_is_said_before_anything_starts(client, at, tmp_path):
    places, out = make_pairs(tmp_path / "in", 1), tmp_path / "out"
    first, second = client.nthreads()
    client.run(_use_version, "0.0", workers=[first])
    client.run(_hide, str(places), workers=[second])
    try:
        told = ssdiff("archive", places, "-o", out, *at, expect=1).stderr
    finally:
        client.run(_use_version, checks.__version__)
        client.run(_hide, "")
    assert f"{first}: (" in told
    assert f"it has SSDiff 0.0, not {checks.__version__}" in told
    assert f"it does not see {places / 'a_pan.tif'} and 1 more" in told
    assert not list(out.glob("*.tif"))


def _use_version(version: str) -> None:
    checks.__version__ = version


def _hide(folder: str) -> None:
    """Has a worker see as little of a folder as one on another machine."""
    original = getattr(checks._visible, "original", checks._visible)

    def visible(file: str) -> bool:
        return original(file) and not (folder and file.startswith(folder))

    visible.original = original
    checks._visible = visible


def test_names_that_cannot_be_used_are_refused(tmp_path):
    places = make_pairs(tmp_path / "in", 2)
    for pattern, reason in (
        ("{scene}.png", "must be a relative name that ends in .tif"),
        ("../{scene}.tif", "must be a relative name"),
        ("{place}.tif", "may contain {scene}, {sensor}, {method}"),
        ("all.tif", "gives several scenes the name all.tif"),
    ):
        told = ssdiff("archive", places, "-o", tmp_path / "out", "--plan", "--name", pattern, expect=1)
        assert reason in told.stderr
    assert not (tmp_path / "out").exists()


def test_weights_adapted_to_the_archive_are_made_once_and_fuse_all_its_scenes(client, tmp_path):
    places = tmp_path / "in"
    for name in "ab":
        pan, ms = pair_of_files(places, seed=ord(name))
        pan.rename(places / f"{name}_pan.tif")
        ms.rename(places / f"{name}_ms.tif")
    base = base_weights(tmp_path, net=TINY_ON_PATCHES)
    client.run(_short_adapting)
    out = tmp_path / "out"
    command = ("archive", places, "-o", out, "--scheduler", client.scheduler.address)
    ssdiff(*command, "--weights", base, "--sensor", "gf2", "--adapt", "archive:2")
    (record,) = (out / "weights").glob("*.json")
    told = json.loads(record.read_text(encoding="utf-8"))
    assert told["scenes"] == ["a", "b"]
    best = record.stem if told["better"] else "base"  # a slow machine may find no better weights in the time
    assert {row["weights"] for row in summary(out).values()} == {best}
    before = record.stat().st_mtime_ns
    again = ssdiff(*command, "--weights", base, "--sensor", "gf2", "--adapt", "archive:2", "--resume", "--json").stdout
    assert [json.loads(line)["event"] for line in again.splitlines()] == ["ended"]
    assert record.stat().st_mtime_ns == before


def _short_adapting() -> None:
    adapt.EVALUATIONS, scene_source.MINIMUM_POOL = 4, 16
