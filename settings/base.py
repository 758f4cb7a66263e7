"""Settings of a trial on one machine, and the ground for the others."""

from __future__ import annotations

import secrets
import sys

# The application is made when Django's settings are read, so that in every process
# `shared_task` and `celery.current_app` mean this one.
import settings.celery  # noqa: F401
from settings import broker, databases, env
from settings.process import process_kind

PROCESS_KIND = process_kind(sys.argv, pooled=env.flag("DATABASE_POOL"))
env.check(PROCESS_KIND)

DEBUG = False
SECRET_KEY = env.text("DJANGO_SECRET_KEY") or secrets.token_urlsafe(50)
ALLOWED_HOSTS = env.words("DJANGO_ALLOWED_HOSTS") or ["localhost", "127.0.0.1", "[::1]"]

DATABASES = {"default": databases.primary(PROCESS_KIND)}
if _replica := databases.replica(PROCESS_KIND):
    DATABASES["replica"] = _replica
DATABASE_ROUTERS = ["outbox.routers.ReplicaRouter"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "outbox",
    "relay",
    "app",
]
MIDDLEWARE = [
    "app.answer_headers.AnswerHeaders",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "outbox.routers.ReplicaReadsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
# A redirect to the address with a slash would turn a delivery into a GET: 404 says what to mend.
APPEND_SLASH = False
ROOT_URLCONF = "settings.urls"
WSGI_APPLICATION = "settings.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

# The admin's own files come straight from the installed packages: no server in front is needed,
# and no step that collects them.
STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True

OUTBOX = {
    "DATABASE": "default",
    "LEASE_SECONDS": env.integer("OUTBOX_LEASE_SECONDS"),
    "REDISPATCH_SECONDS": env.integer("OUTBOX_REDISPATCH_SECONDS"),
    "PUBLISH_SECONDS": env.integer("OUTBOX_PUBLISH_SECONDS"),
    "MAX_ATTEMPTS": env.integer("OUTBOX_MAX_ATTEMPTS"),
    "MAX_IN_FLIGHT": env.integer("OUTBOX_MAX_IN_FLIGHT"),
    "HISTORY_DAYS": env.integer("OUTBOX_HISTORY_DAYS"),
    "TASKS": env.words("OUTBOX_TASKS"),
    "REPLICA": "replica" if _replica else None,
    "REPLICA_MODELS": ["app.Post", "app.Category", "app.Tag"],
    "REPLICA_GUARD": "count",
}

WEBHOOK_SECRETS = env.words("WEBHOOK_SECRETS")
WEBHOOK_TOLERANCE_SECONDS = env.integer("WEBHOOK_TOLERANCE_SECONDS")
WEBHOOK_MAX_BODY_BYTES = env.integer("WEBHOOK_MAX_BODY_BYTES")
WEBHOOK_MAX_BACKLOG = env.integer("WEBHOOK_MAX_BACKLOG")
WEBHOOK_MAX_BACKLOG_SECONDS = env.integer("WEBHOOK_MAX_BACKLOG_SECONDS")
WEBHOOK_DEDUPE_DAYS = env.integer("WEBHOOK_DEDUPE_DAYS")
WEBHOOK_RETRY_HOURS = env.integer("WEBHOOK_RETRY_HOURS")
WEBHOOK_UNKNOWN_FIELDS = env.choice("WEBHOOK_UNKNOWN_FIELDS")
READ_TOKENS = env.words("READ_TOKENS")
# The webhook has its own limit, and an answer of its own beyond it: Django's must not come first.
DATA_UPLOAD_MAX_MEMORY_SIZE = max(WEBHOOK_MAX_BODY_BYTES, 2_621_440)

_broker = broker.read()
CELERY_BROKER_URL = _broker.url
CELERY_BROKER_TRANSPORT_OPTIONS = _broker.transport_options
CELERY_WORKER_ENABLE_REMOTE_CONTROL = _broker.broadcasts
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Celery would close the connections after each task, and the next would log in anew, which costs
# more than a short task. The consumer looks at them before each task, as Django does for a request.
CELERY_DB_REUSE_MAX = sys.maxsize
CELERY_TASK_DEFAULT_QUEUE = "celery"
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
# What became of a message is in its row; nobody reads Celery's results.
CELERY_TASK_IGNORE_RESULT = True
# A message is acknowledged when its row is done. If the worker is lost first it is not put back by
# the broker's rejection, which a message that kills its worker would turn into an endless loop:
# a lost connection returns it, and the row's lease and its count of tries see to the rest.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = False
# A waiting copy in the hands of a busy worker is a message that no idle one can take.
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# After a lost connection Celery would take fewer at a time, and raise the number again from the
# thread of each task that ends, by a request whose answer the main thread reads away: in a pool of
# threads the worker then takes nothing more, for good.
CELERY_WORKER_ENABLE_PREFETCH_COUNT_REDUCTION = False

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "filters": {"requests": {"()": "settings.request_log.OfRequests"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["requests"],
        }
    },
    "root": {"handlers": ["stderr"], "level": env.choice("DJANGO_LOG_LEVEL")},
    # Django's own handlers would print each record a second time, or mail it.
    "loggers": {"django": {"handlers": [], "propagate": True}},
}
