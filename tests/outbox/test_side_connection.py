from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from django.db import connection

from outbox import side_connection
from outbox.side_connection import SideConnection
from tests.relay.tcp_proxy import TcpProxy
from tests.side_proxy import beside_django

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def proxy(database: None) -> Iterator[TcpProxy]:
    with beside_django() as proxy:
        yield proxy


@pytest.fixture
def side(proxy: TcpProxy) -> Iterator[SideConnection]:
    side = SideConnection(connect_seconds=1.0)
    yield side
    side.close()


def ask(side: SideConnection, seconds: float = 10.0) -> Any:
    return side.run("SELECT %s + 1", [1], seconds=seconds)


def test_it_runs_statements_as_one_and_gives_the_rows_of_the_last(side: SideConnection) -> None:
    rows = side.run(
        "SET LOCAL application_name TO 'x'; SELECT 1, 'a' UNION SELECT 2, 'b'", seconds=5
    )
    assert sorted(rows) == [(1, "a"), (2, "b")]
    assert side.run("SET application_name TO 'y'", seconds=5) == []
    assert side.run("SHOW application_name", seconds=5) == [("y",)]


def test_it_keeps_its_session_through_an_error_of_a_statement(
    side: SideConnection, proxy: TcpProxy
) -> None:
    ask(side)
    with pytest.raises(psycopg2.errors.DivisionByZero):
        side.run("SELECT 1 / 0", seconds=5)
    assert ask(side) == [(2,)]
    assert proxy.accepted == 1


def test_a_lost_session_is_an_error_and_the_next_statement_has_a_new_one(
    side: SideConnection, proxy: TcpProxy
) -> None:
    ask(side)
    proxy.cut()
    with pytest.raises(psycopg2.OperationalError):
        ask(side)
    assert not side.is_open
    assert ask(side) == [(2,)]
    assert proxy.accepted == 2


def test_a_session_that_the_server_ends_is_given_up(side: SideConnection) -> None:
    [(pid,)] = side.run("SELECT pg_backend_pid()", seconds=5)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    with pytest.raises(psycopg2.OperationalError):
        ask(side)
    assert not side.is_open


def test_a_server_that_answers_no_more_costs_the_deadline(
    side: SideConnection, proxy: TcpProxy
) -> None:
    ask(side)
    proxy.freeze()
    began = time.monotonic()
    with pytest.raises(psycopg2.OperationalError, match=r"no answer of the database within 0\.2 s"):
        ask(side, 0.2)
    assert time.monotonic() - began < 5
    assert not side.is_open


def test_a_server_that_accepts_and_says_nothing_costs_the_deadline(
    side: SideConnection, proxy: TcpProxy
) -> None:
    proxy.freeze()
    began = time.monotonic()
    with pytest.raises(psycopg2.OperationalError, match="within 1 s"):
        ask(side)
    assert 1 <= time.monotonic() - began < 5
    proxy.thaw()
    assert ask(side) == [(2,)]


def test_a_port_that_refuses_is_an_error_at_once(side: SideConnection, proxy: TcpProxy) -> None:
    proxy.refuse()
    with pytest.raises(psycopg2.OperationalError, match="refused"):
        ask(side)
    proxy.listen()
    assert ask(side) == [(2,)]


def test_a_closed_one_opens_again(side: SideConnection) -> None:
    side.close()
    ask(side)
    side.close()
    side.close()
    assert ask(side) == [(2,)]


@pytest.fixture
def two_hosts(proxy: TcpProxy) -> Iterator[TcpProxy]:
    """A first host beside the proxy, which is the second one then."""
    given = side_connection._parameters()
    with TcpProxy(proxy.target) as first, pytest.MonkeyPatch.context() as patch:
        both = {
            **given,
            "host": f"127.0.0.1,{given['host']}",
            "port": f"{first.port},{given['port']}",
        }
        patch.setattr(side_connection, "_parameters", lambda: both)
        yield first


def test_a_first_host_that_is_frozen_costs_its_deadline_and_the_second_is_taken(
    side: SideConnection, proxy: TcpProxy, two_hosts: TcpProxy
) -> None:
    ask(side)
    assert (two_hosts.accepted, proxy.accepted) == (1, 0)
    two_hosts.freeze()
    with pytest.raises(psycopg2.OperationalError, match="no answer"):
        ask(side, 0.2)
    assert ask(side) == [(2,)]
    assert (two_hosts.accepted, proxy.accepted) == (2, 1)


def test_where_no_host_answers_the_error_tells_of_each(
    side: SideConnection, proxy: TcpProxy, two_hosts: TcpProxy
) -> None:
    two_hosts.freeze()
    proxy.refuse()
    with pytest.raises(psycopg2.OperationalError, match=r"no answer .* within 1 s; .*refused"):
        ask(side)
    proxy.listen()
