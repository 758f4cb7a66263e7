"""The environment: read here alone, and only what `settings/variables.py` declares.

Every variable `NAME` may also be given as `NAME_FILE`, the path of a file that holds the value.
A variable that is empty counts as not given.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from django.core.exceptions import ImproperlyConfigured
from environs import FileAwareEnv

from app import retry_horizon, signature
from app.read_token import is_usable
from settings.variable import Kind, Variable
from settings.variables import VARIABLES

# Whoever set it for programs of their own did not mean ours: the library would count in a folder
# that may not be there, in each process. `settings/metrics_page.py` sets it for the web's workers.
for _foreign in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):
    os.environ.pop(_foreign, None)

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class BadVariable(ImproperlyConfigured):
    """A variable whose value cannot be used. The message names it, never a secret's value."""


def text(name: str) -> str:
    """Return the value of a text variable, `""` when it has neither value nor default."""
    return _raw(_variable(name, "text"))


def url(name: str) -> str:
    """Return the value of a URL variable, `""` when it is not given."""
    return _raw(_variable(name, "url"))


def words(name: str) -> list[str]:
    """Return the words of a list variable; spaces, line ends and commas separate them."""
    return _raw(_variable(name, "words")).replace(",", " ").split()


def integer(name: str) -> int:
    """Return a whole number within the variable's bounds."""
    variable = _variable(name, "integer")
    raw = _raw(variable)
    try:
        number = int(raw)
    except ValueError:
        raise BadVariable(f"{name} must be a whole number, not {raw!r}.") from None
    if variable.minimum is not None and number < variable.minimum:
        raise BadVariable(f"{name} must be at least {variable.minimum}, not {number}.")
    if variable.maximum is not None and number > variable.maximum:
        raise BadVariable(f"{name} must be at most {variable.maximum}, not {number}.")
    return number


def flag(name: str) -> bool:
    """Return whether a switch is on."""
    raw = _raw(_variable(name, "flag")).lower()
    if raw not in _TRUE | _FALSE:
        raise BadVariable(f"{name} must be true or false, not {raw!r}.")
    return raw in _TRUE


def choice(name: str) -> str:
    """Return one of the variable's choices."""
    variable = _variable(name, "choice")
    raw = _raw(variable)
    if raw not in variable.choices:
        raise BadVariable(f"{name} must be one of {', '.join(variable.choices)}, not {raw!r}.")
    return raw


def check(process: str, *, production: bool = False) -> None:
    """Read everything once, so that a process with a mistake in its environment does not start.

    Raises `ImproperlyConfigured` with all the mistakes, one a line.
    """
    # A rule that compares variables tells the mistake in one of them a second time.
    mistakes = dict.fromkeys(str(mistake) for mistake in _mistakes(process, production=production))
    if mistakes:
        raise ImproperlyConfigured(
            "The environment cannot be used:\n" + "\n".join(f"  {line}" for line in mistakes)
        )


def _mistakes(process: str, *, production: bool) -> Iterator[BadVariable]:
    for variable in VARIABLES.values():
        try:
            _READERS[variable.kind](variable.name)
            _demand(variable, process, production=production)
        except BadVariable as mistake:
            yield mistake
    for rule in (
        # It may be a new secret that is wanted, because one is wrong.
        *(() if process == "secrets" else (_check_webhook_secrets,)),
        _check_read_tokens,
        _check_history,
        _check_retry_horizon,
    ):
        try:
            rule()
        except BadVariable as mistake:
            yield mistake


def _demand(variable: Variable, process: str, *, production: bool) -> None:
    required_by = variable.required_by
    if production:
        required_by |= variable.required_in_production_by
    if process in required_by and not _raw(variable):
        raise BadVariable(
            f"{variable.name} is not set. {variable.help}"
            f" Give it as {variable.name}, or as a file's path in {variable.name}_FILE."
        )


def _check_webhook_secrets() -> None:
    for place, fault in signature.faults(words("WEBHOOK_SECRETS")):
        raise BadVariable(
            f"WEBHOOK_SECRETS: secret number {place} cannot be used: {fault}. A secret is"
            " whsec_ and the base64 of 24 to 64 random bytes."
        )


def _check_read_tokens() -> None:
    for position, token in enumerate(words("READ_TOKENS"), start=1):
        if not is_usable(token):
            raise BadVariable(
                f"READ_TOKENS: token number {position} must have 16 characters or more, of"
                " A-Z a-z 0-9 - . _ ~ + / and = at its end."
            )


def _check_history() -> None:
    kept, dedupe = integer("OUTBOX_HISTORY_DAYS"), integer("WEBHOOK_DEDUPE_DAYS")
    if kept < dedupe:
        raise BadVariable(
            f"OUTBOX_HISTORY_DAYS ({kept}) must be at least WEBHOOK_DEDUPE_DAYS ({dedupe}): a"
            " duplicate is answered with the address of a message that must still be known."
        )


def _check_retry_horizon() -> None:
    fault = retry_horizon.fault(
        dedupe_days=integer("WEBHOOK_DEDUPE_DAYS"),
        retry_hours=integer("WEBHOOK_RETRY_HOURS"),
        tolerance_seconds=integer("WEBHOOK_TOLERANCE_SECONDS"),
    )
    if fault:
        raise BadVariable(fault)


def _variable(name: str, kind: Kind) -> Variable:
    variable = VARIABLES[name]
    if variable.kind != kind:
        raise TypeError(f"{name} is declared as {variable.kind}, and read as {kind}")
    return variable


def _raw(variable: Variable) -> str:
    try:
        value: str = FileAwareEnv(expand_vars=False).str(variable.name, "")
    except (ValueError, OSError):
        raise BadVariable(
            f"{variable.name}_FILE must be the path of a text file that this process may read."
        ) from None
    return value.strip() or variable.default


_READERS = {
    "text": text,
    "url": url,
    "words": words,
    "integer": integer,
    "flag": flag,
    "choice": choice,
}
