"""The outbox in Django's admin: to look at, not to write. `outbox.store` is the only writer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin

from outbox.models import HistoryMessage, OutboxMessage

if TYPE_CHECKING:
    from django.http import HttpRequest


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Lists and shows rows, and changes none."""

    show_full_result_count = False  # no count of the whole table for each page

    def has_add_permission(self, _request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        return False


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnlyAdmin):
    list_display = ("id", "event_type", "state", "attempts", "due_at", "received_at", "error")
    list_filter = ("state", "event_type", "queue")
    search_fields = ("id__exact", "last_error")

    @admin.display(description="last error")
    def error(self, message: OutboxMessage) -> str:
        """The last line of the error, which is the exception itself."""
        lines = message.last_error.strip().splitlines()
        return lines[-1][:100] if lines else ""


@admin.register(HistoryMessage)
class HistoryMessageAdmin(ReadOnlyAdmin):
    # No filter by event type: its choices would be read from every row of the history.
    list_display = ("id", "event_type", "attempts", "received_at", "done_at")
    search_fields = ("id__exact",)
