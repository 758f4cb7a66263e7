"""What came of a demo: the table, the comparison, and what is not as it should be."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from deploy.devstack.demo.comparison import GONE, differences
from deploy.devstack.demo.records import Records
from deploy.devstack.demo.stages import Stage, table
from deploy.devstack.demo.writers import Call, Writers

SHOWN = 12
"""Failures, and differences, that are printed; the rest is counted."""

Delivered = Mapping[str, tuple[float, int]]
TakenIn = Mapping[str, tuple[float, float, float, float]]


@dataclass(frozen=True, slots=True)
class Report:
    """`faults` is empty if, and only if, every delivery is done and both sides hold the same."""

    lines: list[str]
    faults: list[str]


def report(writers: Writers, sender: Records, receiver: Records, clock_ahead: float) -> Report:
    """Read both databases. `clock_ahead`: seconds by which theirs is ahead of ours."""
    calls = writers.calls
    delivered, taken_in = sender.delivered(), receiver.taken_in()
    deleted = {call.post_id for call in calls if call.method == "DELETE"}
    sent = {**sender.sent_posts(), **dict.fromkeys(deleted, GONE)}
    found = differences(sent, receiver.arrived_posts())
    again = sum(tries > 0 for _, tries in delivered.values())
    not_made = writers.planned - len(calls)
    not_done = sum(call.webhook_id not in taken_in for call in calls)
    compared = f"{len(sent):,} posts, {len(deleted):,} of them deleted, compared field by field"
    lines = [
        *table(stages(calls, delivered, taken_in, clock_ahead)),
        "",
        f"  {again:,} of {len(delivered):,} webhooks needed more than one try.",
        f"  {compared}: {len(found) or 'no'} difference{'' if len(found) == 1 else 's'}.",
    ]
    faults: list[str] = []
    if not_made:
        faults.append(f"{not_made:,} of {writers.planned:,} calls of the API did not succeed:")
    faults += _listed("failed", [[f"  {failure}"] for failure in writers.failures])
    if not_done:
        faults.append(f"{not_done:,} of {len(calls):,} deliveries are not done:")
        faults += [*_left("the sender", sender), *_left("Pillarbox", receiver)]
    faults += _listed("differences", [difference.lines() for difference in found])
    return Report(lines, faults)


def stages(
    calls: Sequence[Call], delivered: Delivered, taken_in: TakenIn, clock_ahead: float
) -> list[Stage]:
    """The seconds that each delivery took, stage by stage, of those that came so far."""
    times = taken_in.values()
    whole = [
        # A fast worker is done before the caller has read the API's answer.
        max(taken_in[call.webhook_id][3] - clock_ahead - call.answered_at, 0.0)
        for call in calls
        if call.webhook_id in taken_in
    ]
    return [
        ("sender     API called -> stored, answered", [call.seconds for call in calls]),
        ("sender     in its outbox -> delivered", [seconds for seconds, _ in delivered.values()]),
        ("Pillarbox  received -> ready", [ready - received for received, ready, _, _ in times]),
        ("Pillarbox  ready -> dispatched", [sent - ready for _, ready, sent, _ in times]),
        ("Pillarbox  dispatched -> done", [done - sent for _, _, sent, done in times]),
        ("both       API answered -> done", whole),
    ]


def _left(whose: str, records: Records) -> list[str]:
    states = {state: count for state, count in records.states().items() if state != "done"}
    told = ", ".join(f"{count:,} {state}" for state, count in sorted(states.items()))
    return [f"  left with {whose}: {told or 'nothing'}", *(f"    {e}" for e in records.errors())]


def _listed(title: str, entries: Collection[list[str]]) -> list[str]:
    if not entries:
        return []
    shown = [line for entry in list(entries)[:SHOWN] for line in entry]
    more = len(entries) - SHOWN
    return [f"{len(entries):,} {title}:", *shown, *([f"  ... and {more:,} more"] * (more > 0))]
