"""Object stores: scenes are read from an S3 server, and the archive is written to it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from archives import make_pairs
from command import ssdiff
from files import read
from osgeo import gdal

from ssdiff_core.archive.storage import Storage

ThreadedMotoServer = pytest.importorskip("moto.server", reason="moto is not installed").ThreadedMotoServer


@pytest.fixture
def bucket(client):
    """The name by which GDAL, here and in the workers, reaches a bucket of an S3 server."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_S3_ENDPOINT": f"{host}:{port}",
        **{"AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE", "AWS_REGION": "us-east-1"},
        **{"AWS_ACCESS_KEY_ID": "made", "AWS_SECRET_ACCESS_KEY": "up"},
    }
    configure(settings)
    client.run(configure, settings)
    bucket = f"/vsis3/bucket-{port}"  # servers in one process share their buckets
    gdal.Mkdir(bucket, 0o755)
    yield bucket
    client.run(configure, dict.fromkeys(settings))
    configure(dict.fromkeys(settings))
    server.stop()


def configure(settings: dict[str, str | None]) -> None:
    for key, value in settings.items():
        gdal.SetConfigOption(key, value)


@pytest.mark.parametrize("large", [False, True], ids=["one worker a scene", "all workers together"])
def test_an_archive_in_an_object_store_equals_one_in_a_folder(client, at, bucket, tmp_path, large):
    places = make_pairs(tmp_path / "in", 2)
    for file in places.iterdir():
        Storage(bucket).write(f"in/{file.name}", file.read_bytes())
    options = (*at, *(("--large", 0) if large else ()))
    ssdiff("archive", places, "-o", tmp_path / "out", *options)
    ssdiff("archive", f"{bucket}/in", "-o", f"{bucket}/out", *options)
    storage = Storage(f"{bucket}/out")
    for name in ("a.tif", "b.tif"):
        assert np.array_equal(read(tmp_path / "out" / name), read(storage.path(name)))
    assert sorted(gdal.ReadDir(f"{bucket}/out")) == sorted(
        ["a.json", "a.tif", "b.json", "b.tif", "catalog.json", "collection.json", "summary.csv"]
    )
    derived = [link["href"] for link in storage.read_json("a.json")["links"] if link["rel"] == "derived_from"]
    name = bucket.rpartition("/")[2]
    assert derived == [f"s3://{name}/in/a_pan.tif", f"s3://{name}/in/a_ms.tif"]
    storage.remove("b.tif")
    told = ssdiff("archive", f"{bucket}/in", "-o", f"{bucket}/out", *options, "--resume", "--json").stdout
    assert [event["scene"] for event in map(json.loads, told.splitlines()) if event["event"] == "scene"] == ["b"]
    assert storage.size("b.tif")
