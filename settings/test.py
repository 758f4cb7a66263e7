"""Settings for the tests, which take their servers from the environment."""

from __future__ import annotations

import os

# Without servers the settings still load, for the type checker and for tests that need none.
os.environ.setdefault("DATABASE_URL", "postgresql://127.0.0.1:5432/pillarbox")
os.environ.setdefault("CELERY_BROKER_URL", "memory://")
os.environ.setdefault("WEBHOOK_SECRETS", "whsec_Zm9yIHRlc3RzLCBndWFyZHMgbm90aGluZw==")

from settings.base import *  # noqa: F403
from settings.base import DATABASES, OUTBOX

SECRET_KEY = "a key for tests, which sign nothing of worth"  # noqa: S105
# Slow hashing protects passwords; here it would only slow down the tests that log in.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

OUTBOX = {**OUTBOX, "REPLICA_GUARD": "raise"}
if "replica" in DATABASES:
    # The test database is made on the primary and reaches the replica by itself: the mirror takes
    # over its name alone, and stays connected to the replica's own server.
    DATABASES["replica"]["TEST"] = {"MIRROR": "default"}
