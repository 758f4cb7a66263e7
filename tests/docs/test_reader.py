"""The reader of the pages does what they say, and says what went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.reader import Failed, NoRunner, Reader


@pytest.fixture
def quick_reader(tmp_path: Path) -> Iterator[Reader]:
    with Reader(tmp_path, {"PORT": "7"}) as reader:
        yield reader


def page(folder: Path, text: str) -> Path:
    path = folder / "page.md"
    path.write_text(text)
    return path


def test_the_shell_goes_on_where_the_block_before_has_left_it(
    quick_reader: Reader, tmp_path: Path
) -> None:
    text = """\
```sh
mkdir -p inner/deep
cd inner
NAME=value
export PORT=5432 HOST=local
```

`deep/file.ini`:

```ini
[one]
```

At the end of `deep/file.ini`:

```ini
[two]
```

```sh
echo $NAME $PORT $HOST
cat deep/file.ini
```

```text
value 7 local
[one]
...
[two]
```
"""
    quick_reader.follow(page(tmp_path, text))
    assert (quick_reader.folder / "inner/deep/file.ini").read_text() == "[one]\n\n[two]\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```sh\nfalse\ntrue\n```", r"page\.md:1 ended with 1"),
        ("```sh\necho one\n```\n```text\ntwo\n```", r"page\.md:4 is not what was printed"),
        ("At the end of `a.py`:\n\n```python\n```", r"page\.md:3: there is no a\.py"),
    ],
)
def test_what_does_not_work_is_named(
    quick_reader: Reader, tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(Failed, match=complaint):
        quick_reader.follow(page(tmp_path, text))


def test_nothing_is_done_of_a_page_with_a_block_that_nothing_runs(
    quick_reader: Reader, tmp_path: Path
) -> None:
    with pytest.raises(NoRunner):
        quick_reader.follow(page(tmp_path, "```sh\ntouch here\n```\n\n```python\n1\n```\n"))
    assert not (quick_reader.folder / "here").exists()


def test_a_command_is_repeated_until_it_prints_what_follows(
    quick_reader: Reader, tmp_path: Path
) -> None:
    text = """\
Again until there are three:

```sh
echo x >>lines
wc -l <lines
```

```text
3
```
"""
    quick_reader.follow(page(tmp_path, text))
    assert (quick_reader.folder / "lines").read_text() == "x\nx\nx\n"


TRAPPED = """bash -c 'trap "echo stopped; exit" TERM; touch up; sleep 100 & wait'"""


def test_processes_stay_until_the_end_of_the_reading(tmp_path: Path) -> None:
    text = f"""\
Each in a terminal of its own:

```sh
{TRAPPED}  # stays
```

Look until it is there:

```sh
ls
```

```text
up
```
"""
    with Reader(tmp_path, {}) as reader:
        reader.follow(page(tmp_path, text))
        assert "stopped" in reader.stop()


def start_and_see_it_end(folder: Path) -> None:
    text = "In a terminal of its own:\n\n```sh\nbash -c 'echo gone'\n```\n"
    with Reader(folder, {}) as reader:
        reader.follow(page(folder, text))
        [(_, process, _)] = reader._processes
        process.wait(20)


def test_a_process_that_ends_by_itself_fails_the_reading(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"(?s)ended by themselves: bash.*gone"):
        start_and_see_it_end(tmp_path)


def test_a_new_terminal_has_only_what_the_file_says(tmp_path: Path) -> None:
    text = f"""\
```sh
export LOST=lost
cat > env.sh <<'END'
export NAME=somebody
END
```

In a terminal of its own:

```sh
. ./env.sh && {TRAPPED.replace("touch up", "touch up-$NAME-$LOST")}
```

Look until it is there:

```sh
ls
```

```text
up-me-
```
"""
    with Reader(tmp_path, {"NAME": "me"}) as reader:
        reader.follow(page(tmp_path, text))


def test_a_file_in_a_folder_that_nothing_made_fails_the_reading(
    quick_reader: Reader, tmp_path: Path
) -> None:
    with pytest.raises(Failed, match="there is no folder"):
        quick_reader.follow(page(tmp_path, "`deep/file.ini`:\n\n```ini\n[one]\n```\n"))
