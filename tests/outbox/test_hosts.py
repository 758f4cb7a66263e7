"""Which hosts are tried, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from outbox.hosts import one_host_each

Parameters = dict[str, Any]


def places(**given: Any) -> list[tuple[Any, ...]]:
    return [
        tuple(each.get(name) for name in ("host", "hostaddr", "port"))
        for each in one_host_each(given)
    ]


def test_one_host_is_left_as_it_is() -> None:
    for given in ({}, {"host": "a", "port": 5432}, {"host": "/run/postgresql"}, {"port": "1"}):
        assert one_host_each(given) == [given]


def test_each_host_has_its_own_port_or_the_only_one_that_is_given() -> None:
    assert places(host="a,b", port="1,2") == [("a", None, "1"), ("b", None, "2")]
    assert places(host="a,b", port="1") == [("a", None, "1"), ("b", None, "1")]
    assert places(host="a,b") == [("a", None, None), ("b", None, None)]
    assert places(host="a,,b", port="1,,2")[1] == ("", None, "")


def test_each_address_goes_with_its_host() -> None:
    assert places(hostaddr="1.1.1.1,2.2.2.2", host="a,b", port="1") == [
        ("a", "1.1.1.1", "1"),
        ("b", "2.2.2.2", "1"),
    ]
    assert places(hostaddr="1.1.1.1,2.2.2.2") == [(None, "1.1.1.1", None), (None, "2.2.2.2", None)]


def test_the_other_parameters_are_for_each() -> None:
    told = one_host_each({"host": "a,b", "dbname": "x", "target_session_attrs": "read-write"})
    assert [each["host"] for each in told] == ["a", "b"]
    assert {(each["dbname"], each["target_session_attrs"]) for each in told} == {
        ("x", "read-write")
    }


@pytest.mark.parametrize(
    "given",
    [
        {"host": "a,b,c", "port": "1,2"},
        {"host": "a", "port": "1,2"},
        {"host": "a,b", "hostaddr": "1.1.1.1"},
    ],
)
def test_a_list_that_does_not_match_is_left_for_libpq_to_refuse(given: Parameters) -> None:
    assert one_host_each(given) == [given]


def test_a_standby_is_preferred_among_all_hosts_before_any_other_is_taken() -> None:
    told = one_host_each({"host": "a,b", "target_session_attrs": "prefer-standby"})
    assert [(each["host"], each["target_session_attrs"]) for each in told] == [
        ("a", "standby"),
        ("b", "standby"),
        ("a", "any"),
        ("b", "any"),
    ]


def test_hosts_are_tried_in_any_order_where_that_is_asked_for() -> None:
    given = {"host": "a,b,c", "load_balance_hosts": "random"}
    firsts = {one_host_each(given)[0]["host"] for _ in range(200)}
    assert firsts == {"a", "b", "c"}
