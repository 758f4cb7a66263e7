import uuid

import django.db.models.functions.datetime
import django.db.models.lookups
from django.db import migrations, models

# Every message is updated a few times and then deleted, so the table is small and its dead tuples
# are many: vacuum by their number, not by a share of the table, and without pauses. Room is left
# in each page for the next version of a row.
TABLE_SETTINGS = """
ALTER TABLE outbox_message SET (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000,
    autovacuum_vacuum_cost_delay = 0
)
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="OutboxMessage",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("event_type", models.CharField(max_length=200)),
                ("task", models.CharField(help_text="Name of the Celery task.", max_length=200)),
                (
                    "queue",
                    models.CharField(help_text="Celery queue it is sent to.", max_length=200),
                ),
                ("payload", models.JSONField(help_text="The keyword arguments of the task.")),
                ("schema_version", models.PositiveSmallIntegerField(db_default=1)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("ready", "ready"),
                            ("dispatched", "dispatched"),
                            ("dead", "dead"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "attempts",
                    models.PositiveIntegerField(
                        db_default=0, help_text="Tries of the present step without a good end."
                    ),
                ),
                (
                    "sends",
                    models.PositiveIntegerField(
                        db_default=0,
                        help_text="Times a relay took it to send it, since it became ready.",
                    ),
                ),
                (
                    "due_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        help_text="When somebody takes it next; the end of the lease, if leased.",
                    ),
                ),
                (
                    "lease_token",
                    models.UUIDField(help_text="Fences the writes of who claimed it.", null=True),
                ),
                (
                    "suspect",
                    models.BooleanField(
                        db_default=False,
                        help_text="Claimed and not ended well, so far: taken alone the next time.",
                    ),
                ),
                ("last_error", models.TextField(blank=True, db_default="")),
                (
                    "received_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("ready_at", models.DateTimeField(null=True)),
                (
                    "dispatched_at",
                    models.DateTimeField(help_text="First sending of this try.", null=True),
                ),
                (
                    "started_at",
                    models.DateTimeField(
                        help_text="A worker runs it without a transaction, until due_at at the latest.",
                        null=True,
                    ),
                ),
            ],
            options={
                "verbose_name": "message",
                "db_table": "outbox_message",
                "ordering": ["received_at"],
                "indexes": [
                    models.Index(
                        models.F("due_at"),
                        condition=models.Q(("state", "pending"), ("suspect", False)),
                        name="outbox_pending",
                    ),
                    models.Index(
                        models.F("queue"),
                        models.F("due_at"),
                        condition=models.Q(("state", "ready"), ("suspect", False)),
                        name="outbox_ready",
                    ),
                    models.Index(
                        models.F("queue"),
                        models.F("due_at"),
                        condition=models.Q(("state", "dispatched")),
                        name="outbox_dispatched",
                    ),
                    models.Index(
                        models.F("state"),
                        models.F("due_at"),
                        condition=models.Q(("suspect", True)),
                        name="outbox_suspect",
                    ),
                    models.Index(
                        models.F("received_at"),
                        condition=models.Q(("state", "dead")),
                        name="outbox_dead",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state__in", ["pending", "ready", "dispatched", "dead"])
                        ),
                        name="outbox_state_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("lease_token", None), ("suspect", True), _connector="OR"
                        ),
                        name="outbox_leased_is_suspect",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "dead"), _negated=True),
                            models.Q(
                                models.Q(("last_error", ""), _negated=True),
                                ("lease_token", None),
                                ("suspect", False),
                            ),
                            _connector="OR",
                        ),
                        name="outbox_dead_has_error_and_no_lease",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "pending"), _negated=True),
                            models.Q(
                                ("dispatched_at", None), ("ready_at", None), ("started_at", None)
                            ),
                            _connector="OR",
                        ),
                        name="outbox_pending_is_not_ready_yet",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state__in", ["dispatched", "ready"]), _negated=True),
                            ("ready_at__isnull", False),
                            _connector="OR",
                        ),
                        name="outbox_ready_has_its_time",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "dispatched"), _negated=True),
                            ("dispatched_at__isnull", False),
                            _connector="OR",
                        ),
                        name="outbox_dispatched_has_its_time",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("started_at", None),
                            models.Q(
                                ("lease_token__isnull", False),
                                ("state__in", ["dispatched", "ready"]),
                            ),
                            _connector="OR",
                        ),
                        name="outbox_running_is_leased",
                    ),
                    models.CheckConstraint(
                        condition=django.db.models.lookups.Exact(
                            models.Func(models.F("payload"), function="jsonb_typeof"),
                            models.Value("object"),
                        ),
                        name="outbox_payload_is_object",
                    ),
                ],
            },
        ),
        migrations.RunSQL(TABLE_SETTINGS, migrations.RunSQL.noop),
    ]
