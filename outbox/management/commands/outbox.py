"""`manage.py outbox`: what an operator asks and does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db import ProgrammingError
from psycopg2 import errorcodes

from outbox import chores, partitions, store
from outbox.backlog import counts, dead_ids, done_count
from outbox.states import DONE, State
from outbox.status import timeline

if TYPE_CHECKING:
    import argparse

REQUEUE_BATCH = 1000


class Command(BaseCommand):
    help = "Look into the outbox, and put it right."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        stats = verbs.add_parser("stats", help="how many messages are in each state, how old")
        stats.add_argument("--json", action="store_true", help="one JSON object")
        stats.add_argument("--exact", action="store_true", help="count the done ones, not estimate")
        show = verbs.add_parser("show", help="the life of one message")
        show.add_argument("id", type=UUID, metavar="ID")
        requeue = verbs.add_parser("requeue", help="have dead messages tried again")
        which = requeue.add_mutually_exclusive_group(required=True)
        which.add_argument("ids", type=UUID, nargs="*", default=[], metavar="ID")
        which.add_argument("--all", action="store_true", help="every dead message")
        verbs.add_parser(
            "maintain", help="make and drop partitions of the history, do the chores (hourly)"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        getattr(self, options["verb"])(options)

    def stats(self, options: dict[str, Any]) -> None:
        """Print the number of messages by state and the age of the oldest."""
        live = counts()
        number: dict[str, int] = {state: live.get(state, (0, None))[0] for state in State}
        number[DONE] = done_count(exact=options["exact"])
        oldest: dict[str, float | None] = {state: live.get(state, (0, None))[1] for state in State}
        if options["json"]:
            self.stdout.write(json.dumps({**number, "oldest_seconds": oldest}))
            return
        self.stdout.write(f"{'state':<12}{'messages':>12}{'oldest, s':>12}")
        for state, count in number.items():
            age = oldest.get(state)
            about = "" if state != DONE or options["exact"] else "  (an estimate)"
            self.stdout.write(
                f"{state:<12}{count:>12}{'-' if age is None else f'{age:.1f}':>12}{about}"
            )

    def show(self, options: dict[str, Any]) -> None:
        """Print the life of one message."""
        lines = timeline(options["id"])
        if not lines:
            raise CommandError(f"No message {options['id']}: unknown, or dropped from the history.")
        for name, value in lines:
            self.stdout.write(f"{name:<14}{value}")

    def requeue(self, options: dict[str, Any]) -> None:
        """Send dead messages back to the step they died in, in bounded batches."""
        total = 0
        if options["all"]:
            # Found once: a message that dies again meanwhile is not sent round and round.
            ids = dead_ids()
            for start in range(0, len(ids), REQUEUE_BATCH):
                total += len(store.requeue(ids[start : start + REQUEUE_BATCH]))
        else:
            won = store.requeue(options["ids"])
            total = len(won)
            if missed := [str(i) for i in options["ids"] if i not in won]:
                raise CommandError(
                    f"{total} requeued; not dead, so left alone: {', '.join(missed)}."
                )
        self.stdout.write(f"{total} requeued.")

    def maintain(self, _options: dict[str, Any]) -> None:
        """Make the partitions of the coming days, drop what is over its retention, do the chores.

        A chore that fails stops no other.
        """
        try:
            result = partitions.maintain()
        except ProgrammingError as error:
            if getattr(error.__cause__, "pgcode", None) != errorcodes.INSUFFICIENT_PRIVILEGE:
                raise
            raise CommandError(
                f"{str(error).strip()}: only the owner of the tables can maintain the history; "
                "run this with a DATABASE_URL of its role."
            ) from error
        for word, names in (
            ("created", result.created),
            ("dropped", result.dropped),
            ("postponed, a lock was not to be had", result.postponed),
            ("left in the default partition", result.blocked),
        ):
            if names:
                self.stdout.write(f"{word}: {', '.join(names)}")
        if partitions.DEFAULT not in result.postponed:
            self.stdout.write(f"{result.pruned} old rows deleted from the default partition.")
        failed = []
        for done in chores.run():
            if done.error is None:
                self.stdout.write(f"{done.name}: {done.removed} removed.")
            else:
                failed.append(done.name)
                reason = str(done.error).partition("\n")[0]  # the log has all of it
                self.stdout.write(f"{done.name}: failed, {type(done.error).__name__}: {reason}")
        if failed:
            raise CommandError(f"Chores that failed: {', '.join(failed)}. The log has the reasons.")
