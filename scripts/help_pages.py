"""The pages that the Help buttons in QGIS open, without a network: the user documentation of docs as HTML."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ("qgis", "install", "adapt", "weights", "performance", "reliability")
"pages of docs for users of the plugin"
STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:50em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse}th,td{border:1px solid #ccc;padding:.3em .6em;text-align:left;vertical-align:top}"
    "code{background:#f3f3f3;padding:.1em .3em}pre{background:#f3f3f3;padding:.8em;overflow-x:auto}"
    "pre code{padding:0}img{max-width:100%}nav{border-bottom:1px solid #ccc;padding-bottom:.5em}"
)
LINK = re.compile(r'(href|src)="(?!https?://|#|mailto:)([^"#]*)(#[^"]*)?"')


def repository() -> str:
    return json.loads((ROOT / "resources" / "weights.json").read_text(encoding="utf-8"))["repository"]


def pages() -> dict[str, bytes]:
    """Returns the files of the help by their names in its folder: pages, and the pictures that they show."""
    texts = {name: (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in PAGES}
    titles = {name: text.split("\n")[0].lstrip("# ") for name, text in texts.items()}
    files = {f"{name}.html": _page(name, text, titles).encode() for name, text in texts.items()}
    shown = sorted({picture for text in texts.values() for picture in re.findall(r"pictures/[\w-]+\.png", text)})
    return files | {picture: (ROOT / "docs" / picture).read_bytes() for picture in shown}


def _page(name: str, text: str, titles: dict[str, str]) -> str:
    """Returns a page with links to the others."""
    import markdown  # only needed to build the zip

    body = markdown.markdown(text, extensions=["tables", "fenced_code", "toc", "sane_lists"])
    body = LINK.sub(lambda found: f'{found[1]}="{_target(found[2])}{found[3] or ""}"', body)
    others = " | ".join(f'<a href="{each}.html">{title}</a>' for each, title in titles.items() if each != name)
    head = f'<meta charset="utf-8"><title>{titles[name]}</title><style>{STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body><nav>{others}</nav>{body}</body></html>\n'


def _target(path: str) -> str:
    """Returns the target of a link in docs: another page, a picture, or a file in the repository."""
    stem = path.removesuffix(".md")
    if path.startswith("pictures/") or not path:
        return path
    if stem in PAGES:
        return f"{stem}.html"
    if path.endswith("releases"):
        return f"{repository()}/releases"
    inside = (ROOT / "docs" / path).resolve().relative_to(ROOT.resolve()).as_posix()
    return f"{repository()}/blob/HEAD/{inside}"
