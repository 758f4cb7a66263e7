"""The two tables of the outbox. `outbox.store` alone writes them."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from outbox.states import FINISHABLE, State

SCHEMA_VERSION = 1
"""Version of what `payload` means: the keyword arguments of the task, as a JSON object."""

_FINISHABLE = sorted(state.value for state in FINISHABLE)


class OutboxMessage(models.Model):
    """A message that is owed work, or is dead. A done one is in the history."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event_type = models.CharField(max_length=200)
    task = models.CharField(max_length=200, help_text="Name of the Celery task.")
    queue = models.CharField(max_length=200, help_text="Celery queue it is sent to.")
    payload = models.JSONField(help_text="The keyword arguments of the task.")
    schema_version = models.PositiveSmallIntegerField(db_default=SCHEMA_VERSION)
    state = models.CharField(max_length=10, choices=[(s.value, s.value) for s in State])
    attempts = models.PositiveIntegerField(
        db_default=0, help_text="Tries of the present step without a good end."
    )
    sends = models.PositiveIntegerField(
        db_default=0, help_text="Times a relay took it to send it, since it became ready."
    )
    due_at = models.DateTimeField(
        db_default=Now(), help_text="When somebody takes it next; the end of the lease, if leased."
    )
    lease_token = models.UUIDField(null=True, help_text="Fences the writes of who claimed it.")
    suspect = models.BooleanField(
        db_default=False,
        help_text="Claimed and not ended well, so far: taken alone the next time.",
    )
    last_error = models.TextField(db_default="", blank=True)
    received_at = models.DateTimeField(db_default=Now())
    ready_at = models.DateTimeField(null=True)
    dispatched_at = models.DateTimeField(null=True, help_text="First sending of this try.")
    started_at = models.DateTimeField(
        null=True, help_text="A worker runs it without a transaction, until due_at at the latest."
    )

    class Meta:
        db_table = "outbox_message"
        verbose_name = "message"
        ordering: ClassVar = ["received_at"]
        # Literal states: a state passed as a parameter cannot use a partial index under a
        # generic plan. Each index serves one statement of outbox/statements.py.
        indexes: ClassVar = [
            models.Index(
                "due_at",
                name="outbox_pending",
                condition=Q(state=State.PENDING.value, suspect=False),
            ),
            models.Index(
                "queue",
                "due_at",
                name="outbox_ready",
                condition=Q(state=State.READY.value, suspect=False),
            ),
            models.Index(
                "queue",
                "due_at",
                name="outbox_dispatched",
                condition=Q(state=State.DISPATCHED.value),
            ),
            models.Index(
                "state",
                "due_at",
                name="outbox_suspect",
                condition=Q(suspect=True),
            ),
            models.Index("received_at", name="outbox_dead", condition=Q(state=State.DEAD.value)),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="outbox_state_known", condition=Q(state__in=[s.value for s in State])
            ),
            models.CheckConstraint(
                name="outbox_leased_is_suspect",
                condition=Q(lease_token=None) | Q(suspect=True),
            ),
            models.CheckConstraint(
                name="outbox_dead_has_error_and_no_lease",
                condition=~Q(state=State.DEAD.value)
                | (~Q(last_error="") & Q(lease_token=None, suspect=False)),
            ),
            models.CheckConstraint(
                name="outbox_pending_is_not_ready_yet",
                condition=~Q(state=State.PENDING.value)
                | Q(ready_at=None, dispatched_at=None, started_at=None),
            ),
            models.CheckConstraint(
                name="outbox_ready_has_its_time",
                condition=~Q(state__in=_FINISHABLE) | Q(ready_at__isnull=False),
            ),
            models.CheckConstraint(
                name="outbox_dispatched_has_its_time",
                condition=~Q(state=State.DISPATCHED.value) | Q(dispatched_at__isnull=False),
            ),
            models.CheckConstraint(
                name="outbox_running_is_leased",
                condition=Q(started_at=None) | Q(state__in=_FINISHABLE, lease_token__isnull=False),
            ),
            models.CheckConstraint(
                name="outbox_payload_is_object",
                condition=models.lookups.Exact(
                    models.Func(F("payload"), function="jsonb_typeof"), models.Value("object")
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.pk}"


class HistoryMessage(models.Model):
    """A message that is done: inserted once, dropped with its day's partition.

    It keeps no payload: what was done needs no arguments any more, and what is not kept cannot
    leak. The table is partitioned by the day of `done_at`, so the key of the model is not one of
    the database; the live row's key, which is gone in the same transaction, makes it unique.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    event_type = models.CharField(max_length=200)
    task = models.CharField(max_length=200)
    queue = models.CharField(max_length=200)
    attempts = models.PositiveIntegerField()
    sends = models.PositiveIntegerField()
    received_at = models.DateTimeField()
    ready_at = models.DateTimeField()
    dispatched_at = models.DateTimeField()
    done_at = models.DateTimeField()

    class Meta:
        db_table = "outbox_history"
        verbose_name = "done message"
        ordering: ClassVar = ["-done_at"]

    def __str__(self) -> str:
        return f"{self.event_type} {self.pk}"
