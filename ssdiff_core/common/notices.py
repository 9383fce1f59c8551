"""What a run tells its user on the way: typed notices, which are put into words at the edge.

A notice is a kind and its values, so that code can tell notices apart without reading sentences. `str(notice)` is the
English text, which the command line prints; the plugin translates the template of the kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

TEMPLATES: dict[str, str] = {}
"the English text of each kind, with the values as fields of a format string"


@dataclass(frozen=True)
class Notice:
    """One message of a run: its kind, a key of TEMPLATES, and the values that its template shows."""

    kind: str
    values: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.worded(TEMPLATES[self.kind])

    def worded(self, template: str) -> str:
        """Returns the template, or a translation of it, filled in with the values; lists are joined by commas."""
        return template.format_map({name: _shown(value) for name, value in self.values.items()})


Notify = Callable[[Notice], None]
"receives the notices of a run"


def notice(kind: str, **values) -> Notice:
    """Returns the notice of this kind.

    Raises KeyError if there is no such kind, or its template shows a value that is not given.
    """
    made = Notice(kind, values)
    str(made)
    return made


def _shown(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
