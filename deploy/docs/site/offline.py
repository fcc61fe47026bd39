"""Whether the built site needs anything from elsewhere: a company's intranet shows it as it is. Owns what counts as loading."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

_STYLE_LOADS: Final = re.compile(r"(?:@import\s+(?:url\()?|url\()\s*['\"]?((?:https?:)?//[^'\")\s]+)")
_LOADING_RELATIONS: Final = frozenset(
    {"stylesheet", "preload", "preconnect", "dns-prefetch", "icon", "manifest", "modulepreload"}
)
_LOADING: Final = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
    "object": "data",
}


class _Loads(HTMLParser):
    """What a page makes a browser fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what this element loads."""
        given = dict(attrs)
        address = given.get(_LOADING.get(tag, ""))
        if tag == "link" and _LOADING_RELATIONS & set((given.get("rel") or "").split()):
            address = given.get("href")
        if address:
            self.addresses.append(address)


def loaded_from_elsewhere(site: Path) -> list[str]:
    """A line for each page or style sheet that loads something from another host."""
    problems: list[str] = []
    for file in sorted(site.rglob("*.html")):
        parser = _Loads()
        parser.feed(file.read_text())
        problems += [f"{file.relative_to(site)}: loads {each}" for each in parser.addresses if _is_elsewhere(each)]
    for file in sorted(site.rglob("*.css")):
        problems += [f"{file.relative_to(site)}: loads {each}" for each in _STYLE_LOADS.findall(file.read_text())]
    return problems


def _is_elsewhere(address: str) -> bool:
    return address.startswith(("http:", "https:", "//"))
