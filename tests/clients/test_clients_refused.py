"""What we refuse for its proof, the libraries of Standard Webhooks refuse as well."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from django.test import Client

from tests.app.problems import problem_of
from tests.clients.forgeries import FORGERIES, genuine
from tests.clients.libraries import Library
from tests.factories import SECRET, Delivery

URL = "/webhooks/posts/"


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


@pytest.mark.parametrize("make", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_delivery_without_proof_is_refused(make: Callable[[], Delivery]) -> None:
    problem_of(Client().post(URL, **make().request), 401)


def test_a_library_refuses_what_we_refuse(library: Library) -> None:
    received = [(SECRET, make()) for make in (genuine, *FORGERIES.values())]
    [accepted, *refusals] = library.refusals(received)
    assert accepted is None
    assert [name for name, why in zip(FORGERIES, refusals, strict=True) if why is None] == []
