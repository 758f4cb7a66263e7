from __future__ import annotations

import stat
from pathlib import Path

import pytest

from deploy.devstack import credentials, stack_env
from deploy.devstack.application import environment

VALUES = {
    "DATABASE_URL": "postgresql://pillarbox@/pillarbox?host=/tmp/a b&port=5433",
    "WEBHOOK_SECRETS": "whsec_bmV3 whsec_b2xk",
    "BASE_URL": "http://127.0.0.1:8000",
}


def test_it_holds_one_name_and_value_a_line_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "stack.env"
    stack_env.write(path, VALUES)

    assert path.read_text().splitlines() == [f"{name}={value}" for name, value in VALUES.items()]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "stack.env"
    stack_env.write(path, {"BASE_URL": "an older one"})
    stack_env.write(path, VALUES)

    assert stack_env.read(path) == VALUES
    assert list(tmp_path.iterdir()) == [path]


def test_a_value_with_a_line_break_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="READ_TOKENS"):
        stack_env.write(tmp_path / "stack.env", {"READ_TOKENS": "a\nBASE_URL=elsewhere"})


def test_secrets_are_made_once_and_kept_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    first = credentials.load(path, given={})

    assert set(first) == {"DJANGO_SECRET_KEY", "WEBHOOK_SECRETS", "READ_TOKENS"}
    assert credentials.load(path, given={}) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_stacks_have_different_secrets(tmp_path: Path) -> None:
    one = credentials.load(tmp_path / "one.env", given={})
    other = credentials.load(tmp_path / "other.env", given={})

    assert not set(one.values()) & set(other.values())


def test_secrets_that_are_given_come_first_and_are_not_kept(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("from a file\n")
    given = {"WEBHOOK_SECRETS": "whsec_Z2l2ZW4=", "READ_TOKENS_FILE": str(token)}
    path = tmp_path / "secrets.env"

    loaded = credentials.load(path, given)

    assert loaded["WEBHOOK_SECRETS"] == "whsec_Z2l2ZW4="
    assert loaded["READ_TOKENS"] == "from a file"
    assert "from a file" not in path.read_text()


def test_the_service_gets_what_was_given_and_what_was_found() -> None:
    given = {"OUTBOX_LEASE_SECONDS": "5", "DATABASE_URL_FILE": "/nowhere", "PATH": "/bin"}
    env = environment({"DATABASE_URL": "postgresql:///here"}, {"READ_TOKENS": "t"}, given)

    assert env["OUTBOX_LEASE_SECONDS"] == "5"
    assert env["DATABASE_URL"] == "postgresql:///here"
    assert env["READ_TOKENS"] == "t"
    assert env["DJANGO_SETTINGS_MODULE"] == "settings.base"
    assert env["DJANGO_ALLOWED_HOSTS"] == "localhost,127.0.0.1"
    assert "DATABASE_URL_FILE" not in env


def test_settings_that_are_given_are_not_replaced() -> None:
    env = environment({}, {}, {"DJANGO_SETTINGS_MODULE": "settings.production"})

    assert env["DJANGO_SETTINGS_MODULE"] == "settings.production"


def test_settings_of_another_project_are_not_taken_over() -> None:
    env = environment({}, {}, {"DJANGO_SETTINGS_MODULE": "shop.settings"})

    assert env["DJANGO_SETTINGS_MODULE"] == "settings.base"
