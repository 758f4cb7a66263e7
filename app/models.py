"""What came in: Posts with their categories and tags, and the ledger of deliveries."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Length, Now

from outbox.states import State


class Name(models.Model):
    """Base of what a Post is filed under. Names are in NFC, trimmed, their case kept."""

    name = models.CharField(max_length=100, unique=True)

    class Meta:
        abstract = True
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class Category(Name):
    class Meta(Name.Meta):
        verbose_name_plural = "categories"
        constraints: ClassVar = [
            models.CheckConstraint(name="app_category_name_not_empty", condition=~Q(name=""))
        ]


class Tag(Name):
    class Meta(Name.Meta):
        constraints: ClassVar = [
            models.CheckConstraint(name="app_tag_name_not_empty", condition=~Q(name=""))
        ]


class VisiblePosts(models.Manager["Post"]):
    """Posts that a reader may see: filled at least once, and not deleted since."""

    def get_queryset(self) -> models.QuerySet[Post]:
        return super().get_queryset().filter(source_timestamp__isnull=False, deleted_at=None)


class Post(models.Model):
    """A Post of the source, in the newest version that has been applied.

    The webhook inserts it empty; the post-processor fills it, in one transaction, with text and
    relations of one version. In every snapshot a Post with a `source_timestamp` is therefore whole.
    Its version is (`source_timestamp`, whether it is deleted, `source_event`), and only what is
    newer is applied. A deleted Post stays as a tombstone without its content, so that an older
    event that comes late cannot bring it back.
    """

    source_id = models.CharField(max_length=255, help_text="The source's own id.")
    title = models.CharField(max_length=500, blank=True, db_default="", default="")
    body = models.TextField(blank=True, db_default="", default="")
    categories = models.ManyToManyField(Category, related_name="posts", blank=True)
    tags = models.ManyToManyField(Tag, related_name="posts", blank=True)
    source_timestamp = models.DateTimeField(
        null=True, editable=False, help_text="When the source made this version; empty: not filled."
    )
    source_event = models.CharField(
        max_length=255,
        editable=False,
        db_default="",
        default="",
        help_text="webhook-id of the delivery that brought this version.",
    )
    deleted_at = models.DateTimeField(
        null=True, editable=False, help_text="When the source deleted it."
    )
    search_vector = SearchVectorField(null=True, editable=False)

    # The first is Django's default manager: the admin, relations and checks for uniqueness must
    # see the Posts that readers do not.
    everything = models.Manager["Post"]()
    objects = VisiblePosts()

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            GinIndex("search_vector", name="app_post_search"),
            # The order in which readers page through what they may see.
            models.Index(
                fields=["-source_timestamp", "-id"],
                name="app_post_newest",
                condition=Q(source_timestamp__isnull=False, deleted_at=None),
            ),
        ]
        constraints: ClassVar = [
            # Not unique=True, here and below: that makes a second index for LIKE, which no query
            # uses and every delivery would have to write.
            models.UniqueConstraint(fields=["source_id"], name="app_post_source_id_unique"),
            models.CheckConstraint(name="app_post_source_id_not_empty", condition=~Q(source_id="")),
            models.CheckConstraint(
                name="app_post_version_is_whole",
                condition=Q(source_timestamp__isnull=True, source_event="")
                | (Q(source_timestamp__isnull=False) & ~Q(source_event="")),
            ),
            models.CheckConstraint(
                name="app_post_deleted_by_its_version",
                condition=Q(deleted_at__isnull=True)
                | Q(
                    source_timestamp__isnull=False,
                    deleted_at=F("source_timestamp"),
                    title="",
                    body="",
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.title or self.source_id


class WebhookDelivery(models.Model):
    """The dedupe ledger: which deliveries were accepted, and as which message.

    A row is written once, in the transaction that accepts the delivery. Ids are unique across all
    secrets. `message_id` is no foreign key: the message leaves its table when it is done.
    """

    webhook_id = models.CharField(max_length=255)
    endpoint = models.TextField(
        db_default="",
        default="",
        help_text="The path that the delivery came to; empty: not known.",
    )
    digest = models.BinaryField(max_length=32, help_text="SHA-256 of the body.")
    key = models.CharField(
        max_length=16,
        db_default="",
        default="",
        help_text="Fingerprint of the key that signed it; empty: not known.",
    )
    message_id = models.UUIDField()
    state = models.CharField(
        max_length=10,
        db_default=State.PENDING.value,
        help_text="The message's state at acceptance: a duplicate gets the same answer.",
    )
    received_at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        db_table = "app_delivery"
        verbose_name = "delivery"
        verbose_name_plural = "deliveries"
        ordering: ClassVar = ["-received_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["webhook_id"], name="app_delivery_webhook_id_unique"),
            models.CheckConstraint(
                name="app_delivery_webhook_id_not_empty", condition=~Q(webhook_id="")
            ),
            models.CheckConstraint(
                name="app_delivery_digest_is_sha256",
                condition=models.lookups.Exact(Length("digest"), 32),
            ),
        ]

    def __str__(self) -> str:
        return self.webhook_id


class DeliveryConflict(models.Model):
    """A delivery that was refused since its webhook-id had been accepted as something else.

    It was signed with a good key: the sender has a fault, and only its operator can mend it. One
    row for each body, which tells of its last time.
    """

    webhook_id = models.CharField(max_length=255)
    endpoint = models.TextField(help_text="The path that the refused delivery came to.")
    digest = models.BinaryField(max_length=32, help_text="SHA-256 of the refused body.")
    key = models.CharField(max_length=16, help_text="Fingerprint of the key that signed it.")
    accepted_endpoint = models.TextField(help_text="The path of the delivery that was accepted.")
    accepted_digest = models.BinaryField(max_length=32, help_text="SHA-256 of its body.")
    message_id = models.UUIDField(help_text="The message that it became.")
    times = models.PositiveIntegerField(db_default=1, help_text="How often it came.")
    first_at = models.DateTimeField(db_default=Now())
    last_at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        db_table = "app_delivery_conflict"
        verbose_name = "conflict"
        ordering: ClassVar = ["-last_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["webhook_id", "digest"], name="app_delivery_conflict_unique"
            ),
        ]

    def __str__(self) -> str:
        return self.webhook_id
