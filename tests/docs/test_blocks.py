"""How the pages' blocks are read: a mistake here would leave code unrun without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import Block, blocks, prints
from tests.docs.pages import PAGES
from tests.docs.reader import NoRunner, check

PAGE = """\
# A page

Text that goes
on to `shop/tasks.py`:

```python
first = 1

second = 2
```

At the end of `config/settings.py`:
```python
DEBUG = True
```

```sh
ls
```
```text
settings.py
```

`make wheel` builds `dist/a.whl`:

```sh
make wheel
```

Each in a terminal of its own:

```sh
sleep 1000
```

- Again and again until it says so:

  ```sh
  date
  ```

~~~mermaid
```
~~~
"""


@pytest.fixture
def found(tmp_path: Path) -> list[Block]:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    return blocks(page)


def test_a_block_is_known_by_its_language_and_the_words_before_it(found: list[Block]) -> None:
    assert [(block.kind, block.language, block.path) for block in found] == [
        ("file", "python", "shop/tasks.py"),
        ("addition", "python", "config/settings.py"),
        ("commands", "sh", None),
        ("output", "text", None),
        ("commands", "sh", None),
        ("processes", "sh", None),
        ("commands", "sh", None),
        ("other", "mermaid", None),
    ]


def test_a_block_has_its_text_and_its_place(found: list[Block]) -> None:
    assert found[0].text == "first = 1\n\nsecond = 2\n"
    assert [str(block) for block in found][:2] == ["page.md:6", "page.md:13"]
    assert [block.text for block in found][-2:] == ["date\n", "```\n"]
    assert [block.lead for block in found][2:4] == ["", ""]


def test_only_what_is_to_be_run_until_something_happens_is_run_again(found: list[Block]) -> None:
    assert [block.text for block in found if block.repeated] == ["date\n"]


def test_a_block_without_an_end_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\npass\n")
    with pytest.raises(ValueError, match=r"page\.md:1"):
        blocks(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_fence_of_a_page_is_seen(page: Path) -> None:
    fences = [line for line in page.read_text().splitlines() if line.lstrip().startswith("```")]
    assert len(blocks(page)) * 2 == len(fences)


@pytest.mark.parametrize(
    ("language", "before", "lost"),
    [
        ("python", None, True),
        ("", None, True),
        ("{code-block} python", None, True),
        ("text", None, True),
        ("text", "python", True),
        ("text", "sh", False),
        ("sh", None, False),
    ],
)
def test_a_block_that_nothing_runs_is_an_error(
    language: str, before: str | None, lost: bool
) -> None:
    page = [Block("page.md", 1, before, "", "")] if before else []
    page.append(Block("page.md", 5, language, "", ""))
    if not lost:
        check(page)
        return
    with pytest.raises(NoRunner, match=r"page\.md:5"):
        check(page)


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ("b", True),
        ("b\nc", True),
        ("a\n...\nd", True),
        ("one  ...  three", True),
        ("a\nc", False),
        ("e", False),
        ("one", False),
        ("d...\n\none two three", True),
    ],
)
def test_what_a_command_prints_is_compared_line_by_line(expected: str, said: bool) -> None:
    assert prints(expected, "a\nb\n  c\nd\n\none    two three\n") is said
