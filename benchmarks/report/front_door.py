"""The section about what comes ahead of the database, from what `benchmarks.front_door` found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

TEXT = """\
## The front door

Before a delivery reaches the database its body is read, its signature and its time are checked,
the door is asked whether it is open (no query: the process knows), and the body is parsed.
`make bench-front-door` weighs that against a view of the same web process that answers 202 with
as many bytes and looks at nothing. It asks one process, with the service's own settings, over
HTTP: the bare view, then a view with the checks alone, then the webhook, which is a round; and
runs each check by itself in a loop. The webhook's answer is given after its commit.

Microseconds of the web process's processor for one request, medians of {rounds} rounds:

| body | bare view | with the checks | the webhook | body and signature | parse | admission |
| --- | --- | --- | --- | --- | --- | --- |
{costs}

How many times the bare view's that is, round by round, as median, least and most:

| body | with the checks | the webhook |
| --- | --- | --- |
{ratios}

Where the range of the checks holds 1 they cannot be told from the bare view: they are below what
varies between two rounds. What a large body costs is HMAC and JSON; what a small delivery costs
is its transaction. What PostgreSQL itself spends is not in these figures. That was Python
{python} on {cores} cores that others used too, which makes the figures of a request over HTTP
larger than they are on a quiet machine; the ratios are of neighbouring rounds.
"""
BARE, CHECKS, WEBHOOK = "a bare view", "the checks alone", "the webhook"
PARTS = ("body and signature", "parse", "admission")


def section(results: Path) -> str:
    """Nothing where it was not measured."""
    if not results.exists():
        return ""
    found = json.loads(results.read_text())
    sizes = found["sizes"]
    return TEXT.format(
        rounds=len(sizes[0]["views"][BARE]),
        costs="\n".join(_costs(each) for each in sizes),
        ratios="\n".join(_ratios(each) for each in sizes),
        **found["machine"],
    )


def _costs(each: dict[str, Any]) -> str:
    views = [median(_processor(each, view)) for view in (BARE, CHECKS, WEBHOOK)]
    parts = [median(each["parts"][part]) for part in PARTS]
    return f"| {' | '.join([_size(each), *map(_microseconds, [*views, *parts])])} |"


def _ratios(each: dict[str, Any]) -> str:
    cells = []
    for view in (CHECKS, WEBHOOK):
        own = [seconds / bare for bare, seconds in _rounds(each, view)]
        cells.append(f"{median(own):.1f} ({min(own):.1f} to {max(own):.1f})")
    return f"| {' | '.join([_size(each), *cells])} |"


def _rounds(each: dict[str, Any], view: str) -> Iterator[tuple[float, float]]:
    return zip(_processor(each, BARE), _processor(each, view), strict=True)


def _processor(each: dict[str, Any], view: str) -> list[float]:
    return [own["processor"] for own in each["views"][view]]


def _size(each: dict[str, Any]) -> str:
    kilobytes: int = each["size"] // 1000
    return f"{kilobytes} kB" if kilobytes < 1000 else f"{kilobytes // 1000} MB"


def _microseconds(seconds: float) -> str:
    """Two digits, or three of what is large."""
    value = 1e6 * seconds
    return f"{round(value, -1):,.0f}" if value >= 100 else f"{value:.2g}"
