"""Two preparers: the caller is told of both, and of neither before both have ended."""

from __future__ import annotations

import threading
from typing import cast

import pytest

from outbox.prepare import Preparer
from outbox.side_by_side import SideBySide

pytestmark = pytest.mark.django_db

PATIENCE = 0.5


class Scripted:
    """A preparer whose turns end as the test says, the last of them for ever."""

    def __init__(self, *ends: bool | Exception) -> None:
        self.ends = [*ends]
        self.settled = 0

    def settle(self) -> None:
        self.settled += 1

    def advance(self) -> bool:
        end = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        if isinstance(end, Exception):
            raise end
        return end

    prepare_fresh = advance


def side_by_side(first: Scripted, second: Scripted) -> SideBySide:
    return SideBySide(cast("Preparer", first), cast("Preparer", second))


@pytest.mark.parametrize("second", [True, False])
def test_there_is_more_while_either_finds_more(second: bool) -> None:
    both = side_by_side(Scripted(True, False), Scripted(second, False))
    assert both.advance()
    assert both.advance() is second
    both.close()


def test_what_the_second_still_owes_is_settled_though_it_has_no_turn() -> None:
    second = Scripted(False)
    both = side_by_side(Scripted(False), second)
    both.advance()
    assert second.settled == 1


def test_an_error_of_the_first_is_not_raised_before_the_second_has_ended() -> None:
    returned, ended = threading.Event(), threading.Event()

    class Slow(Scripted):
        def prepare_fresh(self) -> bool:
            returned.wait(PATIENCE)
            if not returned.is_set():
                ended.set()
            return False

    both = side_by_side(Scripted(True, ValueError("broken")), Slow(False))
    assert both.advance()
    with pytest.raises(ValueError, match="broken"):
        both.advance()
    returned.set()
    assert ended.is_set()
    both.close()
