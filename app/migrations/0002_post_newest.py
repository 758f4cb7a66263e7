"""The order in which readers page through the Posts, as an index. Built beside the traffic."""

from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # No transaction can hold a concurrent build. One that was cut off leaves an invalid index of
    # this name: drop it and migrate again.
    atomic = False

    dependencies = [("app", "0001_initial")]

    operations = [
        AddIndexConcurrently(
            model_name="post",
            index=models.Index(
                fields=["-source_timestamp", "-id"],
                name="app_post_newest",
                condition=models.Q(source_timestamp__isnull=False, deleted_at=None),
            ),
        ),
    ]
