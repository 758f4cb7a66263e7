"""Django's stock admin over Posts, their categories and tags, and the ledger of deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin

from app.models import Category, DeliveryConflict, Name, Post, Tag, WebhookDelivery
from app.tasks import index_post

if TYPE_CHECKING:
    from django.forms import BaseModelForm
    from django.http import HttpRequest


@admin.register(Category, Tag)
class NameAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Names come from the source: under another, the next version would make the old one anew."""

    search_fields = ("name",)
    list_display = ("name",)

    def get_readonly_fields(
        self, _request: HttpRequest, obj: Name | None = None
    ) -> tuple[str, ...]:
        return ("name",) if obj else ()


@admin.register(Post)
class PostAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Posts, the never filled and the deleted ones too. The next version overwrites an edit."""

    list_display = ("source_id", "title", "source_timestamp", "deleted_at")
    list_filter = ("deleted_at", "source_timestamp")
    search_fields = ("source_id", "title")
    autocomplete_fields = ("categories", "tags")
    readonly_fields = ("source_id", "source_timestamp", "source_event", "deleted_at")
    show_full_result_count = False

    def has_add_permission(self, *_: Any, **__: Any) -> bool:
        """Posts come from the source alone."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Post | None = None) -> bool:
        """A tombstone holds nothing, and must not be given content."""
        return not (obj and obj.deleted_at) and super().has_change_permission(request, obj)

    def save_related(
        self, request: HttpRequest, form: BaseModelForm[Any], formsets: Any, change: bool
    ) -> None:
        """Save the relations, and the search vector with them, in the admin's transaction."""
        super().save_related(request, form, formsets, change)
        index_post(source_id=form.instance.source_id)


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The ledger, to be read: a row that went would let its delivery in a second time."""

    list_display = ("webhook_id", "endpoint", "key", "message_id", "received_at")
    search_fields = ("=webhook_id", "=message_id")
    fields = ("webhook_id", "endpoint", "key", "message_id", "received_at")
    show_full_result_count = False

    def has_add_permission(self, *_: Any, **__: Any) -> bool:
        return False

    has_change_permission = has_delete_permission = has_add_permission


@admin.register(DeliveryConflict)
class DeliveryConflictAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What a sender must mend: ids that it gave to more than one delivery."""

    list_display = ("webhook_id", "endpoint", "times", "first_at", "last_at")
    search_fields = ("=webhook_id", "=message_id")
    fields = (
        *("webhook_id", "endpoint", "sha256", "key"),
        *("accepted_endpoint", "accepted_sha256", "message_id"),
        *("times", "first_at", "last_at"),
    )
    show_full_result_count = False

    def has_add_permission(self, *_: Any, **__: Any) -> bool:
        return False

    has_change_permission = has_delete_permission = has_add_permission

    @admin.display(description="SHA-256 of the refused body")
    def sha256(self, conflict: DeliveryConflict) -> str:
        return bytes(conflict.digest).hex()

    @admin.display(description="SHA-256 of the accepted body")
    def accepted_sha256(self, conflict: DeliveryConflict) -> str:
        return bytes(conflict.accepted_digest).hex()
