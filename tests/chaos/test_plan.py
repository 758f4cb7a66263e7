"""A run can be made again: what comes depends on the seed alone."""

from __future__ import annotations

from itertools import islice

from tests.chaos.checker import shows
from tests.chaos.content import delivery, is_repeated, version
from tests.chaos.faults import KINDS
from tests.chaos.ledgers import Seen
from tests.chaos.plan import steps

NAMES = sorted(KINDS)


def test_the_same_seed_gives_the_same_faults_and_waits() -> None:
    first, again = (list(islice(steps(5, NAMES, 1.0), 60)) for _ in range(2))
    assert first == again
    assert first != list(islice(steps(6, NAMES, 1.0), 60))


def test_each_fault_comes_alone_before_any_come_together() -> None:
    alone = list(islice(steps(5, NAMES, 1.0), len(NAMES)))
    assert sorted(fault.kind for step in alone for fault in step.faults) == NAMES
    together = list(islice(steps(5, NAMES, 1.0), len(NAMES), len(NAMES) + 5))
    assert all(len(step.faults) > 1 for step in together[:-1])


def test_a_shorter_run_has_the_same_faults_closer_together() -> None:
    long, short = (list(islice(steps(5, NAMES, pace), 40)) for pace in (1.0, 0.1))
    kinds = [[[fault.kind for fault in step.faults] for step in plan] for plan in (long, short)]
    assert kinds[0] == kinds[1]
    assert sum(step.wait for step in short) < sum(step.wait for step in long) / 5


def test_the_same_seed_gives_the_same_deliveries() -> None:
    def sent(seed: int) -> list[object]:
        return [(delivery(seed, n), is_repeated(seed, n)) for n in range(300)]

    assert sent(5) == sent(5)
    assert sent(5) != sent(6)


def test_deliveries_are_of_all_kinds_out_of_order_and_some_of_one_time() -> None:
    sent = [version(5, n) for n in range(600)]
    assert {each.kind for each in sent} == {"post.created", "post.updated", "post.deleted"}
    posts: dict[str, list[str]] = {}
    for each in sent:
        posts.setdefault(each.post, []).append(each.at)
    assert any(times != sorted(times) for times in posts.values())
    assert any(len(set(times)) < len(times) for times in posts.values())


def test_no_two_versions_of_a_post_look_alike_but_deletions_of_one_time() -> None:
    sent = [version(5, n) for n in range(600) if not version(5, n).deleted]
    for one in sent:
        names = one.categories, one.tags
        seen = Seen(one.title, one.body, *names, None, None)
        assert [each for each in sent if (each.title, each.body) == (seen.title, seen.body)] == [
            one
        ]
        assert not shows(one, seen)  # found by no words, it is not whole
