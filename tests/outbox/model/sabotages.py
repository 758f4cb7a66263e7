"""Ways to break the store, one at a time, each of which the machine must notice."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import pytest

from outbox import statements, task_statements

OURS = "lease_token = %(token)s AND "
TO_SEND = "state IN ('ready', 'dispatched')"
NOT_RUNNING = "\n      AND started_at IS NULL"
SKIP = "SKIP LOCKED"
AGE = "now() - coalesce(dispatched_at, now())"
TAKES_OVER = "lease_token = %(token)s::uuid,"
KEEPS_BOTH = "lease_token = coalesce(%(token)s::uuid, lease_token),"
OF_LEASE = "lease_token = %(token)s::uuid)"
KEEPS = "UPDATE outbox_message SET sends = sends"
AS_IT_WAS = """ AND attempts = %(attempts)s
    AND sends = %(sends)s AND lease_token IS NOT DISTINCT FROM %(lease_token)s::uuid"""
CLAIMS = (
    "CLAIM_PENDING",
    "CLAIM_PENDING_SUSPECT",
    "CLAIM_READY",
    "CLAIM_OVERDUE",
    "CLAIM_UNSENT_SUSPECT",
)


@dataclass(frozen=True, slots=True)
class Sabotage:
    """Put `new` for `old` into statements, as often as it is there."""

    name: str
    module: ModuleType
    statements: tuple[str, ...]
    old: str
    new: str

    def commit(self, patch: pytest.MonkeyPatch) -> None:
        changed = 0
        for name in self.statements:
            text: str = getattr(self.module, name)
            changed += self.old in text
            patch.setattr(self.module, name, text.replace(self.old, self.new))
        assert changed, f"{self.name}: the statements read otherwise by now"


def _relay(name: str, of: str | tuple[str, ...], old: str, new: str = "") -> Sabotage:
    return Sabotage(name, statements, (of,) if isinstance(of, str) else of, old, new)


def _worker(name: str, of: str, old: str, new: str = "") -> Sabotage:
    return Sabotage(name, task_statements, (of,), old, new)


SABOTAGES = [
    _relay("a claim ignores the lease", CLAIMS, "due_at <= now()", "true"),
    _relay("a claim leases nothing", CLAIMS, "now() + make_interval(secs => %(lease)s)", "now()"),
    _relay("a claim counts nothing", CLAIMS, "m.attempts + 1", "m.attempts"),
    _relay("a claim takes all there is", CLAIMS[0], "LIMIT %(limit)s"),
    _relay("a claim takes all there is of a queue", CLAIMS[2], "LIMIT open.room"),
    _relay("a claim of suspects takes all there are", (CLAIMS[1], CLAIMS[4]), "LIMIT 1"),
    _relay("a claim waits for locks", CLAIMS, SKIP),
    _relay("a claim locks nothing", CLAIMS, f"FOR NO KEY UPDATE {SKIP}"),
    _relay("a claim takes the youngest", CLAIMS[0], "ORDER BY due_at", "ORDER BY due_at DESC"),
    _relay("suspects are not taken alone", CLAIMS[2], "AND NOT r.suspect"),
    _relay("a claim leaves the dead worker's mark", CLAIMS, "started_at = NULL,"),
    _relay("hold without the token", "HOLD", OURS),
    _relay("mark_ready without the token", "MARK_READY", OURS),
    _relay("mark_ready without the state", "MARK_READY", " AND state = 'pending'"),
    _relay("mark_ready keeps the count", "MARK_READY", "attempts = 0, sends = 0,"),
    _relay("mark_dispatched without the token", "MARK_DISPATCHED", OURS),
    _relay("mark_dispatched without the state", "MARK_DISPATCHED", TO_SEND, "true"),
    _relay("mark_dispatched of what a worker runs", "MARK_DISPATCHED", NOT_RUNNING),
    _relay("mark_dispatched waits for workers", "MARK_DISPATCHED", SKIP),
    _relay("mark_dispatched does not refund", "MARK_DISPATCHED", "attempts - 1", "attempts"),
    _relay("the wait does not double", "MARK_DISPATCHED", AGE, "interval '0'"),
    _relay("release without the token", "RELEASE", OURS),
    _relay("release does not refund", "RELEASE", "attempts - 1", "attempts"),
    _relay("release refunds the sending always", "RELEASE", "%(unsent)s::int", "1"),
    _relay("release of what a worker runs", "RELEASE", NOT_RUNNING),
    _relay("fail without the token", "FAIL", OURS),
    _relay("fail keeps the lease", "FAIL", "lease_token = NULL, "),
    _relay("fail leaves no suspect", "FAIL", "suspect = attempts <", "suspect = 0 * attempts >"),
    _relay("fail never buries", "FAIL", "attempts >= %(max_attempts)s", "false"),
    _relay("requeue of the living", "REQUEUE", "AND state = 'dead'"),
    _relay("requeue keeps the count", "REQUEUE", "attempts = 0, "),
    _relay("requeue is due never", "REQUEUE", "due_at = now(), ", "due_at = '2040-01-01', "),
    _worker("a worker takes what another has", "LOCK_FREE", f"FOR UPDATE {SKIP}"),
    _worker("a worker waits from the first", "LOCK_FREE", SKIP),
    _worker("a worker does not wait for its row", "LOCK", "FOR UPDATE", ""),
    _worker("begin_try does not count", "BEGIN_TRY", "attempts + (", "attempts + 0 * ("),
    _worker("begin_try counts twice", "BEGIN_TRY", "attempts + (", "attempts + (true OR "),
    _worker("begin_try leaves the relay its claim", "BEGIN_TRY", TAKES_OVER, KEEPS_BOTH),
    _worker("begin_try of what is pending", "BEGIN_TRY", TO_SEND, "true"),
    _worker("fail_try without the token", "FAIL_TRY", OF_LEASE, "true)"),
    _worker("fail_try keeps the lease", "FAIL_TRY", "lease_token = NULL, suspect = false,"),
    _worker("fail_try goes by its transaction's start", "FAIL_TRY", "clock_timestamp()", "now()"),
    _worker("complete does not delete", "COMPLETE", "DELETE FROM outbox_message", KEEPS),
    _worker("complete without the token", "COMPLETE", OF_LEASE, "true)"),
    _worker("complete of what is dead", "COMPLETE", TO_SEND, "true"),
    _worker("complete forgets who counted", "COMPLETE", " OR lease_token IS NOT NULL"),
    _worker("give_back from who has it now", "GIVE_BACK", AS_IT_WAS),
    _worker("give_back spends the try", "GIVE_BACK", "attempts - %(counted)s::int", "attempts"),
    _worker("give_back waits for workers", "GIVE_BACK", SKIP),
]
