"""Requests made from the description, right and wrong ones: each answer is one it describes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks

from app import webhook
from app.handler import Handler
from app.models import WebhookDelivery
from outbox.models import OutboxMessage
from tests.app.readers import TOKEN
from tests.app.signing_proxy import SigningProxy
from tests.factories import PostFactory, signed_delivery
from tests.message_factory import MessageFactory
from tests.openapi_answers import Description
from tests.properties import same_each_time

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_connections")]

RIGHT, WRONG = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
# Few, so that some come again with another body.
WEBHOOK_IDS = st.sampled_from([f"msg_{number}" for number in range(6)])


@pytest.fixture(autouse=True)
def _tokens(settings: Any) -> None:
    settings.READ_TOKENS = [TOKEN]


class Requests:
    """Requests made from the description that the service itself gives."""

    def __init__(self) -> None:
        generation = GenerationConfig(with_security_parameters=False)
        config = SchemathesisConfig(
            projects=ProjectsConfig(default=ProjectConfig(generation=generation))
        )
        application = SigningProxy(Handler())
        self._schema = schemathesis.openapi.from_wsgi("/openapi.json", application, config=config)
        self._description = Description(self._schema.raw_schema)
        self.seen: Counter[int] = Counter()

    def of(self, method: str, path: str) -> st.SearchStrategy[Any]:
        operation = self._schema[path][method]
        right, wrong = (operation.as_strategy(generation_mode=mode) for mode in (RIGHT, WRONG))
        return right | wrong

    def answer(self, case: Any) -> Any:
        """Send it, and see that the answer is one that is described."""
        response = case.call()
        self.seen[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)
        # Stricter than the library: no member that is not described, formats too.
        headers = {name.lower(): values[0] for name, values in response.headers.items()}
        sent = (case.method, case.path, response.status_code, headers, response.content)
        assert self._description.faults(*sent) == []
        return response


def test_deliveries_are_answered_as_described() -> None:
    requests = Requests()

    @same_each_time(50)
    @given(requests.of("POST", "/webhooks/posts/"), WEBHOOK_IDS, st.integers(0, 3))
    def deliver(case: Any, webhook_id: str, as_generated: int) -> None:
        if as_generated:  # else its headers may be as wrong as its body
            case.headers = {**signed_delivery(webhook_id=webhook_id).headers}
        answer = requests.answer(case)
        if answer.status_code == 202:
            assert OutboxMessage.objects.filter(pk=answer.json()["message_id"]).exists()

    deliver()
    assert set(requests.seen) >= {202, 400, 401, 409, 422}, requests.seen
    assert WebhookDelivery.objects.count() == OutboxMessage.objects.count() > 5


@pytest.mark.parametrize(
    ("path", "statuses"),
    [
        ("/posts/", {200, 401, 422}),
        ("/posts/{source_id}/", {200, 404}),
        ("/messages/{message_id}/", {200, 404}),
        ("/livez", {200}),
        ("/readyz", {200}),
        ("/openapi.json", {200}),
    ],
)
def test_questions_are_answered_as_described(path: str, statuses: set[int]) -> None:
    known = {
        "message_id": str(MessageFactory.create().id),
        "source_id": PostFactory.create(source_id="a/b").source_id,
    }
    requests = Requests()

    @same_each_time(30 if "/posts/" in path or "{" in path else 5)
    @given(requests.of("GET", path), st.integers(0, 3))
    def ask(case: Any, unknown: int) -> None:
        if not unknown:
            case.path_parameters = {name: known[name] for name in case.path_parameters}
        requests.answer(case)

    ask()
    assert set(requests.seen) >= statuses, requests.seen


def test_a_view_that_raises_for_some_event_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(delivery: Any) -> Any:
        if delivery.content.type == "post.created":
            raise LookupError("a fault of ours")
        return record(delivery)

    record = webhook.record
    monkeypatch.setattr(webhook, "record", raising)
    with pytest.raises(FailureGroup, match=r"\[500\] Internal Server Error"):
        test_deliveries_are_answered_as_described()
