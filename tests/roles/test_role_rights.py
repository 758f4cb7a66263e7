"""What the rights of each role let its holder do, and what not."""

from __future__ import annotations

import pytest
from psycopg2 import errors

from tests.roles.role_database import ROLES, RoleDatabase

pytestmark = pytest.mark.timeout(180)

_, WEB, POSTPROCESS, RELAY, WORKER = ROLES


@pytest.mark.parametrize("role", [WEB, POSTPROCESS, RELAY, WORKER])
def test_no_process_can_do_ddl(roles: RoleDatabase, role: str) -> None:
    partition = roles.partitions()[0]
    for statement in (
        "CREATE TABLE more (id int)",
        "CREATE TEMPORARY TABLE more (id int)",
        "CREATE SCHEMA more",
        "ALTER TABLE outbox_message ADD COLUMN more int",
        "ALTER TABLE outbox_message DISABLE TRIGGER ALL",
        "DROP TABLE outbox_message",
        f"DROP TABLE {partition}",
        f"ALTER TABLE outbox_history DETACH PARTITION {partition}",
        "CREATE TABLE more PARTITION OF outbox_history FOR VALUES FROM ('2001-01-01') TO (now())",
        "TRUNCATE outbox_message",
        "TRUNCATE outbox_history",
        "DROP INDEX outbox_history_id",
        "SET ROLE pillarbox_owner",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            roles.run(role, statement)


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        (WEB, "UPDATE outbox_message SET state = 'dead'"),
        (WEB, "DELETE FROM outbox_message"),
        (WEB, "DELETE FROM app_delivery"),
        (WEB, "UPDATE app_delivery SET digest = ''"),
        (RELAY, "UPDATE outbox_message SET payload = '{}'"),
        (RELAY, "UPDATE outbox_message SET task = ''"),
        (RELAY, "INSERT INTO outbox_message DEFAULT VALUES"),
        (RELAY, "DELETE FROM outbox_message"),
        (RELAY, "SELECT FROM app_post"),
        (RELAY, "SELECT FROM outbox_history"),
        (POSTPROCESS, "UPDATE outbox_message SET payload = '{}'"),
        (POSTPROCESS, "UPDATE outbox_message SET task = ''"),
        (POSTPROCESS, "INSERT INTO outbox_message DEFAULT VALUES"),
        (POSTPROCESS, "DELETE FROM outbox_message"),
        (POSTPROCESS, "SELECT FROM auth_user"),
        (WORKER, "UPDATE outbox_message SET payload = '{}'"),
        (WORKER, "UPDATE outbox_message SET task = ''"),
        (WORKER, "UPDATE app_post SET title = ''"),
        (WORKER, "UPDATE outbox_history SET attempts = 0"),
        (WORKER, "DELETE FROM outbox_history"),
        (WORKER, "SELECT FROM app_delivery"),
    ],
)
def test_no_process_can_touch_what_is_not_its_work(
    roles: RoleDatabase, role: str, statement: str
) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        roles.run(role, statement)


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        (WEB, "UPDATE app_delivery SET message_id = NULL, state = state"),
        (WEB, "UPDATE app_delivery_conflict SET times = 1"),
        (WEB, "DELETE FROM auth_user"),
        (POSTPROCESS, "UPDATE app_post SET title = ''"),
        *(
            (role, f"UPDATE outbox_message SET {column} = {column}")
            for role in (POSTPROCESS, RELAY, WORKER)
            for column in ("state", "lease_token", "due_at")
        ),
        (WORKER, "DELETE FROM outbox_message"),
    ],
)
def test_a_process_can_do_what_is_its_work(roles: RoleDatabase, role: str, statement: str) -> None:
    roles.run(role, f"{statement} WHERE false")
