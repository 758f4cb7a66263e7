"""Loaded by the worker of the test alone (`celery -I`): it declares the tasks when imported."""

from __future__ import annotations

from tests.promises.pool_tasks import declare_here

declare_here()
