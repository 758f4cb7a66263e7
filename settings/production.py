"""Settings for production: behind a proxy that ends TLS, and with nothing left to a default."""

from __future__ import annotations

from settings import env
from settings.base import *  # noqa: F403
from settings.base import PROCESS_KIND

env.check(PROCESS_KIND, production=True)

# Only the web process needs a key and host names: the others do without, and are not given them.
# Django refuses an empty key where one is used.
SECRET_KEY = env.text("DJANGO_SECRET_KEY")
ALLOWED_HOSTS = env.words("DJANGO_ALLOWED_HOSTS")

# gunicorn takes the scheme from `X-Forwarded-Proto`, and only from the proxies that it trusts.
SECURE_SSL_REDIRECT = env.flag("DJANGO_SSL_REDIRECT")
# Probes come from inside, without TLS.
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$"]
SECURE_HSTS_SECONDS = env.integer("DJANGO_HSTS_SECONDS")
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True

SILENCED_SYSTEM_CHECKS = [
    # HSTS for all subdomains, and in the browsers' own lists: a decision for the owner of the
    # domain, which one service on one host must not take.
    "security.W005",
    "security.W021",
]
