from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("app", "0002_post_newest")]

    operations = [
        migrations.AddField(
            model_name="webhookdelivery",
            name="state",
            field=models.CharField(
                db_default="pending",
                help_text="The message's state at acceptance: a duplicate gets the same answer.",
                max_length=10,
            ),
        ),
    ]
