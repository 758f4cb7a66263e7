"""Steps of a poller that follow a script."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from outbox.poller import Poller

CHANNEL = "outbox_pending"
LONG = 60.0  # an interval that no test waits for: their timeouts are shorter


class Steps:
    """A step that follows a script: a list of answers, or of functions that give one."""

    def __init__(self, *script: bool | Callable[[], bool]) -> None:
        self.calls = 0
        self.poller: Poller | None = None
        self._script = script

    def __call__(self) -> bool:
        answer = self._script[self.calls]
        self.calls += 1
        if self.calls == len(self._script) and self.poller is not None:
            self.poller.stop()
        return answer if isinstance(answer, bool) else answer()


def run(steps: Steps, interval: float = LONG, **options: Any) -> Poller:
    """Run a poller that ends after the last step of the script."""
    poller = Poller("test", steps, interval=interval, channel=CHANNEL, **options)
    steps.poller = poller
    poller.run()
    return poller


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [
        line for name, at, line in caplog.record_tuples if name == "outbox.poller" if at == level
    ]
