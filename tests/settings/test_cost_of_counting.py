"""What door and counters add to an accepted delivery."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
# In a process of its own: the library decides at its import whether it counts for several.
MEASURE = """
import time
import django
django.setup()
from app import door, metrics
from app.admission import Admission, Limits

door._watch = door.Watch(Admission(Limits(10**9, 1e9)))
metrics.begin()

def deliver():
    assert door.closed() is None
    with door.storing():
        door.stored()
    metrics.accepted("0123456789abcdef", 0.004, duplicate=False)

deliver()
times = []
for _ in range(20):
    began = time.process_time()
    for _ in range(500):
        deliver()
    times.append(time.process_time() - began)
print(min(times) / 500 * 1e6)
"""


@pytest.mark.slow
def test_counting_costs_microseconds(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "DJANGO_SETTINGS_MODULE": "settings.test",
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", MEASURE],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("counter_*.db"))
    microseconds = float(done.stdout)
    print(f"{microseconds:.1f} us")
    # Of CPU time, the least of twenty measurements: a busy machine does not matter.
    assert microseconds < 100
