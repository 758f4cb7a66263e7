"""One host after the other, where a connection's parameters name several.

libpq goes to the next host by itself when one refuses. One that is frozen or gone it leaves only in
its blocking connect, which alone heeds `connect_timeout`. Who connects without blocking takes the
list apart, and gives each host a deadline of its own, as libpq's documentation has it.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import psycopg2

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from psycopg2.extensions import connection


def connect_to_any(
    parameters: Mapping[str, Any], connect: Callable[[dict[str, Any]], connection]
) -> connection:
    """Return the first connection that `connect` gets, given the parameters for one host each.

    Raises psycopg2's `OperationalError` when there is none; it then tells of all the hosts.
    """
    errors: list[psycopg2.OperationalError] = []
    for given in one_host_each(parameters):
        try:
            return connect(given)
        except psycopg2.OperationalError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    raise psycopg2.OperationalError("; ".join(str(error).strip() for error in errors))


def one_host_each(parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return libpq's parameters for each host, in the order in which libpq would try them.

    Lists of different lengths stay together: libpq then names the mistake.
    """
    lists = {
        name: str(parameters[name]).split(",")
        for name in ("host", "hostaddr", "port")
        if parameters.get(name)
    }
    number = len(lists.get("hostaddr") or lists.get("host") or [""])
    if len(lists.get("port", [])) == 1:
        lists["port"] *= number
    if number == 1 or any(len(each) != number for each in lists.values()):
        return [dict(parameters)]
    places = [
        {**parameters, **dict(zip(lists, place, strict=True))}
        for place in zip(*lists.values(), strict=True)
    ]
    if parameters.get("load_balance_hosts") == "random":
        random.shuffle(places)
    if parameters.get("target_session_attrs") == "prefer-standby":
        return [
            {**place, "target_session_attrs": wanted}
            for wanted in ("standby", "any")
            for place in places
        ]
    return places
