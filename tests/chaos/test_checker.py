"""The checker itself: it objects by name to each kind of damage, and to a sound run in nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.checker import INVARIANTS, Objection, Terms, check, words
from tests.chaos.ledgers import Accepted, Effect, Fault, Ledgers, Live, Seen, Stored, Version

TERMS = Terms(attempts=3, horizon=3600.0, patience=30.0)
Damage = Callable[[Ledgers], None]


def version(number: int, post: str, kind: str = "post.updated") -> Version:
    at = f"2026-01-01T00:00:{number:02}+00:00"
    if kind == "post.deleted":
        return Version(f"msg{number}", post, kind, at)
    names = (f"category{number}",), (f"tag{number}", "common")
    return Version(f"msg{number}", post, kind, at, f"title{number}", f"body{number}", *names)


def seen(version: Version) -> Seen:
    if version.deleted:
        return Seen("", "", (), (), version.at, None)
    names = version.categories, version.tags
    return Seen(version.title, version.body, *names, None, tuple(words(version)))


def message(number: int) -> str:
    return f"message{number}"


def sound() -> Ledgers:
    """Three versions of one Post, the task of the first late; a Post that was deleted; a repeat."""
    sent = [version(n, "a") for n in (1, 2, 3)]
    sent += [version(4, "b"), version(5, "b", "post.deleted")]
    accepted = [Accepted(f"msg{n}", message(n), 100.0 + n) for n in (1, 2, 3, 4, 5, 2)]
    showed = {1: 3, 2: 2, 3: 3, 4: 4, 5: 5}
    return Ledgers(
        sent=sent,
        accepted=accepted,
        stored=Stored(
            deliveries={f"msg{n}": message(n) for n in showed},
            done=[message(n) for n in showed],
            posts={"a": seen(sent[2]), "b": seen(sent[4])},
        ),
        effects=[
            Effect(message(n), sent[n - 1].post, seen(sent[shown - 1]), 110.0 + n)
            for n, shown in showed.items()
        ],
        faults=[Fault("kill worker", "worker0", 90.0, 91.0, alone=True)],
    )


def effect_of(ledgers: Ledgers, number: int, **changed: Any) -> None:
    """Change what the task of a message saw."""
    effect = ledgers.effects[number - 1]
    ledgers.effects[number - 1] = replace(effect, seen=replace(effect.seen, **changed))


def live(ledgers: Ledgers, number: int, **changed: Any) -> None:
    """Have a message be live in place of done, and without an effect."""
    ledgers.stored.done.remove(message(number))
    ledgers.effects = [e for e in ledgers.effects if e.message_id != message(number)]
    ledgers.stored.live.append(replace(Live(message(number), "ready", 5.0, "", 130.0), **changed))


def lost_altogether(ledgers: Ledgers) -> None:
    live(ledgers, 4)
    ledgers.stored.live.clear()
    del ledgers.stored.deliveries["msg4"]


def lost_but_for_its_delivery(ledgers: Ledgers) -> None:
    live(ledgers, 4)
    ledgers.stored.live.clear()


def done_without_effect(ledgers: Ledgers) -> None:
    del ledgers.effects[3]


def answered_with_two_messages(ledgers: Ledgers) -> None:
    ledgers.accepted[-1] = replace(ledgers.accepted[-1], message_id="another")


def doubled(ledgers: Ledgers) -> None:
    ledgers.effects.append(replace(ledgers.effects[1], at=200.0))


def of_nobody(ledgers: Ledgers) -> None:
    ledgers.effects.append(replace(ledgers.effects[2], message_id="stranger"))


def done_and_live(ledgers: Ledgers) -> None:
    ledgers.stored.live.append(Live(message(1), "dispatched", 5.0, "", 130.0))


def without_tags(ledgers: Ledgers) -> None:
    effect_of(ledgers, 4, tags=())


def with_a_tag_of_the_version_before(ledgers: Ledgers) -> None:
    effect_of(ledgers, 3, tags=("tag2", "common"))


def with_one_tag_too_many(ledgers: Ledgers) -> None:
    effect_of(ledgers, 3, tags=("tag3", "tag2", "common"))


def unfilled(ledgers: Ledgers) -> None:
    effect_of(ledgers, 4, title="", body="", categories=(), tags=(), words=())


def indexed_by_words_of_two_versions(ledgers: Ledgers) -> None:
    effect_of(ledgers, 3, words=("title3", "body3", "category2", "tag2", "common"))


def stale(ledgers: Ledgers) -> None:
    ledgers.effects[2] = replace(ledgers.effects[2], seen=seen(ledgers.sent[0]))


def of_another_post(ledgers: Ledgers) -> None:
    ledgers.effects[3] = replace(ledgers.effects[3], post="a", seen=seen(ledgers.sent[2]))


def brought_back(ledgers: Ledgers) -> None:
    ledgers.stored.posts["b"] = seen(ledgers.sent[3])


def overwritten_by_an_older_version(ledgers: Ledgers) -> None:
    ledgers.stored.posts["a"] = seen(ledgers.sent[1])


def never_due(ledgers: Ledgers) -> None:
    live(ledgers, 4, due_in=None)


def due_next_year(ledgers: Ledgers) -> None:
    live(ledgers, 4, due_in=3e7)


def overdue(ledgers: Ledgers) -> None:
    live(ledgers, 4, due_in=-31.0)


def never_due_in_the_course_of_the_run(ledgers: Ledgers) -> None:
    ledgers.looks.append(Live(message(1), "pending", None, "", 115.0))


def dead_of_outages(ledgers: Ledgers) -> None:
    live(ledgers, 5, state="dead", error="boom")
    ledgers.faults += [Fault("broker killed", "", 120.0, 121.0, alone=True)] * 5


def dead_before_it_was_struck(ledgers: Ledgers) -> None:
    live(ledgers, 5, state="dead", error="boom")
    ledgers.looks.append(Live(message(5), "dead", 0.0, "boom", 119.0))
    ledgers.faults += [Fault("kill worker", "worker0", 120.0, 121.0, alone=True)] * 5


DAMAGES: list[tuple[Damage, set[str]]] = [
    (lost_altogether, {"accepted-is-stored", "accepted-is-effected"}),
    (lost_but_for_its_delivery, {"accepted-is-stored", "accepted-is-effected"}),
    (done_without_effect, {"accepted-is-effected"}),
    (answered_with_two_messages, {"accepted-is-stored", "accepted-is-effected"}),
    (doubled, {"effected-once"}),
    (of_nobody, {"effected-once"}),
    (done_and_live, {"effected-once"}),
    (without_tags, {"whole-version"}),
    (with_a_tag_of_the_version_before, {"whole-version"}),
    (with_one_tag_too_many, {"whole-version"}),
    (unfilled, {"whole-version"}),
    (indexed_by_words_of_two_versions, {"whole-version"}),
    (stale, {"whole-version"}),
    (of_another_post, {"whole-version"}),
    (brought_back, {"newest-lasts"}),
    (overwritten_by_an_older_version, {"newest-lasts"}),
    (never_due, {"accepted-is-effected", "always-due"}),
    (due_next_year, {"accepted-is-effected", "always-due"}),
    (overdue, {"accepted-is-effected", "always-due"}),
    (never_due_in_the_course_of_the_run, {"always-due"}),
    (dead_of_outages, {"no-unexplained-dead"}),
    (dead_before_it_was_struck, {"no-unexplained-dead"}),
]


def names(objections: list[Objection]) -> set[str]:
    return {objection.invariant for objection in objections}


def test_a_sound_run_is_not_objected_to() -> None:
    assert check(sound(), TERMS) == []


@pytest.mark.parametrize(
    ("damage", "invariants"), DAMAGES, ids=[damage.__name__ for damage, _ in DAMAGES]
)
def test_damage_is_objected_to_by_name(damage: Damage, invariants: set[str]) -> None:
    ledgers = sound()
    damage(ledgers)
    assert names(check(ledgers, TERMS)) == invariants


def test_each_invariant_has_a_damage_that_breaks_it() -> None:
    assert set().union(*(invariants for _, invariants in DAMAGES)) == set(INVARIANTS)


def test_a_death_that_enough_faults_explain_is_not_objected_to() -> None:
    ledgers = sound()
    live(ledgers, 5, state="dead", error="its worker died")
    ledgers.faults += [Fault("kill worker", "worker0", 120.0, 121.0, alone=True)] * 3
    ledgers.stored.posts["b"] = seen(ledgers.sent[3])  # its version was never applied
    assert check(ledgers, TERMS) == []


def test_a_task_may_see_a_newer_version_than_its_own() -> None:
    ledgers = sound()
    ledgers.effects[1] = replace(ledgers.effects[1], seen=seen(ledgers.sent[2]))
    assert check(ledgers, TERMS) == []


def test_a_message_that_waits_for_its_next_time_is_owed_its_effect_and_no_more() -> None:
    ledgers = sound()
    live(ledgers, 4, due_in=20.0)
    assert names(check(ledgers, TERMS)) == {"accepted-is-effected"}
