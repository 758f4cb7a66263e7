"""The history: range-partitioned by day, insert-only, dropped by partition."""

from django.db import migrations, models

CREATE = """
CREATE TABLE outbox_history (
    id uuid NOT NULL,
    event_type varchar(200) NOT NULL,
    task varchar(200) NOT NULL,
    queue varchar(200) NOT NULL,
    attempts integer NOT NULL,
    sends integer NOT NULL,
    received_at timestamptz NOT NULL,
    ready_at timestamptz NOT NULL,
    dispatched_at timestamptz NOT NULL,
    done_at timestamptz NOT NULL
) PARTITION BY RANGE (done_at);
CREATE INDEX outbox_history_id ON outbox_history (id);
CREATE INDEX outbox_history_done_at ON outbox_history (done_at);
CREATE TABLE outbox_history_default PARTITION OF outbox_history DEFAULT;
"""

# The days from now on have their partition from the start: a day whose rows went to the default
# partition can never get one. `manage.py outbox maintain` makes the later days.
FIRST_DAYS = """
DO $$
DECLARE
    first date := (now() AT TIME ZONE 'UTC')::date;
BEGIN
    FOR n IN 0..7 LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF outbox_history FOR VALUES FROM (%L) TO (%L)',
            'outbox_history_p' || to_char(first + n, 'YYYYMMDD'),
            (first + n)::text || ' 00:00:00+00', (first + n + 1)::text || ' 00:00:00+00');
    END LOOP;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("outbox", "0001_initial")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(CREATE, "DROP TABLE outbox_history"),
                migrations.RunSQL(FIRST_DAYS, migrations.RunSQL.noop),
            ],
            state_operations=[
                migrations.CreateModel(
                    name="HistoryMessage",
                    fields=[
                        ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                        ("event_type", models.CharField(max_length=200)),
                        ("task", models.CharField(max_length=200)),
                        ("queue", models.CharField(max_length=200)),
                        ("attempts", models.PositiveIntegerField()),
                        ("sends", models.PositiveIntegerField()),
                        ("received_at", models.DateTimeField()),
                        ("ready_at", models.DateTimeField()),
                        ("dispatched_at", models.DateTimeField()),
                        ("done_at", models.DateTimeField()),
                    ],
                    options={
                        "verbose_name": "done message",
                        "db_table": "outbox_history",
                        "ordering": ["-done_at"],
                    },
                ),
            ],
        ),
    ]
