"""Addresses as people see them: without what only their owner may know."""

import pytest

from ssdiff_core.weights.http import hidden, host, without_secrets

PUBLIC = "https://github.com/ssdiff-qgis/ssdiff-qgis/releases/download/weights-1/general-8.safetensors"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (PUBLIC, PUBLIC),
        ("https://me:TOKEN@host:8080/", "https://host:8080/"),
        ("https://TOKEN@host/whl/", "https://host/.../"),
        ("https://host/TOKEN/whl/cpu?sig=TOKEN", "https://host/.../...?..."),
        ("https://host/TOKEN/a.safetensors", "https://host/.../a.safetensors"),
        ("https://host/#TOKEN", "https://host/"),
        ("https://me:TO@KEN@host/x", "https://host/..."),
        ("https:me:TOKEN@host", "https:..."),
        ("http://[::1", "an address that is no URL"),
        ("me:TOKEN@host", "me:..."),
        ("mirror/w", "mirror/w"),
    ],
)
def test_an_address_is_shown_without_secrets(url, shown):
    assert without_secrets(url) == shown
    assert "TOKEN" not in shown


def test_other_programs_repeat_secrets_in_vain():
    urls = ["http://me:PASSWORD@host/TOKEN1/simple?sig=TOKEN2"]
    text = (
        "Retrying: /TOKEN1/simple/torch/ of http://me:PASSWORD@host/TOKEN1/simple/torch/?sig=TOKEN2 \x1b[31m (TOKEN2)"
    )
    told = hidden(text, urls)
    assert not any(secret in told for secret in ("TOKEN1", "TOKEN2", "PASSWORD", "\x1b"))
    assert told.startswith("Retrying: ")


def test_the_index_of_pytorch_stays_readable():
    line = "Downloading https://download.pytorch.org/whl/cpu/torch-2.13.0%2Bcpu-cp311.whl (200 MB)"
    assert hidden(line, ["https://download.pytorch.org/whl"]) == line


@pytest.mark.parametrize("url", ["http://[", "", "x", "http://\x1b[31m/"])
def test_anything_has_a_host_that_can_be_printed(url):
    assert host(url).isprintable()
