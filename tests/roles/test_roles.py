"""Each process works with the rights of its own role, and with those alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg2 import errors

from tests.factories import event
from tests.roles.role_database import ROLES, RoleDatabase, apply_roles
from tests.roles.role_service import service_under_roles
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(180)

OWNER, WEB, POSTPROCESS, RELAY, WORKER = ROLES

TOKEN = "a-token-of-these-tests"

NEW_MESSAGE = """
INSERT INTO outbox_message (id, event_type, task, queue, payload, state, ready_at)
VALUES (gen_random_uuid(), 'post.created', 'app.tasks.index_post', 'role-tests',
        jsonb_build_object('source_id', 'post-1', 'webhook_id', 'msg_1',
                           'timestamp', '2026-03-01T12:00:00+00:00', 'title', 'A title',
                           'body', 'A body.', 'categories', '["news"]'::jsonb,
                           'tags', '["a"]'::jsonb),
        %s, CASE WHEN %s = 'ready' THEN now() END)
RETURNING id
"""

OLD_DELIVERY = """
INSERT INTO app_delivery (webhook_id, digest, message_id, received_at)
VALUES ('msg_old', sha256(''), gen_random_uuid(), now() - interval '8 days')
"""

# What somebody does in the admin: log in, look at each list, edit a Post, log out.
ADMIN_SESSION = f"""
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from app.models import Post
client = Client(SERVER_NAME="localhost")
form = {{"username": "admin", "password": "{TOKEN}"}}
assert client.post(reverse("admin:login"), form).status_code == 302
lists = [reverse(f"admin:{{m._meta.app_label}}_{{m._meta.model_name}}_changelist")
         for m in admin.site._registry]
for page in [reverse("admin:index"), *lists]:
    assert client.get(page).status_code == 200, page
post = Post.everything.create(source_id="post-admin", title="new")
edit = reverse("admin:app_post_change", args=[post.pk])
answer = client.post(edit, {{"title": "edited", "body": ""}})
assert answer.status_code == 302, answer.content
assert client.post(reverse("admin:logout")).status_code == 200
print(len(lists) + 1, "pages")
"""


@pytest.fixture
def empty(roles: RoleDatabase) -> None:
    """No rows that a test before has left."""
    roles.empty()


def test_the_file_can_be_applied_again_and_again(roles: RoleDatabase) -> None:
    query = (
        "SELECT grantee, table_name, column_name, privilege_type"
        " FROM information_schema.column_privileges WHERE grantee LIKE 'pillarbox_%%'"
        " AND grantee <> %s ORDER BY 1, 2, 3, 4"
    )
    before = roles.run(OWNER, query, OWNER)
    assert before
    apply_roles(roles.name)
    assert roles.run(OWNER, query, OWNER) == before


def test_a_right_that_the_file_does_not_grant_is_taken_away(roles: RoleDatabase) -> None:
    roles.run(OWNER, "GRANT DELETE ON outbox_message TO pillarbox_relay")
    apply_roles(roles.name)
    with pytest.raises(errors.InsufficientPrivilege):
        roles.run(RELAY, "DELETE FROM outbox_message")


def test_maintain_is_the_owners_and_says_so_to_others(roles: RoleDatabase) -> None:
    last = max(name for name in roles.partitions() if name != "outbox_history_default")
    roles.run(OWNER, f"DROP TABLE {last}")
    refused = roles.manage(RELAY, "outbox", "maintain")
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    assert "owner" in refused.stderr
    assert last not in roles.partitions()

    roles.run(OWNER, OLD_DELIVERY)
    said = roles.expect(OWNER, "outbox", "maintain")
    assert f"created: {last}" in said
    assert "old deliveries: 1 removed." in said
    assert last in roles.partitions()

    # Where there is nothing to make, what it would delete refuses it all the same.
    refused = roles.manage(RELAY, "outbox", "maintain")
    assert (refused.returncode, "Traceback" in refused.stderr) == (1, False)


@pytest.mark.usefixtures("empty")
def test_post_processor_and_relay_do_their_work(roles: RoleDatabase, tmp_path: Path) -> None:
    [[pending]] = roles.run(WEB, NEW_MESSAGE, "pending", "pending")
    roles.expect(POSTPROCESS, "postprocess", "--drain")
    assert roles.run(WEB, "SELECT id, state, attempts FROM outbox_message") == [
        (pending, "ready", 0)
    ]
    assert roles.run(WEB, "SELECT source_id, title FROM app_post") == [("post-1", "A title")]

    folder = tmp_path / "broker"
    folder.mkdir()
    roles.expect(RELAY, "relay", "--drain", CELERY_BROKER_URL=f"filesystem://{folder}")
    assert roles.run(WEB, "SELECT id, state, attempts FROM outbox_message") == [
        (pending, "dispatched", 0)
    ]
    [sent] = folder.glob("*.msg")
    assert str(pending) in sent.read_text()


@pytest.mark.usefixtures("empty")
def test_each_process_of_the_service_works_under_its_own_role(
    roles: RoleDatabase, tmp_path: Path
) -> None:
    with service_under_roles(roles, tmp_path, READ_TOKENS=TOKEN) as service:
        first = service.deliver(event(), "msg_1")
        assert first.status == 202, first
        path = first.headers["location"]
        eventually(lambda: service.ask("GET", path).body["state"] == "done", 30)
        assert service.deliver(event(), "msg_1").body == first.body
        assert service.deliver(event(tags=["b"]), "msg_1").status == 409
        changed = service.deliver(event("post.updated", at=1, tags=["b", "c"]))
        eventually(
            lambda: service.ask("GET", changed.headers["location"]).body["state"] == "done", 30
        )
        found = service.ask("GET", "/posts/?tag=c", authorization=f"Bearer {TOKEN}")
        assert [post["tags"] for post in found.body["posts"]] == [["b", "c"]]
        for page in ("?q=title", f"{found.body['posts'][0]['source_id']}/"):
            answer = service.ask("GET", f"/posts/{page}", authorization=f"Bearer {TOKEN}")
            assert answer.status == 200, answer
    assert roles.run(WEB, "SELECT attempts, sends FROM outbox_history") == [(0, 1), (0, 1)]


@pytest.mark.usefixtures("empty")
@pytest.mark.slow
def test_the_admin_works_under_the_role_of_web(roles: RoleDatabase) -> None:
    roles.expect(
        OWNER,
        *("createsuperuser", "--noinput", "--username", "admin", "--email", "a@example.org"),
        DJANGO_SUPERUSER_PASSWORD=TOKEN,
    )
    pages = roles.expect(WEB, "shell", "-v", "0", "-c", ADMIN_SESSION, READ_TOKENS=TOKEN)
    assert pages.split() == ["10", "pages"]
    assert roles.run(WEB, "SELECT title FROM app_post WHERE source_id = 'post-admin'") == [
        ("edited",)
    ]


@pytest.mark.usefixtures("empty")
@pytest.mark.slow
def test_the_operators_commands_are_the_owners(roles: RoleDatabase) -> None:
    [[dead]] = roles.run(WEB, NEW_MESSAGE, "pending", "pending")
    roles.run(OWNER, "UPDATE outbox_message SET state = 'dead', last_error = 'an error'")

    assert '"dead": 1' in roles.expect(OWNER, "outbox", "stats", "--json", "--exact")
    assert "an error" in roles.expect(OWNER, "outbox", "show", str(dead))
    roles.expect(OWNER, "outbox", "requeue", str(dead))

    assert roles.run(WEB, "SELECT state FROM outbox_message") == [("pending",)]
