"""Every environment variable of the service, declared once: the settings and the docs read this."""

from __future__ import annotations

from typing import Final

from settings.variable import EVERY_PROCESS, WEB, Variable, choice, count, seconds

_SERVERS = (
    Variable(
        "DATABASE_URL",
        "url",
        "The primary, as libpq reads it: `postgresql://user:password@host:5432/name`. A folder of a"
        " Unix socket is percent-encoded as the host; several hosts are separated by commas, and"
        " the one that takes writes is used. Its `options` may set other time-outs of statements;"
        " beyond 10 s of silence the web process cuts a statement off in any case.",
        secret=True,
        required_by=EVERY_PROCESS,
    ),
    Variable(
        "DATABASE_REPLICA_URL",
        "url",
        "A streaming replica, from which web requests read posts. Without it all reads go to the"
        " primary.",
        secret=True,
    ),
    Variable(
        "CELERY_BROKER_URL",
        "url",
        "The broker: `amqp://` or `amqps://` (RabbitMQ, recommended), `redis://`, `rediss://`,"
        " `redis+socket://`, or `filesystem:///folder` for a trial on one machine.",
        secret=True,
        required_by=frozenset({"relay", "worker"}),
    ),
    seconds(
        "DATABASE_CONNECT_TIMEOUT",
        5,
        "Seconds in which a connection to PostgreSQL must stand.",
        maximum=60,
    ),
    count(
        "DATABASE_POOL_SIZE",
        10,
        "Connections to each database that one worker of the web process opens at most for"
        " requests. To the primary it opens up to three more: for commits, wake-ups and the"
        " backlog's sample.",
        maximum=1_000,
    ),
    seconds(
        "DATABASE_POOL_TIMEOUT",
        3,
        "Seconds that a web request waits for a connection of the pool before it answers 503.",
        maximum=60,
    ),
    Variable(
        "DATABASE_POOL",
        "flag",
        "Pool the connections, for gevent. Set by `settings/gunicorn.py`, never by hand: no other"
        " process is cooperative.",
        default="false",
    ),
)

_SECRETS = (
    Variable(
        "WEBHOOK_SECRETS",
        "words",
        "Secrets that may have signed a delivery, newest first, separated by spaces; each is"
        " `whsec_` and 24 to 64 bytes in base64. None: every delivery is refused.",
        secret=True,
        required_in_production_by=WEB,
    ),
    Variable(
        "READ_TOKENS",
        "words",
        "Bearer tokens for `GET /posts/`, separated by spaces; each has 16 characters or more of"
        " A-Z a-z 0-9 `-._~+/`. None: there is no such address.",
        secret=True,
    ),
    Variable(
        "DJANGO_SECRET_KEY",
        "text",
        "Signs the sessions of the admin: 50 random characters or more. Outside production it"
        " defaults to a random key that lasts as long as the process.",
        secret=True,
        required_in_production_by=WEB,
    ),
)

_WEB = (
    Variable(
        "DJANGO_ALLOWED_HOSTS",
        "words",
        "Host names that the service answers to, separated by spaces or commas. Outside production"
        " the names of this machine's loopback are the default.",
        required_in_production_by=WEB,
    ),
    Variable(
        "DJANGO_SSL_REDIRECT",
        "flag",
        "Production only: send plain HTTP to HTTPS. The proxy in front must be listed in gunicorn's"
        " `FORWARDED_ALLOW_IPS` (default 127.0.0.1) and set `X-Forwarded-Proto`.",
        default="true",
    ),
    Variable(
        "DJANGO_HSTS_SECONDS",
        "integer",
        "Production only: how long browsers insist on HTTPS for this host; 0 for not at all.",
        default="3600",
        minimum=0,
    ),
    choice(
        "DJANGO_LOG_LEVEL",
        ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
        "What is logged at least.",
        default="INFO",
    ),
    Variable(
        "DJANGO_SETTINGS_MODULE",
        "text",
        "`settings.production`; `settings.base` for a trial, `settings.test` for the tests.",
        default="settings.production",
    ),
    Variable(
        "PORT",
        "integer",
        "Port on 127.0.0.1 that the web server listens on.",
        default="8000",
        minimum=1,
        maximum=65_535,
    ),
    seconds(
        "WEB_BODY_SECONDS",
        10,
        "Seconds in which the whole body of a request must arrive; then 400, and the connection is"
        " closed.",
        maximum=600,
    ),
    Variable(
        "WEB_METRICS_PORT",
        "integer",
        "Port on 127.0.0.1 where the web process serves its metrics for Prometheus; 0: nowhere.",
        default="0",
        minimum=0,
        maximum=65_535,
    ),
    count("WEB_CONCURRENCY", 2, "Web processes; about one for each core.", maximum=256),
)

