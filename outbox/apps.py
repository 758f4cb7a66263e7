from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class OutboxConfig(AppConfig):
    name = "outbox"
    verbose_name = "Outbox"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from outbox import (  # once the apps are loaded
            checks,  # noqa: F401 - registers them
            replica_guard,
            task_checks,  # noqa: F401
        )

        replica_guard.install()

        # Every process needs the registry: the web one to add messages, the post-processor for
        # the prepare functions, the relay for the queues. Celery's workers find tasks this way too.
        autodiscover_modules("tasks")
