"""Text that comes from files and servers."""

import io

import pytest

from ssdiff_core.common.texts import PrintableStream, decoded, printable


@pytest.mark.parametrize("text", ["\x1b[2J", "\x07", "\x9b31m", "a\u202eb", "\x00", "\udce4"])
def test_what_a_terminal_would_obey_is_escaped(text):
    assert printable(text).isprintable()


def test_other_text_stays_as_it_is():
    assert printable("Größe 衛星\n\t|") == "Größe 衛星\n\t|"


def test_a_printable_stream_escapes_what_is_printed():
    out = io.StringIO()
    print("\x1b]0;title\x07", file=PrintableStream(out))
    assert out.getvalue() == "\\x1b]0;title\\x07\n"


@pytest.mark.parametrize("value", ["grün", "grün".encode(), b"gr\xfcn", b"gr\xfcn".decode("utf-8", "surrogateescape")])
def test_text_of_a_file_is_utf8_or_latin1(value):
    assert decoded(value) == "grün"


def test_any_text_can_be_decoded():
    assert decoded("a\ud800\udcffb").encode()
