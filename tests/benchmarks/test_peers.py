"""The peers of the benchmarks: what each needs is here, and what it sends is counted."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu import Connection, Producer

from benchmarks.frame.arm import Void
from benchmarks.peers import environment
from benchmarks.peers.catalogue import PEERS, Peer
from benchmarks.peers.child_process import ChildProcess
from benchmarks.peers.environment import Environment, NotInstalled, interpreter
from benchmarks.peers.inbox import Inbox, post_id

HERE = Path(environment.__file__).parent
PINNED = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)
SHARED = {"amqp", "celery", "django", "kombu", "psycopg2-binary"}
QUEUE = "peer-of-a-test"

every_peer = pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)


def pins(lock: Path) -> dict[str, str]:
    return dict(PINNED.findall(lock.read_text()))


def test_every_folder_of_a_peer_is_in_the_catalogue() -> None:
    folders = {path.parent.name for path in HERE.glob("*/requirements.in")}
    assert folders == {peer.folder for peer in PEERS}


@every_peer
def test_a_peers_folder_has_what_it_needs(peer: Peer) -> None:
    folder = HERE / peer.folder
    assert {"__init__.py", "requirements.in", "requirements.lock", "run.py"} <= {
        path.name for path in folder.iterdir()
    }
    assert "serve(" in (folder / "run.py").read_text()


@every_peer
def test_a_lock_pins_the_peer_and_bears_hashes_but_no_addresses(peer: Peer) -> None:
    lock = Environment(peer).lock
    text = lock.read_text()
    assert peer.name in pins(lock)
    for line in text.splitlines():
        if line and not line.startswith((" ", "#")):
            assert PINNED.match(line), line
            assert line.endswith("\\"), f"{line} has no hash"
    assert not re.search(r"://|--(extra-)?index-url|--find-links|\bfile:|@ ", text)
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", text)) >= len(pins(lock))


@every_peer
def test_what_peers_share_with_us_they_have_in_our_version(peer: Peer) -> None:
    ours, theirs = pins(HERE.parents[1] / "requirements.lock"), pins(Environment(peer).lock)
    shared = SHARED & theirs.keys()
    assert {name: theirs[name] for name in shared} == {name: ours[name] for name in shared}


def test_a_peer_that_is_not_installed_says_how_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "BUILD", tmp_path)
    with pytest.raises(NotInstalled, match="make bench-peers"):
        _ = Environment(PEERS[0]).python


def test_a_peer_that_cannot_be_installed_remembers_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "BUILD", tmp_path)
    own = Environment(Peer("pgqueuer", oldest_python=(9, 9)))
    with pytest.raises(NotInstalled):
        own.install(lambda _line: None)
    with pytest.raises(NotInstalled, match=r"could not be installed: it needs Python 9\.9"):
        _ = own.python


def test_our_own_python_is_taken_where_it_will_do() -> None:
    assert Path(interpreter((3, 11))).resolve() == Path(sys.executable).resolve()


def test_a_peer_that_ends_at_once_gives_its_last_words(tmp_path: Path) -> None:
    child = ChildProcess(Path(sys.executable), "nobody", [], tmp_path / "log")
    with child, pytest.raises(Void, match="No module named"):
        child.wait_until_ready(30)


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with Inbox(os.environ["CELERY_BROKER_URL"], QUEUE) as own:
        yield own


def send(*numbers: int, delivery_mode: int = 2) -> None:
    with Connection(os.environ["CELERY_BROKER_URL"]) as connection:
        producer = Producer(connection.channel())
        for number in numbers:
            producer.publish(
                ([], {"post_id": number}, {}), routing_key=QUEUE, delivery_mode=delivery_mode
            )


@pytest.mark.amqp
def test_duplicates_are_counted(inbox: Inbox) -> None:
    send(0, 1, 1, 2)
    assert inbox.take(3) == {"found": 4, "duplicates": 1}


@pytest.mark.amqp
def test_a_missing_message_makes_the_run_void(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.peers.inbox.PATIENCE_SECONDS", 0.3)
    send(0, 2)
    with pytest.raises(Void, match="1 of 3 messages are missing"):
        inbox.take(3)


@pytest.mark.amqp
def test_a_message_that_nobody_sent_makes_the_run_void(inbox: Inbox) -> None:
    send(0, 1, 7)
    with pytest.raises(Void, match="nobody sent"):
        inbox.take(2)


@pytest.mark.amqp
def test_a_message_kept_in_memory_alone_makes_the_run_void(inbox: Inbox) -> None:
    send(0, delivery_mode=1)
    with pytest.raises(Void, match="not persistent"):
        inbox.take(1)


def test_the_post_is_found_in_a_task_and_in_a_plain_payload() -> None:
    assert post_id(b'[[], {"post_id": 3}, {"chain": null}]') == post_id('{"post_id": 3}') == 3
