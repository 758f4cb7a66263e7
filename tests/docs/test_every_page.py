"""Every page: its code has a runner, its addresses lead somewhere, what it names is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from deploy.site_check import fault_of
from tests.docs.blocks import blocks
from tests.docs.pages import CODE, DOCS, PAGES, REPOSITORY

TESTS = REPOSITORY / "tests"
RUNNERS = {
    "README.md": "test_python_pages.py",
    "extending.md": "test_pages.py",
    "migrating.md": "test_python_pages.py",
    "tasks.md": "test_python_pages.py",
    "webhooks.md": "test_python_pages.py",
    "reading.md": "test_shell_pages.py",
    "senders.md": "test_shell_pages.py",
    "quickstart.md": "test_pages.py",
    "testing.md": "test_pages.py",
    "tutorial.md": "test_pages.py",
}
"""Page to the module that runs all of its code, in this folder."""
_PATH = re.compile(
    r"(?<![\w/])((?:app|outbox|relay|tests|docs|deploy|settings|benchmarks)/[\w/.-]*\w)"
)
_TEST = re.compile(r"`(?:([\w/]+\.py)::)?(test_\w+)`")


def ids(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


every_page = pytest.mark.parametrize("page", PAGES, ids=ids)


@every_page
def test_each_block_says_its_language(page: Path) -> None:
    assert [str(block) for block in blocks(page) if not block.language] == []


def test_no_code_is_without_a_runner() -> None:
    with_code = {
        page.name for page in PAGES if any(block.language in CODE for block in blocks(page))
    }
    assert with_code == set(RUNNERS)
    here = Path(__file__).parent
    named = {page for page, module in RUNNERS.items() if f'"{page}"' in (here / module).read_text()}
    assert named == set(RUNNERS)


def links(page: Path) -> Iterator[str]:
    for token in MarkdownIt().parse(page.read_text()):
        for child in token.children or ():
            if address := child.attrGet("href") or child.attrGet("src"):
                yield str(address)


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    found = []
    tokens = MarkdownIt().parse(page.read_text())
    for opening, heading in pairwise(tokens):
        if opening.type == "heading_open":
            words = "".join(child.content for child in heading.children or ())
            found.append(re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-"))
    return frozenset(found)


def fault_of_link(page: Path, address: str) -> str | None:
    if ":" in address.partition("/")[0]:
        return fault_of(address)
    path, _, anchor = address.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return "there is no such file"
    if anchor and anchor not in anchors(target):
        return "there is no such heading"
    return None


@every_page
def test_each_link_leads_somewhere(page: Path) -> None:
    found = {address: fault_of_link(page, address) for address in links(page)}
    assert {address: fault for address, fault in found.items() if fault} == {}


@pytest.mark.parametrize(
    "address",
    ["nowhere.md", "README.md#nowhere", "#nowhere", "https://", "http://example.org", "mailto:us"],
)
def test_a_dead_link_is_found(address: str) -> None:
    assert fault_of_link(REPOSITORY / "README.md", address)


@every_page
def test_each_test_and_file_that_is_named_exists(page: Path) -> None:
    text = page.read_text()
    shown = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    files = _PATH.findall(_TEST.sub("", shown))
    assert [path for path in files if not (REPOSITORY / path).exists()] == []
    everywhere = all_tests()
    missing = [
        name
        for file, name in _TEST.findall(shown)
        if not (name in names_in(TESTS / file) if file else name in everywhere)
    ]
    assert missing == []


@cache
def names_in(path: Path) -> frozenset[str]:
    return frozenset(re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE))


@cache
def all_tests() -> frozenset[str]:
    return frozenset().union(*(names_in(path) for path in TESTS.rglob("test_*.py")))


def test_the_code_of_the_drf_sender_is_the_examples_own() -> None:
    """`make demo` runs it there."""
    shown = [block for block in blocks(DOCS / "senders.md") if str(block.path).startswith("blog/")]
    assert [block.path for block in shown] == ["blog/views.py", "blog/events.py", "blog/tasks.py"]
    example = REPOSITORY / "examples/drf_sender"
    assert [
        str(each) for each in shown if each.text not in (example / str(each.path)).read_text()
    ] == []
