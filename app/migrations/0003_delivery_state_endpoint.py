"""What a duplicate's answer needs to be the first's. Constant defaults: no row is written anew."""

from __future__ import annotations

from django.db import migrations, models

# The table's lock is taken against all deliveries, and those that come meanwhile wait behind it.
# Behind a long transaction it therefore gives up: nothing has changed then, migrate again.
LIMIT = "SET LOCAL lock_timeout = '2s'"


class Migration(migrations.Migration):
    dependencies = [("app", "0002_post_newest")]

    operations = [
        migrations.RunSQL(LIMIT, migrations.RunSQL.noop),
        migrations.AddField(
            model_name="webhookdelivery",
            name="state",
            field=models.CharField(
                db_default="pending",
                help_text="The message's state at acceptance: a duplicate gets the same answer.",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="webhookdelivery",
            name="endpoint",
            field=models.TextField(
                db_default="",
                default="",
                help_text="The path that the delivery came to; empty: not known.",
            ),
        ),
        # The way back begins here.
        migrations.RunSQL(migrations.RunSQL.noop, LIMIT),
    ]
