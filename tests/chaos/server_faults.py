"""Faults of the servers beneath: the broker, its queue, and the database."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from amqp import Channel
from amqp.exceptions import AMQPError

from deploy.devstack.process import StartFailed
from tests.chaos import database
from tests.chaos.client import wait_for
from tests.chaos.plan import Planned
from tests.chaos.stage import QUEUE, START_SECONDS, Stage, freeze, thaw
from tests.service import kill

PATIENCE_SECONDS = 30.0
TERMINATE_EVERY = 0.3
LOOT, LOOT_SECONDS = 20, 4.0
"""Messages that a queue should hold when it is emptied, and seconds to wait for them."""


def kill_broker(stage: Stage, fault: Planned) -> None:
    """End it without a word; what it has confirmed is on its disk."""
    assert stage.broker is not None
    kill(stage.broker)
    time.sleep(fault.lasting)
    _start_broker(stage)


def restart_broker(stage: Stage, fault: Planned) -> None:
    """Stop it as an operator does, and start it again."""
    assert stage.broker is not None
    stage.broker.stop(PATIENCE_SECONDS)
    time.sleep(fault.lasting)
    _start_broker(stage)


def _start_broker(stage: Stage) -> None:
    assert stage.broker is not None
    stage.broker.start()
    if not wait_for(lambda: _answers(stage), START_SECONDS):
        raise StartFailed(stage.broker.complaint("did not come back"))


def _answers(stage: Stage) -> bool:
    try:
        with stage.open_channel():
            return True
    except (OSError, AMQPError):
        return False


def freeze_broker(stage: Stage, fault: Planned) -> None:
    """Stop it: connections stay open, and nobody answers on them."""
    assert stage.broker is not None
    freeze(stage.broker)
    try:
        time.sleep(fault.lasting)
    finally:
        thaw(stage.broker)


def purge(channel: Channel) -> None:
    """Empty the queue."""
    channel.queue_purge(QUEUE)


def delete(channel: Channel) -> None:
    """Take the queue away, with all that waits in it."""
    channel.queue_delete(QUEUE)


def from_the_queue(take: Callable[[Channel], None]) -> Callable[[Stage, Planned], None]:
    """Take what waits in the broker, once something does: the workers are frozen for so long."""

    def rob(stage: Stage, _: Planned) -> None:
        def robbed() -> bool:
            try:
                waiting = stage.waiting_in_the_broker()
                if enough := waiting >= LOOT or time.monotonic() > end:
                    with stage.open_channel() as channel:
                        take(channel)
            except (OSError, AMQPError):  # it may be away for a reason of its own
                return False
            return enough

        end = time.monotonic() + LOOT_SECONDS
        try:
            for process in stage.processes["worker"]:
                freeze(process)
            wait_for(robbed, PATIENCE_SECONDS)
        finally:
            for process in stage.processes["worker"]:
                thaw(process)

    return rob


def restart_database(stage: Stage, fault: Planned) -> None:
    """Shut it down at once, with no checkpoint and no farewell, and have it recover."""
    assert stage.postgres is not None
    stage.postgres.send(signal.SIGQUIT)
    stage.postgres.wait(PATIENCE_SECONDS)
    time.sleep(fault.lasting)
    stage.postgres.start_and_wait()


def terminate_backends(stage: Stage, fault: Planned) -> None:
    """End the sessions of the service's processes, over and over while the fault lasts."""
    end = time.monotonic() + fault.lasting
    while True:
        database.insist(lambda: database.once(stage.dsn, database.TERMINATE), PATIENCE_SECONDS)
        if time.monotonic() > end:
            return
        time.sleep(TERMINATE_EVERY)
