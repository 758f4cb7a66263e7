from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from deploy.devstack.demo.comparison import Fields
from deploy.devstack.demo.records import Records
from deploy.devstack.demo.report import SHOWN, Report, report
from deploy.devstack.demo.writers import Call, Writers

POST = {"deleted": False, "title": "a title"}
TIMES = (0.0, 1.0, 2.0, 3.0)


@dataclass
class Side:
    """What the databases of one side would give."""

    posts: dict[str, Fields] = field(default_factory=dict)
    done: dict[str, Any] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    said: Sequence[str] = ()

    def states(self) -> dict[str, int]:
        return {**self.left, "done": len(self.done)}

    def errors(self) -> Sequence[str]:
        return self.said

    def delivered(self) -> dict[str, Any]:
        return self.done

    taken_in = delivered

    def sent_posts(self) -> dict[str, Fields]:
        return self.posts

    arrived_posts = sent_posts


@dataclass
class Written:
    calls: list[Call]
    planned: int
    failures: list[str] = field(default_factory=list)


def call(method: str, post_id: str, webhook_id: str) -> Call:
    return Call(method, post_id, webhook_id, 0.1, 0.0)


CREATED = call("POST", "1", "w1")


def told(written: Written, sender: Side, receiver: Side) -> Report:
    writers, one, other = cast("tuple[Writers, Records, Records]", (written, sender, receiver))
    return report(writers, one, other, 0.0)


def test_all_is_well_when_all_is_done_and_both_hold_the_same() -> None:
    sender, receiver = Side({"1": POST}, {"w1": (0.1, 0)}), Side({"1": POST}, {"w1": TIMES})
    found = told(Written([CREATED], 1), sender, receiver)
    assert found.faults == []
    assert "1 posts, 0 of them deleted, compared field by field: no differences." in found.lines[-1]


def test_a_call_that_was_not_made_in_time_is_a_fault() -> None:
    sender, receiver = Side({"1": POST}, {"w1": (0.1, 0)}), Side({"1": POST}, {"w1": TIMES})
    written = Written([CREATED], 3, ["post 7: TimeoutError()"])
    assert told(written, sender, receiver).faults == [
        "2 of 3 calls of the API did not succeed:",
        "1 failed:",
        "  post 7: TimeoutError()",
    ]


def test_what_is_not_done_is_told_with_its_state_and_error() -> None:
    sender = Side({"1": POST}, {}, {"dead": 1}, ["dead: answered 401: no"])
    receiver = Side({"1": POST}, {}, {"ready": 2, "dispatched": 1})
    assert told(Written([CREATED], 1), sender, receiver).faults == [
        "1 of 1 deliveries are not done:",
        "  left with the sender: 1 dead",
        "    dead: answered 401: no",
        "  left with Pillarbox: 1 dispatched, 2 ready",
    ]


def test_a_deleted_post_must_have_arrived_as_deleted() -> None:
    gone = call("DELETE", "1", "w2")
    done = {"w1": TIMES, "w2": TIMES}
    alive = {"1": {**POST, "body": "", "categories": [], "tags": [], "searchable": True}}
    found = told(
        Written([CREATED, gone], 2), Side({}, {"w1": (0, 0), "w2": (0, 1)}), Side(alive, done)
    )
    assert "  post 1: deleted" in found.faults
    assert any("1 of 2 webhooks needed more than one try" in line for line in found.lines)


def test_of_many_differences_the_first_are_shown_and_all_are_counted() -> None:
    posts: dict[str, Fields] = {f"{number:03}": POST for number in range(SHOWN + 5)}
    found = told(Written([], 0), Side(posts), Side())
    assert found.faults[0] == f"{SHOWN + 5} differences:"
    assert found.faults[-1] == "  ... and 5 more"
    assert len(found.faults) == 2 + SHOWN * 3
