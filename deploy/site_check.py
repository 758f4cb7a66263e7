"""See that the built site is whole: no dead link within it, and nothing loaded from elsewhere.

`python -m deploy.site_check FOLDER` exits with 1, and says what is wrong, if not. It fetches
nothing: of the addresses of others it looks at the form alone.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
"""What a browser fetches by itself, by the tag and its attribute."""
_CSS_ADDRESS = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")
_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


@dataclass
class Page(HTMLParser):
    """What a page links to, what it loads, and which anchors it has."""

    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if given.get(_LOADED.get(tag, "")):
            self.loads.append(given[_LOADED[tag]])
        self.loads += addresses(given.get("style", ""))


def addresses(css: str) -> list[str]:
    """What a style sheet loads."""
    return [first or second for first, second in _CSS_ADDRESS.findall(css)]


def read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text())
    return page


def fault_of(address: str) -> str | None:
    """What is wrong with the form of an address of others, if anything is."""
    try:
        parts = urlsplit(address)
    except ValueError as error:
        return str(error)
    if parts.scheme == "mailto":
        return None if "@" in parts.path else "nobody's address"
    if parts.scheme != "https":
        return "not https"
    return None if _HOST.fullmatch(parts.netloc) else "no host name"


def faults(folder: Path) -> Iterator[str]:
    """What is wrong with a site, one line for each."""
    pages = {path.resolve(): read(path) for path in sorted(folder.rglob("*.html"))}
    if not pages:
        yield f"{folder}: there is no page"
    for path, page in pages.items():
        name = path.relative_to(folder.resolve())
        for address in page.loads:
            if fault := _fault_of_load(address, path.parent):
                yield f"{name}: it loads {address}: {fault}"
        for address in page.links:
            if fault := _fault_of_link(address, path, pages):
                yield f"{name}: it links to {address}: {fault}"
    for sheet in sorted(folder.rglob("*.css")):
        for address in addresses(sheet.read_text()):
            if fault := _fault_of_load(address, sheet.parent):
                yield f"{sheet.relative_to(folder)}: it loads {address}: {fault}"


def _fault_of_load(address: str, folder: Path) -> str | None:
    try:
        parts = urlsplit(address)
    except ValueError as error:
        return str(error)
    if parts.scheme == "data" or not (parts.path or parts.netloc):
        return None
    if parts.scheme or parts.netloc:
        return "another host"
    return None if (folder / unquote(parts.path)).is_file() else "no such file"


def _fault_of_link(address: str, page: Path, pages: dict[Path, Page]) -> str | None:
    if address.startswith("//") or ":" in address.partition("/")[0]:
        return fault_of(address)
    parts = urlsplit(address)
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_file():
        return "no such page"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors:
        return "no such anchor"
    return None


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m deploy.site_check FOLDER", file=sys.stderr)
        return 2
    found = list(faults(Path(arguments[0])))
    for fault in found:
        print(fault)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