_OUTBOX = (
    seconds(
        "OUTBOX_LEASE_SECONDS",
        60,
        "How long a claim belongs to the process that made it. What a process that dies had claimed"
        " waits for so long.",
    ),
    seconds(
        "OUTBOX_REDISPATCH_SECONDS",
        300,
        "A dispatched message without a receipt is sent again after this time, then after"
        " twice of it, up to an hour. Give more than the longest task takes, and a worker's"
        " restart.",
    ),
    seconds(
        "OUTBOX_PUBLISH_SECONDS",
        5,
        "Seconds in which the broker must have taken a batch; at most half of the lease.",
        maximum=600,
    ),
    count("OUTBOX_MAX_ATTEMPTS", 10, "Tries of one step before a message is dead.", maximum=1_000),
    count(
        "OUTBOX_MAX_IN_FLIGHT",
        10_000,
        "Dispatched messages of one Celery queue; beyond it the backlog waits in the table.",
        maximum=10_000_000,
    ),
    count(
        "OUTBOX_HISTORY_DAYS",
        14,
        "Days that done messages stay in the history; at least `WEBHOOK_DEDUPE_DAYS`.",
        maximum=3_650,
    ),
    Variable(
        "OUTBOX_TASKS",
        "words",
        "Prefixes of task names that the relay may publish besides the registered ones.",
    ),
)

_WEBHOOK = (
    seconds(
        "WEBHOOK_TOLERANCE_SECONDS",
        300,
        "How far a delivery's timestamp may be from this machine's clock.",
    ),
    count(
        "WEBHOOK_MAX_BODY_BYTES",
        1_048_576,
        "Size of a delivery's body, at most.",
        maximum=100 * 1_048_576,
    ),
    choice(
        "WEBHOOK_UNKNOWN_FIELDS",
        ("ignore", "refuse"),
        "What is done with fields of a Post's event that are not known: they are ignored, so that a"
        " sender may add some, or the event is refused with 422.",
        default="ignore",
    ),
    count(
        "WEBHOOK_MAX_BACKLOG",
        100_000,
        "Messages that wait to be prepared or sent. With so many of them deliveries are answered"
        " with 503, until no more than four fifths are left.",
        maximum=250_000,
    ),
    seconds(
        "WEBHOOK_MAX_BACKLOG_SECONDS",
        3_600,
        "Seconds that a message may be late for its first preparation. With one so late deliveries"
        " are answered with 503, until none is later than four fifths of it.",
        maximum=30 * 86_400,
    ),
    count(
        "WEBHOOK_DEDUPE_DAYS",
        7,
        "Days for which a delivery's id is remembered; `manage.py outbox maintain` removes older"
        " ones. It must cover `WEBHOOK_RETRY_HOURS` and twice `WEBHOOK_TOLERANCE_SECONDS`.",
        maximum=3_650,
    ),
    count(
        "WEBHOOK_RETRY_HOURS",
        76,
        "Hours after a delivery's first try in which its sender may try again. The default covers"
        " the schedule that Standard Webhooks proposes, which ends after 75 h 35 min.",
        maximum=87_600,
    ),
)

SECTIONS: Final[dict[str, tuple[Variable, ...]]] = {
    "Servers": _SERVERS,
    "Secrets": _SECRETS,
    "Web": _WEB,
    "Outbox": _OUTBOX,
    "Webhook": _WEBHOOK,
}
VARIABLES: Final = {
    variable.name: variable for section in SECTIONS.values() for variable in section
}
