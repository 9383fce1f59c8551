"""Plain pairs: PAN and MS files whose names differ only in the word for what they are, such as a_pan.tif and a_ms.tif.

The word may also be the name of the folder, as in PAN/a.tif and MS/a.tif.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from ...common.notices import notice
from ...domain import sensors
from ..delivery import Delivery, Image
from ..files import Files, folder_of, name_of, stem_of

LAYOUT = "plain"
RASTERS = r".*\.(tiff?|jp2|img|vrt|dat|bsq|bil|pix|kea)"
"names of files that may be rasters"
WORDS = {
    "pan": r"pan(chromatic)?\d?|pch",
    "ms": r"ms|mss\d?|mux|mul|multi|multispectral|mx|xs",
}
LETTERS = {"pan": "p", "ms": "m"}
"letters that mean the same at the end of a name"
SEPARATORS = r"[_\-. ]"


def find(files: Files) -> Iterator[Delivery]:
    """Yields the pairs, and files whose own name says PAN or MS and whose partner is missing."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: {"pan": [], "ms": []})
    names: dict[str, str] = {}
    for path, _ in files.named(RASTERS):
        role, key = _role_and_key(path)
        if role:
            found[key.lower()][role].append(path)
            names.setdefault(key.lower(), key)
    for key, roles in found.items():
        if (roles["pan"] and roles["ms"]) or _by_word([*roles["pan"], *roles["ms"]]):
            yield _delivery(files.place, names[key], roles["pan"], roles["ms"])


def _delivery(place: str, key: str, pan: Sequence[str], ms: Sequence[str]) -> Delivery:
    """Returns the delivery of the first PAN and the first MS of the same name; others are a doubt."""
    doubts = [
        notice("delivery_several", role=role, used=name_of(paths[0]), others=[name_of(path) for path in paths[1:]])
        for role, paths in (("PAN", pan), ("MS", ms))
        if len(paths) > 1
    ]
    sensor = sensors.identify_satellite({}, [name_of(path) for path in (*ms, *pan)])[0]
    images = (Image((ms[0],)),) if ms else ()
    return Delivery(_name(key, place), place, LAYOUT, tuple(pan[:1]), images, sensor, doubts=tuple(doubts))


def _role_and_key(path: str) -> tuple[str, str]:
    """Returns what a file is ("pan", "ms" or ""), and its path without the words that say so."""
    folder, parent = folder_of(path), name_of(folder_of(path)[:-1])
    upper = folder[: len(folder) - len(parent) - 1]
    role = _role_of(stem_of(path), letters=True) or _role_of(parent)
    if not role:
        return "", ""
    stem = _without(stem_of(path), role, letters=True)
    return role, f"{upper}{_without(parent, role)}/{stem}"


def _role_of(name: str, letters: bool = False) -> str:
    """Returns the role that the last word for one in a name says."""
    words = re.split(SEPARATORS, name.lower())
    for word in reversed(words):
        for role, pattern in WORDS.items():
            if re.fullmatch(pattern, word):
                return role
    return next((role for role, letter in LETTERS.items() if letters and words[-1] == letter), "")


def _without(name: str, role: str, letters: bool = False) -> str:
    """Returns a name with * for the words of a role."""
    parts = re.split(f"({SEPARATORS})", name)
    for place, part in enumerate(parts):
        letter = letters and place == len(parts) - 1 and part.lower() == LETTERS[role]
        if re.fullmatch(WORDS[role], part.lower()) or letter:
            parts[place] = "*"
    return "".join(parts)


def _by_word(paths: Iterable[str]) -> bool:
    """Returns whether a word in their names says what files are; a letter or a folder alone may mean anything."""
    return any(_role_of(stem_of(path)) for path in paths)


def _name(key: str, place: str) -> str:
    """Returns the name of a scene: that of its files without the words, else of its folder."""
    for part in reversed(key.split("/")):
        name = part.replace("*", "").strip("_-. ")
        if name:
            return re.sub(f"({SEPARATORS})+", r"\1", name)
    return name_of(place.rstrip("/"))
