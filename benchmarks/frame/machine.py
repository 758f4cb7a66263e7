"""What stood under the figures: versions, settings of the servers, cores, and what else ran."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from typing import Any

import celery

from benchmarks.frame.stage import Stage

PACKAGES = (
    "amqp",
    "celery",
    "django",
    "django-db-geventpool",
    "gevent",
    "gunicorn",
    "kombu",
    "msgspec",
    "psycopg2-binary",
)
POSTGRES = {
    "autovacuum": "on",
    "checkpoint_timeout": "30min",
    "fsync": "on",
    "full_page_writes": "on",
    "jit": "off",
    "max_connections": None,
    "max_wal_size": "8GB",
    "shared_buffers": "1GB",
    "synchronous_commit": "on",
    "wal_level": None,
    "wal_sync_method": None,
}
"""Settings that weigh on every figure, and what they are to be where it is not all the same."""


def settings(stage: Stage) -> dict[str, Any]:
    """All of it, for the raw data."""
    return {
        "commit": commit(),
        "machine": {
            "cores": os.cpu_count(),
            "processor": _processor(),
            "load average before": round(os.getloadavg()[0], 2),
        },
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "postgres": {
            "version": stage.execute("SHOW server_version")[0][0],
            **{name: stage.execute(f"SHOW {name}")[0][0] for name in POSTGRES},
        },
        "broker": _broker(stage.broker_url),
    }


def unlike(found: dict[str, Any]) -> list[str]:
    """Complaints about settings of PostgreSQL that are not what the figures are measured with."""
    return [
        f"PostgreSQL has {name} = {found['postgres'][name]} where {wanted} is wanted"
        for name, wanted in POSTGRES.items()
        if wanted not in (None, found["postgres"][name])
    ]


def stolen() -> float:
    """Seconds of processor time that went to other machines on the same hardware, until now."""
    with open("/proc/stat") as stat:
        fields = stat.readline().split()
    return int(fields[8]) / os.sysconf("SC_CLK_TCK")


def commit() -> str:
    """The commit that is measured, marked where files of it are changed."""
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    with open("/proc/cpuinfo") as info:
        names = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _broker(url: str) -> str:
    with celery.current_app.connection_for_write(url) as connection:
        connection.connect()
        told = getattr(connection.connection, "server_properties", {})
    return f"{told.get('product', url.partition(':')[0])} {told.get('version', '')}".strip()
