"""The web process: ``gunicorn -c settings/gunicorn.py settings.wsgi``."""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.production")
django.setup(set_prefix=False)

from app.handler import Handler  # noqa: E402 - it needs the apps

application = Handler()
