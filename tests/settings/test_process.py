from __future__ import annotations

import pytest

from settings.process import ProcessKind, process_kind

VENV = "/srv/venv/bin"
PACKAGES = "/srv/venv/lib/python3.11/site-packages"


@pytest.mark.parametrize(
    ("argv", "kind"),
    [
        (["manage.py", "postprocess"], "postprocess"),
        (["/srv/manage.py", "relay", "--drain"], "relay"),
        (["manage.py", "relay", "--settings", "settings.base"], "relay"),
        (["manage.py", "--settings"], "command"),
        (["manage.py", "migrate", "relay"], "command"),
        (["manage.py", "webhook", "new-secret"], "secrets"),
        (["manage.py", "webhook", "send", "body.json", "https://example.org"], "secrets"),
        (["manage.py", "webhook", "keys"], "command"),
        (["manage.py", "webhook", "--settings", "settings.base", "keys"], "command"),
        (["manage.py"], "command"),
        ([f"{VENV}/celery", "-A", "settings", "worker", "-c", "2"], "worker"),
        ([f"{PACKAGES}/celery/__main__.py", "-A", "settings", "worker"], "worker"),
        ([f"{VENV}/celery", "-A", "settings", "inspect", "ping"], "command"),
        ([f"{VENV}/pytest", "relay"], "command"),
        ([""], "command"),
        ([], "command"),
    ],
)
def test_the_command_line_tells_the_kind_of_process(argv: list[str], kind: ProcessKind) -> None:
    assert process_kind(argv, pooled=False) == kind


def test_a_pool_makes_it_the_web_process() -> None:
    assert process_kind([f"{VENV}/gunicorn", "settings.wsgi"], pooled=True) == "web"
