"""Which tests may be skipped and why, and the closing line that counts them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest

REASONS = frozenset({"no-amqp", "no-root", "no-node", "no-nginx", "no-chromium"})
"""The only reasons for a skip: each names what the machine or the chosen broker does not have."""

counted: Counter[str] = Counter()
reasons: Counter[str] = Counter()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs AMQP when the tests run on another broker."""
    if os.environ.get("CELERY_BROKER_URL", "").startswith("amqp"):
        return
    for item in items:
        if item.get_closest_marker("amqp"):
            item.add_marker(pytest.mark.skip(reason="no-amqp"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Fail a test that was skipped for a reason of its own."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = str(call.excinfo.value) if call.excinfo else ""
        if reason not in REASONS:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} was skipped for {reason!r}, not one of {REASONS}"
    # A report may travel to another process, which takes no half of a surrogate pair.
    report.sections = [(name, _encodable(text)) for name, text in report.sections]
    return report  # type: ignore[return-value]


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count each test once: by its call, or by the phase that kept it from its call."""
    if report.skipped:
        counted["skipped"] += 1
        reasons[report.longrepr[2].removeprefix("Skipped: ")] += 1  # type: ignore[index]
    elif report.failed:
        counted["failed"] += 1
    elif report.when == "call":
        counted["passed"] += 1


def pytest_unconfigure(config: pytest.Config) -> None:
    """Print the closing line, after everything else."""
    if config.option.collectonly or not counted:
        return
    for reason, number in sorted(reasons.items()):
        print(f"skipped for {reason}: {number}")
    print(f"{counted['passed']} passed, {counted['failed']} failed, {counted['skipped']} skipped")
