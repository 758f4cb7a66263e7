"""The pages that are done in a shell against a service that runs, done as written."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.models import Post
from deploy.devstack import delivery, stack_env
from outbox import testing
from outbox.routers import replica_reads
from tests.app.filling import closing
from tests.docs.pages import DOCS
from tests.docs.reader import Reader
from tests.factories import SECRET
from tests.promises.by_hand import indexed
from tests.service import running
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "replica"]),
    pytest.mark.timeout(150),
    pytest.mark.skipif(
        not all(shutil.which(program) for program in ("curl", "openssl")), reason="no curl, openssl"
    ),
]

TOKEN = "a-token-of-this-test"
ANSWER_SECONDS = 30.0


@contextmanager
def drained() -> Iterator[None]:
    """Post-processor, relay and worker in one thread: what is enqueued meanwhile is done."""
    enough = threading.Event()

    def work() -> None:
        while not enough.wait(0.05):
            testing.drain()

    thread = threading.Thread(target=closing(work))
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join(ANSWER_SECONDS)


@pytest.fixture(params=["in this process", pytest.param("four", marks=pytest.mark.slow)])
def base_url(request: pytest.FixtureRequest, tmp_path: Path, settings: Any) -> Iterator[str]:
    """The address of a service: in this process, or of four real ones on the real broker."""
    if request.param == "four":
        folder = tmp_path / "service"
        folder.mkdir()
        with running(folder, READ_TOKENS=TOKEN) as service:
            settings.WEBHOOK_SECRETS = [service.secret]
            yield f"http://127.0.0.1:{service.port}"
        return
    settings.WEBHOOK_SECRETS = [SECRET]
    settings.READ_TOKENS = [TOKEN]
    server = request.getfixturevalue("live_server")
    with drained():
        yield server.url


@pytest.fixture
def reader(base_url: str, tmp_path: Path, settings: Any) -> Iterator[Reader]:
    """A reader with a shell, to whom `stack.env` tells where the service is."""
    stack = tmp_path / "stack"
    stack.mkdir()
    values = {
        "WEBHOOK_SECRETS": settings.WEBHOOK_SECRETS[0],
        "READ_TOKENS": TOKEN,
        "BASE_URL": base_url,
    }
    stack_env.write(stack / "stack.env", values)
    # A proxy of this machine has no way to its loopback.
    with Reader(tmp_path, {"STACK_DIR": str(stack)}) as reader:
        reader.run("export NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost")
        yield reader


def test_a_sender_with_curl_and_one_in_plain_python(reader: Reader) -> None:
    reader.run("mkdir blog")  # the page only shows what `examples/drf_sender` has there
    reader.follow(DOCS / "senders.md")
    assert indexed("post-1") >= {"grüße", "news", "one", "two"}


def test_a_reader_with_curl(reader: Reader, base_url: str, settings: Any) -> None:
    parcel = delivery.sample(settings.WEBHOOK_SECRETS[0])
    assert delivery.send(base_url, parcel, timeout=ANSWER_SECONDS).status == 202
    eventually(lambda: on_the_replica(parcel.source_id), ANSWER_SECONDS)
    reader.follow(DOCS / "reading.md")


def on_the_replica(source_id: str) -> bool:
    """Whether a reader finds the Post by its words."""
    with replica_reads():
        return Post.objects.filter(source_id=source_id, search_vector__isnull=False).exists()
