"""The package is light to import, and typed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import outbox

ROOT = Path(__file__).resolve().parents[3]


def test_the_package_is_imported_without_django() -> None:
    code = (
        "import sys, outbox; outbox.Message; outbox.Permanent; "
        "assert 'django' not in sys.modules and 'celery' not in sys.modules; outbox.task; "
        "from django.apps import apps; assert not apps.ready"
    )
    environment = {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=30)


def test_the_package_lists_its_names_and_refuses_others() -> None:
    for name in outbox.__all__:
        assert getattr(outbox, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'enqeue'"):
        outbox.enqeue  # noqa: B018


SNIPPET = """
from __future__ import annotations
import outbox

@outbox.task("order.placed", queue="mail", backoff=outbox.Backoff(base=1))
def confirm(order_id: int, *, note: str = "") -> None: ...

@outbox.task("order.charge", bind=True, atomic=False, time_limit=60)
def charge(self: outbox.BoundTask, order_id: int) -> None:
    reveal_type(self.message)
    self.retry(countdown=5)

confirm.enqueue(1, note="right")
charge.enqueue(order_id=1)
confirm.enqueue_many([{"order_id": 1}])
confirm.enqueue(order_id="1")  # wrong
confirm.enqueue()  # wrong
confirm.enqueue(order=1)  # wrong
charge.enqueue("1")  # wrong
charge.enqueue()  # wrong
confirm.enqueue_many([1])  # wrong
confirm.delay(1)  # wrong
confirm.enqueue(1).get()  # wrong
outbox.task("order.lost", queues="mail")  # wrong
reveal_type(confirm.enqueue(1))
reveal_type(confirm.enqueue_many([]))

@confirm.prepare
def fill(messages: list[outbox.Message]) -> None: ...

@confirm.prepare  # wrong
def fill_one(message: outbox.Message) -> None: ...
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_mypy_refuses_wrong_arguments(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    snippet = tmp_path / "snippet.py"
    snippet.write_text(SNIPPET)
    assert pytestconfig.cache is not None
    cache = str(pytestconfig.cache.mkdir("mypy"))  # of its own, and kept: the first run is long
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", cache, str(snippet)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    of_the_snippet = [line for line in checked.stdout.splitlines() if "snippet.py" in line]
    errors = [int(line.split(":")[1]) for line in of_the_snippet if ": error: " in line]
    lines = enumerate(SNIPPET.splitlines(), start=1)
    wrong = [number for number, line in lines if line.endswith("# wrong")]
    assert sorted(set(errors)) == wrong, checked.stdout
    revealed = [line.split('"')[1] for line in of_the_snippet if "Revealed type" in line]
    message = "outbox.message.Message"
    assert revealed[:2] == [message, message], checked.stdout
    assert revealed[2].removeprefix("builtins.") == f"list[{message}]", checked.stdout
