"""What the pages say in passing of settings, commands, names and versions is so."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

import outbox
from app import sent_event
from app.problem_types import ProblemType
from app.signature import SECRET_BYTES
from outbox.conf import NAMES
from settings.variables import VARIABLES
from tests.docs.pages import DOCS, PAGES, REPOSITORY

TEXT = {page: page.read_text() for page in PAGES}
ALL = "\n".join(TEXT.values())


def rows(page: Path) -> dict[str, list[str]]:
    """The rows of a page's tables, by the text of their first cell."""
    cells = [line.strip("|").split("|") for line in TEXT[page].splitlines() if line[:1] == "|"]
    return {first.strip(" `"): [cell.strip() for cell in rest] for first, *rest in cells}


def test_each_variable_that_a_page_names_is_one() -> None:
    named = set(re.findall(r"`((?:OUTBOX|WEBHOOK|DJANGO|DATABASE|READ)_[A-Z_]+)`", ALL))
    assert len(named) > 15
    assert named - VARIABLES.keys() == set()


def test_each_default_that_a_page_tells_is_the_variables() -> None:
    told = re.findall(r"`((?:OUTBOX|WEBHOOK)_[A-Z_]+)`(?:,| \() ?([\d,]+)\)", ALL)
    told += [
        (f"OUTBOX_{name}", number)
        for name, number in re.findall(
            r"OUTBOX_(\w+)` +\| .*\| ([\d]+) \|", TEXT[REPOSITORY / "README.md"]
        )
    ]
    assert len(told) > 4
    wrong = [(name, number) for name, number in told if VARIABLES[name].default != number]
    assert wrong == []


def test_each_key_of_the_setting_that_a_page_names_is_one() -> None:
    named = set(re.findall(r"""OUTBOX\[["'](\w+)["']\]""", ALL))
    assert named
    assert named - NAMES == set()


def test_each_key_of_the_setting_is_told() -> None:
    """`settings.document` writes them from the code; none may get lost on the way."""
    _, _, section = TEXT[DOCS / "settings.md"].partition("\n## `OUTBOX`")
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == NAMES


def test_each_command_that_a_page_names_exists() -> None:
    commands = get_commands()
    named = set(re.findall(r"manage\.py ([a-z_]+)", ALL)) - {"place_order"}
    assert named >= {"relay", "postprocess", "outbox"}
    assert named - commands.keys() == set()
    for name in ("outbox", "webhook"):
        parser = load_command_class(commands[name], name).create_parser("manage.py", name)
        [verbs] = [action.choices for action in parser._actions if action.dest == "verb"]
        said = set(re.findall(rf"manage\.py {name} ([a-z-]+)", ALL))
        assert said
        assert said - set(verbs) == set()


def test_each_name_of_the_library_that_a_page_uses_is_public() -> None:
    named = set(re.findall(r"`@?outbox\.([a-zA-Z_]+)[`(]", ALL))
    assert len(named) > 5
    modules = {path.stem for path in (REPOSITORY / "outbox").glob("*.py")}
    assert named - set(outbox.__all__) - modules == set()


def test_the_limits_of_a_delivery_are_the_codes() -> None:
    told = rows(DOCS / "senders.md")
    assert f"Up to {sent_event.TITLE_LENGTH} characters" in told["data.title"][0]
    length = sent_event.NAME_LENGTH
    names = f"Up to {sent_event.MAX_NAMES} names each, of 1 to {length} characters."
    assert told["data.categories`, `data.tags"] == [names]
    assert VARIABLES["WEBHOOK_MAX_BODY_BYTES"].default == str(2**20)  # 1 MiB
    tolerance = VARIABLES["WEBHOOK_TOLERANCE_SECONDS"].default
    assert f"At most {tolerance} seconds" in told["webhook-timestamp"][0]
    dedupe = VARIABLES["WEBHOOK_DEDUPE_DAYS"].default
    assert f"remembered for {dedupe} days" in TEXT[DOCS / "senders.md"].replace("\n", " ")
    sizes = f"{SECRET_BYTES[0]} to {SECRET_BYTES[-1]} random bytes"
    assert sizes in TEXT[DOCS / "senders.md"]


def test_each_answer_of_the_webhook_is_explained() -> None:
    first_cells = [first for first in rows(DOCS / "senders.md") if first[:1].isdigit()]
    told = {int(each) for first in first_cells for each in re.findall(r"\d{3}", first)}
    statuses = {kind.status for kind in ProblemType}
    others = {403, 404, 405, 500}  # of other addresses and methods, and of our own mistakes
    assert statuses - others <= told
    assert told - statuses == {202, 429, 502, 504}  # the first is ours, the others are proxies


def test_each_type_of_problem_is_explained() -> None:
    told = set(re.findall(r"^\| (\d+) \| `(urn:[^`]+)` ", TEXT[DOCS / "senders.md"], re.MULTILINE))
    assert told == {(str(kind.status), kind.uri) for kind in ProblemType if "urn:" in kind.uri}


@pytest.mark.parametrize("package", ["Django", "Celery"])
def test_the_versions_that_are_tested_are_those_installed(package: str) -> None:
    tested = rows(REPOSITORY / "UPGRADING.md")[package][0]
    assert version(package).startswith(f"{tested}.")


def test_the_versions_that_are_allowed_are_those_of_the_package() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    told = rows(REPOSITORY / "UPGRADING.md")
    pythons = {each.rpartition(" ")[2] for each in project["classifiers"] if "Python :: 3." in each}
    assert set(re.findall(r"3\.\d+", " ".join(told["Python"][:2]))) == pythons
    assert "celery>=5.5,<6" in project["dependencies"]
    assert told["Celery"][1] == "5.5, 5.6"
    assert "django>=5.2,<6" in project["dependencies"]
    assert told["Django"][1] == ""
