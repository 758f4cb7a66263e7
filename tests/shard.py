"""Which servers are those of this process, where several share the tests: see `tests.sharded`."""

from __future__ import annotations

import os

_NAMES = ("DATABASE_URL", "DATABASE_REPLICA_URL", "CELERY_BROKER_URL", "STACK_DIR")

# Now, before the settings are read. The first process, `gw0`, has what there is without a suffix.
_suffix = os.environ.get("PYTEST_XDIST_WORKER", "gw0").replace("gw", "_")
for _name in _NAMES:
    if _name + _suffix in os.environ:
        os.environ[_name] = os.environ[_name + _suffix]
