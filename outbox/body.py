"""Which functions can be a task's body or its prepare function."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def name_of(function: Callable[..., object]) -> str:
    """Module and name. Raises TypeError for an object that is no function, even if it is callable.

    It has no name of its own, and what it would run cannot be told: its `__call__` may be async.
    """
    if not inspect.isroutine(function) or not hasattr(function, "__name__"):
        raise TypeError(f"{function!r} is no function: write one with def, which calls it.")
    return f"{function.__module__}.{function.__name__}"


def parameters_of(body: Callable[..., object], *, bound: bool) -> inspect.Signature:
    """The parameters that the payload fills. A `bound` body's first one is the Celery task.

    Raises TypeError for a body that would run nothing, or that no keyword arguments can reach.
    """
    refuse_async(body)
    if inspect.isgeneratorfunction(body):
        raise TypeError(
            f"{name_of(body)} is a generator: it would be called and run nothing. Write a plain "
            "function."
        )
    signature = inspect.signature(body)
    parameters = list(signature.parameters.values())
    if bound:
        if not parameters or parameters[0].kind not in (
            inspect.Parameter.POSITIONAL_ONLY,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
        ):
            raise TypeError(f"{name_of(body)}: with bind=True its first argument is the task.")
        parameters = parameters[1:]
    for parameter in parameters:
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            raise TypeError(
                f"{name_of(body)}: {parameter.name} is positional, but the payload is the keyword "
                "arguments."
            )
    return signature.replace(parameters=parameters)


def check_prepare(task: str, function: Any, present: Callable[..., object] | None) -> None:
    """Raise TypeError for a prepare function that would not work, or a second one."""
    if not callable(function) or hasattr(function, "enqueue"):
        raise TypeError(
            f"{task}.prepare takes a function of the list of messages, not {function!r}."
        )
    name = name_of(function)
    refuse_async(function)
    try:
        inspect.signature(function).bind([])
    except TypeError:
        raise TypeError(
            f"{name} prepares {task}: it must take one argument, the list of messages."
        ) from None
    # The same function of a module that is loaded twice is no second one.
    again = present is function or (
        inspect.isfunction(function) and present is not None and name_of(present) == name
    )
    if present is not None and not again:
        raise TypeError(
            f"{task} has two prepare functions, {name_of(present)} and {name}: call "
            "the second from the first."
        )


def refuse_async(function: Callable[..., object]) -> None:
    """Raise TypeError for a function that would be called and run nothing."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"{name_of(function)} is async: it would be called and run nothing. Write a plain "
            "function."
        )
