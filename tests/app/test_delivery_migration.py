"""The ledger's migration beside the traffic: it must not hold up all deliveries for long."""

from __future__ import annotations

from contextlib import closing

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection

from tests.factories import WebhookDeliveryFactory
from tests.sql import query


@pytest.mark.django_db(transaction=True)
def test_behind_a_long_transaction_it_gives_up_both_ways_and_changes_nothing() -> None:
    WebhookDeliveryFactory()
    query("SET statement_timeout = '20s'")  # a wait without an end is told apart by its error
    try:
        for target, was in (("0002", 2), ("0003", 0)):
            with closing(connection.copy()) as other, other.cursor() as reader:
                reader.execute("BEGIN; SELECT FROM app_delivery")
                with pytest.raises(OperationalError, match="lock timeout"):
                    call_command("migrate", "app", target, verbosity=0)
                assert columns() == was
            call_command("migrate", "app", target, verbosity=0)
            assert columns() == 2 - was
        assert query("SELECT state, endpoint FROM app_delivery") == [("pending", "")]
    finally:
        query("RESET statement_timeout")
        call_command("migrate", "app", verbosity=0)


def columns() -> int:
    """How many of the migration's columns the ledger has."""
    [[number]] = query(
        "SELECT count(*) FROM information_schema.columns"
        " WHERE table_name = 'app_delivery' AND column_name IN ('state', 'endpoint')"
    )
    return int(number)
