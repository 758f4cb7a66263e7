"""What `postprocess` and `relay` share: their options, and how they poll or drain."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from outbox.poller import Poller

if TYPE_CHECKING:
    from collections.abc import Callable

    from outbox.stop import StopSignal

BATCH_SIZE = 200
POLL_SECONDS = 1.0
PATIENCE_SECONDS = 30.0


MOST = 1_000_000
"""Of whatever is given on a command line. Longer waits, in seconds, the system does not know."""


def positive(kind: type[int | float]) -> Callable[[str], float]:
    """An argparse type: a number above zero, and at most a million."""

    def parse(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            number = kind(0)
        if not 0 < number <= MOST:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number above zero, up to {MOST}")
        return number

    return parse


class PollingCommand(BaseCommand):
    """A command that takes work from the outbox until a signal stops it."""

    requires_migrations_checks = False
    batch_size = BATCH_SIZE

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--drain",
            action="store_true",
            help="work until nothing of this step is due or leased, then exit: 0 when done, "
            f"1 after {PATIENCE_SECONDS:.0f} s without progress",
        )
        parser.add_argument(
            "--batch-size",
            type=positive(int),
            default=self.batch_size,
            help="most messages claimed at once (default: %(default)s)",
        )
        parser.add_argument(
            "--poll-interval",
            type=positive(float),
            default=POLL_SECONDS,
            metavar="SECONDS",
            help="longest wait for a notification before looking again (default: %(default)s)",
        )

    def poll(
        self,
        step: Callable[[], bool],
        unfinished: Callable[[], int],
        *,
        channel: str,
        on_stop: Callable[[], None],
        on_quiet: Callable[[], None] | None = None,
        stop: StopSignal,
        **options: Any,
    ) -> None:
        """Run `step` until a signal, or with --drain until `unfinished()` is zero.

        `on_stop` writes what an outage has left unwritten, the claims to be given back above all.
        `stop` tells the step, in the middle of its work, that a signal came.
        """
        name = self.__module__.rpartition(".")[2]
        interval = options["poll_interval"]
        poller = Poller(
            name,
            step,
            interval=interval,
            channel=channel,
            on_stop=on_stop,
            on_quiet=on_quiet,
            stop=stop,
        )
        if not options["drain"]:
            self.stdout.write(f"{name} waits for work; Ctrl-C or SIGTERM ends it.")
            self.stdout.flush()  # or a log would get it when the process ends
            poller.run()
        elif not poller.drain(unfinished, PATIENCE_SECONDS):
            raise CommandError(
                f"Not drained: stopped, or no progress for {PATIENCE_SECONDS:.0f} s. "
                "`manage.py outbox stats` shows what is left; messages of types that this "
                "process does not know are left to others."
            )
