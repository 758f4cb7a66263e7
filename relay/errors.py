"""What can go wrong on the way to the broker without being any message's fault."""

from __future__ import annotations


class Outage(Exception):
    """The broker could not be reached or did not answer; the text says why."""


class Blocked(Outage):
    """The broker takes no messages for now: its memory or disk alarm is on.

    A new connection would be blocked as well, so there is no use in trying one at once.
    """
