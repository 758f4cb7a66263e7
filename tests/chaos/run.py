"""One run: the client sends, faults come, the ledgers are kept, and the checker has its say."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from amqp.exceptions import AMQPError

from tests.chaos import database, faults
from tests.chaos.checker import Objection, Terms, check
from tests.chaos.client import Client, wait_for
from tests.chaos.ledgers import Accepted, Book, Fault, Ledgers, Live, Version, read
from tests.chaos.plan import Step, steps
from tests.chaos.stage import ATTEMPTS, START_SECONDS, Stage

FULL_SECONDS = 300.0
"""A run of so many seconds, or of a number of messages, has faults at their full length."""
RECOVERY_SECONDS = 10.0
"""What a fault that was made alone is given before the next one, at most."""
LOOK_SECONDS = 1.0
PROGRESS_SECONDS = 2.0
BEHIND = 250
"""Messages under way at which the client sends less."""
SENDERS_PATIENCE = 60.0
LONGEST_DRAIN_SECONDS = 900.0
TERMS = Terms(ATTEMPTS)


@dataclass(frozen=True, slots=True)
class Extent:
    """How long a run is: so many seconds, or until there have been so many messages."""

    seconds: float | None = None
    messages: int | None = None

    @property
    def pace(self) -> float:
        """How much of their full length waits and faults have."""
        return 1.0 if self.seconds is None else max(0.1, min(1.0, self.seconds / FULL_SECONDS))

    def is_reached(self, seconds: float, messages: int) -> bool:
        return seconds >= (self.seconds or float("inf")) or messages >= (
            self.messages or float("inf")
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run was, what the checker says of it, and what else was not as it should be."""

    ledgers: Ledgers
    objections: list[Objection]
    complaints: list[str]
    ended: list[str]
    tries: int
    sent_again: int
    seconds: float


class Run:
    """A run on a stage that is up, with its ledgers in `folder`."""

    def __init__(self, stage: Stage, folder: Path, seed: int, say: Callable[[str], None]) -> None:
        self._stage = stage
        self._folder = folder
        self._seed = seed
        self._say = say
        names = ("sent", "accepted", "looks", "faults")
        self._books = {name: Book(folder / f"{name}.jsonl") for name in names}
        self._over = threading.Event()
        self._failures: list[str] = []
        self._messages = 0

    def whole(self, extent: Extent) -> Outcome:
        """From the first delivery to the verdict. The stage's processes are stopped by then."""
        stage, began = self._stage, time.monotonic()
        books = self._books
        client = Client(stage.port, stage.secret, self._seed, books["sent"], books["accepted"])
        watch = threading.Thread(target=self._watch, args=(client,), daemon=True)
        watch.start()
        try:
            with client:
                if self._recover(client, START_SECONDS):
                    self._break(client, extent)
                else:
                    self._failures.append(f"no effect within {START_SECONDS:.0f} s of the start")
                self._say("no more faults; the client ends what it has begun")
                if not client.finish(SENDERS_PATIENCE):
                    self._failures.append(
                        f"no 202 within {SENDERS_PATIENCE:.0f} s of the last fault"
                    )
                self._drain()
        finally:
            self._over.set()
            watch.join(10)
        stage.stop()
        ledgers = self._ledgers()
        return Outcome(
            ledgers,
            check(ledgers, TERMS),
            [*client.strange, *self._failures],
            stage.ended,
            client.tries,
            database.sent_again(stage.dsn),
            time.monotonic() - began,
        )

    def _break(self, client: Client, extent: Extent) -> None:
        began = time.monotonic()

        def reached() -> bool:
            return extent.is_reached(time.monotonic() - began, self._messages)

        with ThreadPoolExecutor(3) as pool:
            for step in steps(self._seed, faults.kinds(self._stage), extent.pace):
                if wait_for(reached, step.wait):
                    return
                self._make(pool, step)
                if len(step.faults) == 1:
                    self._recover(client, RECOVERY_SECONDS * extent.pace)

    def _make(self, pool: ThreadPoolExecutor, step: Step) -> None:
        alone = len(step.faults) == 1
        self._say(" + ".join(f"{each.kind} ({each.lasting:.1f} s)" for each in step.faults))
        made = [
            pool.submit(faults.make, self._stage, each, self._books["faults"], alone=alone)
            for each in step.faults
        ]
        for each in made:
            each.result()

    def _recover(self, client: Client, deadline: float) -> bool:
        """Wait until a delivery that was accepted from now on has taken effect."""
        since, mine = time.time(), set[str]()

        def effected() -> bool:
            if (latest := client.latest) is None or latest.at < since:
                return False
            mine.add(latest.message_id)
            return database.has_effect(self._stage.dsn, mine)

        return wait_for(effected, deadline)

    def _watch(self, client: Client) -> None:
        """Look at the database now and then, tell how far things are, start what has ended."""
        told, dead = time.monotonic(), set[str]()
        while not self._over.wait(LOOK_SECONDS):
            try:
                self._stage.start_again()
                for odd in database.odd(self._stage.dsn, TERMS.horizon):
                    if odd.message_id not in dead:
                        self._books["looks"].write(odd)
                    if odd.state == "dead":
                        dead.add(odd.message_id)
                [[live, buried, done]] = database.once(self._stage.dsn, database.BACKLOG)
                self._messages = live + buried + done
                client.slow = live > BEHIND
                if time.monotonic() - told >= PROGRESS_SECONDS:
                    told = time.monotonic()
                    self._say(
                        f"  accepted {client.accepted}, done {done}, live {live}, dead {buried}"
                    )
            except psycopg2.Error:
                continue  # it is the database's turn to be broken
            except Exception as error:  # noqa: BLE001 - a watch that ends would hide what it met
                self._failures.append(f"the watch met {error!r}")

    def _drain(self) -> None:
        """Wait until all is done, or what is left waits for nobody, or for too long."""
        dsn, end = self._stage.dsn, time.monotonic() + LONGEST_DRAIN_SECONDS

        def settled() -> bool:
            left = [live for live in database.insist(lambda: database.live(dsn)) if _owed(live)]
            return all(live.due_in is None or live.due_in < -TERMS.patience for live in left)

        wait_for(settled, end - time.monotonic(), pause=0.3)
        # Copies of what is done already: none of them may do it again.
        wait_for(self._broker_is_empty, TERMS.patience, pause=0.3)

    def _broker_is_empty(self) -> bool:
        try:
            return self._stage.waiting_in_the_broker() == 0
        except (OSError, AMQPError):
            return False

    def _ledgers(self) -> Ledgers:
        for book in self._books.values():
            book.close()
        dsn, folder = self._stage.dsn, self._folder
        effects = database.insist(lambda: database.effects(dsn))
        book = Book(folder / "effects.jsonl")
        for effect in effects:
            book.write(effect)
        book.close()
        return Ledgers(
            sent=[Version(**each) for each in read(folder / "sent.jsonl")],
            accepted=[Accepted(**each) for each in read(folder / "accepted.jsonl")],
            stored=database.stored(dsn),
            effects=effects,
            looks=[Live(**each) for each in read(folder / "looks.jsonl")],
            faults=[Fault(**each) for each in read(folder / "faults.jsonl")],
        )


def _owed(live: Live) -> bool:
    return live.state != "dead"
