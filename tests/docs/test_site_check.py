"""The check of the built site finds what it is there for."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.site_check import faults

WHOLE = """
<link rel="stylesheet" href="site.css"><script src="site.js"></script>
<h1 id="top">A page</h1> <a href="#top">up</a> <a href="other%20page.html#there">on</a>
<a href="https://example.org/x">elsewhere</a> <a href="mailto:a@example.org">us</a>
<img src="data:image/png;base64,AAAA">
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text(WHOLE)
    (tmp_path / "other page.html").write_text('<p id="there">')
    (tmp_path / "site.js").touch()
    (tmp_path / "site.css").write_text("a { background: url('site.js') }")
    return tmp_path


def test_a_whole_site_has_no_fault(site: Path) -> None:
    assert list(faults(site)) == []


def test_an_empty_folder_is_no_site(tmp_path: Path) -> None:
    [fault] = faults(tmp_path)
    assert "no page" in fault


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ('<a href="gone.html">', "no such page"),
        ('<a href="#gone">', "no such anchor"),
        ('<a href="other%20page.html#gone">', "no such anchor"),
        ('<a href="http://example.org">', "not https"),
        ('<a href="https://">', "no host name"),
        ('<a href="https://[">', "Invalid"),
        ('<a href="mailto:nobody">', "nobody"),
        ('<img src="gone.png">', "no such file"),
        ('<img src="https://example.org/x.png">', "another host"),
        ('<script src="//example.org/x.js">', "another host"),
        ('<link rel="preconnect" href="https://example.org">', "another host"),
        ('<p style="background: url(https://example.org/x.png)">', "another host"),
    ],
)
def test_a_fault_of_a_page_is_found(site: Path, html: str, fault: str) -> None:
    (site / "index.html").write_text(WHOLE + html)
    [found] = faults(site)
    assert found.startswith("index.html: ")
    assert fault in found


@pytest.mark.parametrize(
    "css", ['@import "https://example.org/x.css";', "b { src: url(//example.org/x.woff) }"]
)
def test_a_style_sheet_that_loads_from_elsewhere_is_found(site: Path, css: str) -> None:
    (site / "site.css").write_text(css)
    [found] = faults(site)
    assert "another host" in found
