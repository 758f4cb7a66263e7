"""How hypothesis runs here: how many examples, and what it leaves behind."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis.configuration import set_hypothesis_home_dir

# It caches what it reads of the sources, by itself in a folder of the repository's own.
set_hypothesis_home_dir(Path(__file__).resolve().parents[1] / ".pytest_cache" / "hypothesis")

_EVERYWHERE = settings(
    # No memory of failures: a run depends on its seed alone, and that is printed.
    database=None,
    # Each example does real work on a real database, on a machine that others may use too.
    deadline=None,
    # A failure is made smaller, but not explained: that takes many more examples.
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[
        HealthCheck.too_slow,
        # The examples share the fixtures of their test, which sees to what one leaves to the next.
        HealthCheck.function_scoped_fixture,
    ],
)


def same_each_time(examples: int) -> settings:
    """Settings for `make test`: a few examples, the same in each run."""
    return settings(_EVERYWHERE, max_examples=examples, derandomize=True)


def new_each_time(examples: int) -> settings:
    """Settings for a long proof: other examples in each run; a failure prints how to repeat it."""
    return settings(_EVERYWHERE, max_examples=examples, print_blob=True)
