"""How the peers that send by Celery do: persistent, confirmed, into one durable queue."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.kit.addresses import Addresses


def options(addresses: Addresses) -> dict[str, Any]:
    """Celery's configuration."""
    return {
        "broker_url": addresses.broker,
        "broker_transport_options": {"confirm_publish": True},
        "task_default_queue": addresses.queue,
        "task_ignore_result": True,
    }
