"""Found by the processes that run with the settings beside this file, as any app's tasks are."""

from __future__ import annotations

import outbox
from tests.promises.poison.work import declare_here

declare_here(outbox.task)
