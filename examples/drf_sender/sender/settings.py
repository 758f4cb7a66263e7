"""Settings. Servers, addresses and secrets come from the environment; README.md lists them."""

from __future__ import annotations

import json
import os
import sys

import dj_database_url

SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
ALLOWED_HOSTS = os.environ.get("DJANGO_ALLOWED_HOSTS", "localhost,127.0.0.1").split(",")

DATABASES = {
    "default": dj_database_url.parse(
        os.environ["DATABASE_URL"], conn_max_age=60, conn_health_checks=True
    )
}

# The outbox needs its two apps here and nothing else; what it can be told is in OUTBOX = {...}.
INSTALLED_APPS = ["rest_framework", "outbox", "relay", "blog"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "sender.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "UTC"

# Anybody may write here, so that the example stays short. A real sender names its classes.
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "PAGE_SIZE": 50,
}

WEBHOOK_URL = os.environ["WEBHOOK_URL"]
WEBHOOK_SECRET = os.environ["WEBHOOK_SECRET"]

CELERY_BROKER_URL = os.environ["CELERY_BROKER_URL"]
CELERY_BROKER_TRANSPORT_OPTIONS = json.loads(
    os.environ.get("CELERY_BROKER_TRANSPORT_OPTIONS") or "{}"
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A webhook that waits in the hands of a busy worker is one that no idle worker can send.
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Celery would close the database's connections after each task, and log in anew for the next.
CELERY_DB_REUSE_MAX = sys.maxsize
# Commands to workers go to all on a broker, those of other projects included.
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
