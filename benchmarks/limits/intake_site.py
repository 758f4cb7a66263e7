"""The views of `intake_views` under the service's own gunicorn.

``gunicorn -c settings/gunicorn.py benchmarks.limits.intake_site``. There is no middleware, so that
each is as fast as Django lets it be.
"""

from __future__ import annotations

from django.conf import settings

from settings.wsgi import application

__all__ = ["application"]

settings.MIDDLEWARE = []
settings.ROOT_URLCONF = "benchmarks.limits.intake_views"
application.load_middleware()  # once more, and now none
