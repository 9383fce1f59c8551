"""Deliveries in an object store: a real server of the S3 protocol on this machine."""

import pytest

from ssdiff_core.deliveries import find_scenes

server = pytest.importorskip("moto.server", reason="needs moto: pip install 'moto[s3,server]'")
boto3 = pytest.importorskip("boto3", reason="needs boto3")


@pytest.fixture
def bucket(archive_folder, monkeypatch):
    """Yields the name by which GDAL reads the deliveries in a bucket."""
    store = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    store.start()
    host, port = store.get_host_and_port()
    keys = {"aws_access_key_id": "id", "aws_secret_access_key": "key", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", **keys)
    client.create_bucket(Bucket="deliveries")
    for path in archive_folder.rglob("*"):
        if path.is_file():
            client.upload_file(str(path), "deliveries", f"in/{path.relative_to(archive_folder).as_posix()}")
    options = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_REGION": "us-east-1"}
    options |= {"AWS_S3_ENDPOINT": f"{host}:{port}", "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE"}
    for name, value in options.items():
        monkeypatch.setenv(name, value)  # GDAL reads its options from there too
    yield "/vsis3/deliveries/in"
    store.stop()


def test_deliveries_and_archives_in_a_bucket_are_found(bucket, archive_folder):
    found, local = find_scenes([bucket]), find_scenes([archive_folder])
    assert all(delivery.complete for delivery in found)
    assert [one.name for one in found] == [one.name for one in local]
    assert [one.sensor for one in found] == [one.sensor for one in local]
