"""What a pool does under stress, told as one JSON object: run with the backend's name
and the seconds after which a wait counts as endless.

A process of its own, since monkey-patching cannot be undone. Each scenario has an alias, and so a
pool, of its own: one that is wedged does not spoil the next.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import gc  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

import django  # noqa: E402
import gevent  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db import connections, transaction  # noqa: E402
from django.db.utils import OperationalError  # noqa: E402
from gevent.event import Event  # noqa: E402
from pool_probe import (  # noqa: E402
    CONNECTIONS,
    PATIENCE,
    PRIMARY,
    WAIT_SECONDS,
    backends,
    name_of,
    outcome,
    outcomes,
    query,
    terminate,
    until,
)

from settings.geventpool import wait  # noqa: E402


def cold_start(alias: str) -> dict[str, Any]:
    burst = gevent.spawn(outcomes, 20, alias, "SELECT pg_sleep(0.1)")
    most = 0
    while not burst.ready():
        most = max(most, backends(alias))
    return {"most": most, "outcomes": sorted(set(burst.get()))}


def exhausted(alias: str) -> dict[str, Any]:
    enough = Event()
    holding: list[str] = []

    def hold() -> None:
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT 1")
            holding.append(alias)
            enough.wait(WAIT_SECONDS)
        connections[alias].close()

    holders = [gevent.spawn(hold) for _ in range(CONNECTIONS)]
    until(lambda: len(holding) == CONNECTIONS)
    during, opened = outcome(alias), backends(alias)
    enough.set()
    gevent.joinall(holders)
    return {"during": during, "backends": opened, "after": outcome(alias)}


def terminated(alias: str) -> dict[str, Any]:
    outcomes(CONNECTIONS, alias, "SELECT pg_sleep(0.05)")
    burst = gevent.spawn(outcomes, 20, alias, "SELECT pg_sleep(0.5)")
    until(lambda: backends(alias, "active") >= CONNECTIONS)
    killed = terminate(alias)
    burst.get()
    after = outcomes(2 * CONNECTIONS, alias)
    return {"killed": killed, "after": sorted(set(after)), "backends": backends(alias)}


def terminated_while_idle(alias: str) -> dict[str, Any]:
    outcomes(CONNECTIONS, alias, "SELECT pg_sleep(0.05)")
    terminate(alias)
    until(lambda: backends(alias) == 0)
    return {"after": sorted(set(outcomes(2 * CONNECTIONS, alias)))}


def isolation_level(alias: str) -> dict[str, Any]:
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        level = cursor.fetchone()[0]
    connections[alias].close()
    return {"level": level}


def interrupted(alias: str) -> dict[str, Any]:
    outcomes(CONNECTIONS, alias, "SELECT pg_sleep(0.05)")

    def impatient() -> None:
        with gevent.Timeout(0.1, False), transaction.atomic(using=alias):
            query(alias, "SELECT pg_sleep(5)")
        connections[alias].close()

    gevent.spawn(impatient).join()
    return {"idle": connections[alias].pool.pool.qsize(), "after": outcome(alias)}


def forgotten(alias: str) -> dict[str, Any]:
    def forget() -> None:
        connections[alias].cursor().execute("SELECT 1")

    for _ in range(CONNECTIONS):
        gevent.spawn(forget).join()
    gc.collect()
    return {"after": sorted(set(outcomes(CONNECTIONS, alias)))}


def other_database(alias: str) -> dict[str, Any]:
    with connections[alias]._nodb_cursor() as cursor:
        cursor.execute("SELECT current_database()")
        other = cursor.fetchone()[0]
    return {"other": other, "own": query(alias, "SELECT current_database()") == PRIMARY["NAME"]}


def forked(alias: str) -> dict[str, Any]:
    parent = query(alias, "SELECT pg_backend_pid()")
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            told = outcome(alias)
            if told == "ok":
                told = str(query(alias, "SELECT pg_backend_pid()"))
            os.write(writer, told.encode())
        finally:
            os._exit(0)
    child = os.read(reader, 1_000).decode()
    return {
        "own": child.isdigit() and int(child) != parent,
        "kept": query(alias, "SELECT pg_backend_pid()") == parent,
    }


def time_zone(alias: str) -> dict[str, Any]:
    return {"zone": query(alias, "SHOW TimeZone")}


def left_open(alias: str) -> dict[str, Any]:
    connection = connections[alias]
    connection.set_autocommit(False)
    connection.cursor().execute("SELECT 1")
    connection.close()
    lent = connection.pool.get()
    state = {"autocommit": lent.autocommit, "status": lent.info.transaction_status}
    connection.pool.put(lent)
    return state


def unreachable(alias: str) -> dict[str, Any]:
    # A listener that never answers: libpq alone would wait for it without end.
    with gevent.socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        place = {"HOST": "127.0.0.1", "PORT": str(silent.getsockname()[1])}
        connections[alias].settings_dict.update(place)
        connections[alias].settings_dict["OPTIONS"]["connect_timeout"] = 1
        return {"during": outcome(alias)}


def first_host_frozen(alias: str) -> dict[str, Any]:
    # libpq alone would wait for the first, and never come to the second.
    with gevent.socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        given = connections[alias].settings_dict
        given["PORT"] = f"{silent.getsockname()[1]},{given['PORT']}"
        given["HOST"] = f"127.0.0.1,{given['HOST']}"
        given["OPTIONS"]["connect_timeout"] = 1
        return {"during": outcome(alias)}


SCENARIOS: list[Callable[[str], dict[str, Any]]] = [
    cold_start,
    exhausted,
    terminated,
    terminated_while_idle,
    isolation_level,
    interrupted,
    forgotten,
    other_database,
    forked,
    time_zone,
    left_open,
    unreachable,
    first_host_frozen,
]


def main(engine: str) -> None:
    options = {**PRIMARY["OPTIONS"], "MAX_CONNS": CONNECTIONS}
    del options["POOL_TIMEOUT"]
    # A server in another zone than the project's: what the pool forgets to set shows.
    options["options"] += " -c TimeZone=Asia/Tokyo"
    aliases = {
        scenario.__name__: {
            **PRIMARY,
            "ENGINE": engine,
            "OPTIONS": {**options, "application_name": name_of(scenario.__name__)},
        }
        for scenario in SCENARIOS
    }
    if engine == "settings.geventpool":
        for name, alias in aliases.items():
            alias["OPTIONS"]["POOL_TIMEOUT"] = 0.5 if name == "exhausted" else PATIENCE
    aliases["isolation_level"]["OPTIONS"]["isolation_level"] = 3
    settings.configure(
        DATABASES={"default": PRIMARY, **aliases},
        USE_TZ=True,
        TIME_ZONE="UTC",
    )
    django.setup()
    wait.install()
    told = {}
    for scenario in SCENARIOS:
        try:
            told[scenario.__name__] = scenario(scenario.__name__)
        except OperationalError as error:
            told[scenario.__name__] = {"error": str(error)}
    print(json.dumps(told), flush=True)
    # Greenlets of a wedged pool would hold the process open.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
