"""What a user of the outbox writes: `@outbox.task`, `enqueue` and `prepare`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, overload

import celery

from outbox import entry, registry
from outbox.body import check_prepare, name_of, parameters_of
from outbox.celery_task import runner, with_base
from outbox.refusals import CALLS, refusing
from outbox.task_options import CELERYS, check_event_types, check_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Concatenate, TypeVar, Unpack

    from outbox.message import Message
    from outbox.task_options import Options

    PrepareFunction = Callable[[list[Message]], Iterable[Message] | None]
    Prepare = TypeVar("Prepare", bound=PrepareFunction)

P = ParamSpec("P")


class Task(Generic[P]):
    """A declared outbox task: calling it runs its body, `enqueue` stores a message for it."""

    def __init__(
        self,
        body: Callable[..., object],
        event_types: tuple[str, ...],
        *,
        name: str,
        bind: bool,
        options: Mapping[str, Any],
    ) -> None:
        self.body = body
        self.event_types = event_types
        self.name = name
        self.bind = bind
        self.own_queue: str | None = options.get("queue")
        self.priority: int | None = options.get("priority")
        self.max_attempts: int | None = options.get("max_attempts")
        self.backoff: Callable[[int], float] | None = options.get("backoff")
        self.atomic: bool = options.get("atomic", True)
        self.time_limit: int | None = options.get("time_limit")
        self.base: type[celery.Task[Any, Any]] | None = options.get("base")
        self.prepare_function: PrepareFunction | None = None
        self.parameters = parameters_of(body, bound=bind)
        self.__doc__ = body.__doc__
        self.__name__ = body.__name__
        self.__module__ = body.__module__

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> object:
        """Run the body here and now, as a unit test would."""
        return (
            self.body(self.celery_task, *args, **kwargs)
            if self.bind
            else self.body(*args, **kwargs)
        )

    def __repr__(self) -> str:
        return f"<outbox task {self.name}>"

    @property
    def celery_task(self) -> Any:
        """What Celery has under this name: the first argument of a bound body."""
        return celery.current_app.tasks[self.name]

    @property
    def queue(self) -> str:
        """Celery's queue: the task's own, or else the application's default one."""
        # Not known at the declaration: the application reads its settings later.
        return self.own_queue or str(celery.current_app.conf.task_default_queue)

    @property
    def is_plain(self) -> bool:
        """Whether the body needs nothing of Celery's task."""
        return not self.bind and self.base is None

    def enqueue(self, /, *args: P.args, **kwargs: P.kwargs) -> Message:
        """Store a message for this task, with the transaction that is open or not at all.

        Raises `NotInTransaction` outside a transaction, `InvalidPayload` if an argument is not
        JSON, TypeError for arguments that the task does not take.
        """
        event_type = self.only_event_type()
        return entry.add_one(self, event_type, entry.keywords(self, args, kwargs))

    def enqueue_many(self, items: Iterable[Mapping[str, Any]]) -> list[Message]:
        """Store a message for each item, the keyword arguments of one; all of them or none.

        One INSERT takes a thousand. Raises as `enqueue` does, naming the wrong item by its index,
        from 0; what came before it is not stored then, even where the error is caught.
        """
        return entry.add_many(self, items)

    def only_event_type(self) -> str:
        """The event type that `enqueue` means. Raises TypeError if there are several."""
        if len(self.event_types) != 1:
            raise TypeError(
                f"{self.name} serves several event types: name one, "
                f"outbox.add({self.event_types[0]!r}, ...)."
            )
        return self.event_types[0]

    def prepare(self, function: Prepare) -> Prepare:
        """Have messages start as pending and run `function` on batches of them.

        It runs in the transaction that marks them ready, so its effect and "ready" appear
        together. Messages it returns are given back unspent, due again in a second.
        Raises TypeError for a second one, and for what cannot be called with a list.
        """
        check_prepare(self.name, function, self.prepare_function)
        self.prepare_function = function
        return function


# Not declared as methods: a type checker then refuses them too.
for _way in CALLS:
    setattr(Task, _way, refusing(_way))


@overload
def task(
    *event_types: str, bind: Literal[True], **options: Unpack[Options]
) -> Callable[[Callable[Concatenate[Any, P], object]], Task[P]]: ...


@overload
def task(
    *event_types: str, bind: Literal[False] = False, **options: Unpack[Options]
) -> Callable[[Callable[P, object]], Task[P]]: ...


def task(
    *event_types: str, bind: bool = False, **options: Any
) -> Callable[[Callable[..., object]], Task[Any]]:
    """Declare a Celery task that is reached through the outbox. `Options` lists the options.

    `max_attempts` bounds the tries of a step (default: MAX_ATTEMPTS); a task that kills its process
    gets one more, its first delivery not being counted in advance. `atomic=False` is for a task
    that talks to the world: no transaction, but a lease of `time_limit` + 10 seconds at least.
    Celery's prefork pool alone enforces that limit; a body that outlives its lease may run again.
    With `bind=True` the body's first argument is its `BoundTask`. Raises TypeError, at import, for
    what cannot work.
    """
    check_event_types(event_types)

    def declare(body: Callable[..., object]) -> Task[Any]:
        own_name = name_of(body)
        name = options.get("name") or own_name
        check_options(name, options)
        declared: Task[Any] = Task(body, event_types, name=name, bind=bind, options=options)
        registry.register(declared)
        _hand_to_celery(declared, options)
        return declared

    return declare


def _hand_to_celery(declared: Task[Any], options: Mapping[str, Any]) -> None:
    """Enter the task in every Celery application of the process, under the outbox's own terms."""
    celerys = {name: options[name] for name in CELERYS if name in options}
    ours: dict[str, Any] = {
        "name": declared.name,
        "declared": declared,
        "bind": True,
        "base": with_base(declared.base),
        "acks_late": True,
        "reject_on_worker_lost": False,
        "retry_on_worker_lost": False,
        "ignore_result": True,
        "store_errors_even_if_ignored": False,
    }
    celery.shared_task(**celerys, **ours)(runner(declared))
