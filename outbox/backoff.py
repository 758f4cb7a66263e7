"""How long a failed try waits."""

from __future__ import annotations

import random

BASE_SECONDS = 2.0
CAP_SECONDS = 600.0


def delay_seconds(attempts: int) -> float:
    """Exponential backoff with full jitter, in seconds, for a message that has failed so often.

    Full jitter (anywhere between nothing and the bound) keeps messages that failed together, as
    when a service behind them was down, from coming back together.
    """
    bound = min(CAP_SECONDS, BASE_SECONDS * 2.0 ** min(attempts, 30))
    return random.uniform(0.0, bound)  # noqa: S311 - spreads load, guards nothing
