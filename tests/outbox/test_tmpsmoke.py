from __future__ import annotations
import pytest
from outbox.states import State
from outbox import registry, store
from tests.message_factory import *
from tests.waiting import eventually

@pytest.mark.django_db
@pytest.mark.parametrize("n", [1,2])
def test_x(declare, n):
    for s in State:
        print(MessageFactory(state=s))
        print(MessageFactory(state=s).due_at)
    MessageFactory(leased=True)
    MessageFactory(running=True)
    MessageFactory(state="dead", unprepared=True)
    HistoryFactory()
    @declare("x.y")
    def f(): ...
    import celery
    print(f.name, celery.current_app.tasks.keys())
    assert registry.find("x.y") is f
    assert eventually(lambda: 3) == 3
    print(store.claim_ready({"celery": 10}, registry.AllowedTasks(("tests.happened",), ())))
