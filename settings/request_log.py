"""What the log says of requests that are refused: a line at most, and nothing of what was sent."""

from __future__ import annotations

import logging


class OfRequests(logging.Filter):
    """Lets Django's own lines about requests through as far as strangers cannot fill the log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written; what it quotes is taken out of it."""
        if record.name == "django.request":
            # The path of an answer that was made on purpose may hold an id that is a capability.
            # What such an answer means is told by lines and counters of our own.
            return record.levelno >= logging.ERROR and bool(record.exc_info)
        if record.name.startswith("django.security."):
            # The logger's name says what was wrong; its message quotes headers, and traces follow.
            record.msg, record.args, record.exc_info = "a request was refused", (), None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True
