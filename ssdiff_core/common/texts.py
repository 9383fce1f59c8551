"""Text that comes from files and servers, made safe to print."""

from __future__ import annotations

import re

UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"control characters, which terminals obey, and half characters, which cannot be encoded; not tab, newline and return"


def printable(text: str) -> str:
    r"""Returns the text with its control characters as escapes such as \x1b."""
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def on_one_line(text: str) -> str:
    r"""Returns the printable text with line breaks as escapes such as \n, as names of files and cells may have them."""
    return printable(text).replace("\r", "\\r").replace("\n", "\\n")


def decoded(value: str | bytes) -> str:
    """Returns a text of a file, which is UTF-8 or, in old files, Latin-1."""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.decode("latin-1")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # GDAL and Python keep bytes that are not UTF-8 as half characters
        return decoded(value.encode("utf-8", "surrogateescape" if _only_escapes(value) else "replace"))
    return value


def _only_escapes(value: str) -> bool:
    return all("\udc80" <= letter <= "\udcff" for letter in value if "\ud800" <= letter <= "\udfff")


class PrintableStream:
    """A text stream that escapes control characters, so that no file or server can control the terminal."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(printable(text))

    def __getattr__(self, name: str):
        return getattr(self._stream, name)
