"""Which key signed a delivery, and the deliveries that were refused for their id.

A constant default: no row is written anew.
"""

from __future__ import annotations

import django.db.models.functions.datetime
from django.db import migrations, models

# The table's lock is taken against all deliveries, and those that come meanwhile wait behind it.
# Behind a long transaction it therefore gives up: nothing has changed then, migrate again.
LIMIT = "SET LOCAL lock_timeout = '2s'"


class Migration(migrations.Migration):
    dependencies = [
        ("app", "0003_delivery_state_endpoint"),
    ]

    operations = [
        migrations.RunSQL(LIMIT, migrations.RunSQL.noop),
        migrations.AddField(
            model_name="webhookdelivery",
            name="key",
            field=models.CharField(
                db_default="",
                default="",
                help_text="Fingerprint of the key that signed it; empty: not known.",
                max_length=16,
            ),
        ),
        migrations.CreateModel(
            name="DeliveryConflict",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("webhook_id", models.CharField(max_length=255)),
                (
                    "endpoint",
                    models.TextField(help_text="The path that the refused delivery came to."),
                ),
                (
                    "digest",
                    models.BinaryField(help_text="SHA-256 of the refused body.", max_length=32),
                ),
                (
                    "key",
                    models.CharField(
                        help_text="Fingerprint of the key that signed it.", max_length=16
                    ),
                ),
                (
                    "accepted_endpoint",
                    models.TextField(help_text="The path of the delivery that was accepted."),
                ),
                (
                    "accepted_digest",
                    models.BinaryField(help_text="SHA-256 of its body.", max_length=32),
                ),
                ("message_id", models.UUIDField(help_text="The message that it became.")),
                (
                    "times",
                    models.PositiveIntegerField(db_default=1, help_text="How often it came."),
                ),
                (
                    "first_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "last_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), db_index=True
                    ),
                ),
            ],
            options={
                "verbose_name": "conflict",
                "db_table": "app_delivery_conflict",
                "ordering": ["-last_at"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("webhook_id", "digest"), name="app_delivery_conflict_unique"
                    )
                ],
            },
        ),
        # The way back begins here.
        migrations.RunSQL(migrations.RunSQL.noop, LIMIT),
    ]
