"""Settings of the tests: the database comes from DATABASE_URL, the rest is made up."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SECRET_KEY", "a key for tests, which sign nothing of worth")
os.environ.setdefault("WEBHOOK_URL", "https://receiver.example/webhooks/posts/")
os.environ.setdefault("WEBHOOK_SECRET", "whsec_Zm9yIHRlc3RzLCBndWFyZHMgbm90aGluZw==")
os.environ["CELERY_BROKER_URL"] = "memory://"

from sender.settings import *  # noqa: F403
