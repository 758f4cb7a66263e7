from __future__ import annotations

from django.apps import AppConfig


class PostsConfig(AppConfig):
    name = "app"
    verbose_name = "Posts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from app import (  # once the apps are loaded
            checks,  # noqa: F401 - registers them
            retention,  # noqa: F401
        )
