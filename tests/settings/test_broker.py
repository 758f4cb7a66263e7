from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from kombu import Connection

from settings import broker, env


def given(monkeypatch: pytest.MonkeyPatch, url: str) -> broker.Broker:
    monkeypatch.setenv("CELERY_BROKER_URL", url)
    return broker.read()


def test_a_message_crosses_the_folder_of_a_filesystem_broker(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    read = given(monkeypatch, f"filesystem://{quote(str(folder))}")
    with Connection(read.url, transport_options=read.transport_options) as connection:
        queue = connection.SimpleQueue("letters")
        queue.put({"hello": "there"})
        assert queue.get(timeout=5).payload == {"hello": "there"}
        queue.close()
    assert not read.broadcasts


@pytest.mark.parametrize("scheme", ["redis", "rediss", "redis+socket"])
def test_redis_gives_back_a_lost_message_without_a_long_wait(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    options = given(monkeypatch, f"{scheme}://localhost/0").transport_options
    scan_seconds = options["unacked_restore_interval"] * options["unacked_restore_throttle"]
    assert scan_seconds <= 10 < options["visibility_timeout"]


def test_rabbitmq_needs_no_options(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "amqp://ann:secret@localhost:5672//"
    assert given(monkeypatch, url) == broker.Broker(url, {})


def test_without_a_url_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert given(monkeypatch, "").url is None


@pytest.mark.parametrize(
    "url", ["hunter2", "http://ann:hunter2@x", "filesystem://hunter2", "filesystem:///"]
)
def test_a_url_that_cannot_be_used_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    with pytest.raises(env.BadVariable, match="CELERY_BROKER_URL") as caught:
        given(monkeypatch, url)
    assert "hunter2" not in str(caught.value)
