"""One delivery that a sender sends many times at once, to the real web process."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from app.models import Post, WebhookDelivery
from outbox.models import OutboxMessage
from tests.factories import event
from tests.service import Service, running

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(90)]

TIMES = 50

RawAnswer = tuple[int, str | None, str | None, bytes]


def send_at_once(service: Service, body: bytes, webhook_id: str, times: int) -> list[RawAnswer]:
    """Status, content type, Location and body of each answer, as the server has written them."""
    headers = service.signed(body, webhook_id)
    together = Barrier(times, timeout=20)

    def send(_: int) -> RawAnswer:
        connection = service.connection()
        try:
            connection.connect()
            together.wait()
            connection.request("POST", "/webhooks/posts/", body, headers)
            answer = connection.getresponse()
            kind, location = answer.getheader("content-type"), answer.getheader("location")
            return answer.status, kind, location, answer.read()
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(send, range(times)))


def test_the_same_webhook_fifty_times_at_once_is_one_message_and_fifty_equal_answers(
    transactional_db: None, tmp_path: Path
) -> None:
    with running(tmp_path, only={"web"}, WEB_CONCURRENCY="2") as service:
        for turn in range(2):  # the first finds processes that have no connections yet
            body = json.dumps(event(source_id=f"post-{turn}")).encode()
            answers = send_at_once(service, body, f"msg_{turn}", TIMES)

            delivery = WebhookDelivery.objects.get(webhook_id=f"msg_{turn}")
            status_url = f"/messages/{delivery.message_id}/"
            acceptance = {
                "message_id": str(delivery.message_id),
                "state": "pending",
                "status_url": status_url,
            }
            assert len(answers) == TIMES
            ((status, kind, location, raw),) = set(answers)
            assert (status, kind, location) == (202, "application/json", status_url)
            assert json.loads(raw) == acceptance
            assert WebhookDelivery.objects.count() == Post.everything.count() == turn + 1
            assert OutboxMessage.objects.count() == turn + 1
            assert OutboxMessage.objects.filter(pk=delivery.message_id).exists()
