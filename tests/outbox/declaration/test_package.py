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

@outbox.task("order.placed")
def confirm(order_id: int, *, note: str = "") -> None: ...

confirm.enqueue(1, note="right")
confirm.enqueue(order_id="1")
confirm.enqueue()
confirm.enqueue(order=1)
reveal_type(confirm.enqueue(1))
"""


@pytest.mark.slow
def test_mypy_refuses_wrong_arguments(tmp_path: Path) -> None:
    snippet = tmp_path / "snippet.py"
    snippet.write_text(SNIPPET)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), str(snippet)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
    )
    of_the_snippet = [line for line in checked.stdout.splitlines() if "snippet.py" in line]
    errors = [line.split(":")[1] for line in of_the_snippet if ": error: " in line]
    assert errors == ["9", "10", "11"], checked.stdout
    assert 'Revealed type is "outbox.message.Message"' in checked.stdout
