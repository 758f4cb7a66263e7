"""The folder in which workers count, and the port that tells of it, whatever others do to them."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from settings import metrics_folder, metrics_page
from settings.metrics_folder import FILE_BYTES, FILES, PREFIX, MetricsFolder

REPOSITORY = Path(__file__).resolve().parents[2]
WORKER = 1234567


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(metrics_folder, "PLACE", tmp_path)
    return tmp_path


def files(folder: MetricsFolder) -> dict[str, int]:
    return {path.name: path.stat().st_blocks * 512 for path in folder.path.iterdir()}


def test_a_worker_has_the_room_of_all_its_files_before_it_counts(place: Path) -> None:
    folder = MetricsFolder()
    folder.reserve(WORKER)
    assert files(folder).keys() == {f"{name}_{WORKER}.db" for name in FILES}
    assert min(files(folder).values()) >= FILE_BYTES


COUNT = """
import os, sys
from pathlib import Path
import django
django.setup()  # the settings drop what is given from outside
os.environ["PROMETHEUS_MULTIPROC_DIR"] = sys.argv[1]
from app import metrics
metrics.begin()
files = sorted(Path(sys.argv[1]).iterdir())
print(max(int.from_bytes(path.read_bytes()[:4], sys.byteorder) for path in files))
print(*[path.name.removesuffix(f"_{os.getpid()}.db") for path in files])
"""


def test_the_files_are_those_that_the_library_makes_and_large_enough(tmp_path: Path) -> None:
    printed = subprocess.run(
        [sys.executable, "-c", COUNT, str(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "settings.test"},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    used, *names = printed.split()
    assert sorted(FILES) == names
    assert int(used) < FILE_BYTES / 4


def test_where_there_is_no_room_nothing_is_left_and_the_worker_goes_without(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_file: int, _offset: int, _length: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    monkeypatch.setattr(os, "posix_fallocate", full)
    page = metrics_page.MetricsPage(0)
    page.begin(WORKER)
    page._listener.close()
    [folder] = place.glob(f"{PREFIX}*")
    assert not list(folder.iterdir())
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ
    assert f"metrics.no_room: {folder}: No space left on device" in caplog.text


def test_a_folder_that_somebody_has_removed_is_made_again(place: Path) -> None:
    folder = MetricsFolder()
    shutil.rmtree(folder.path)
    with pytest.raises(FileNotFoundError):
        folder.reserve(WORKER)
    folder.renew()
    folder.reserve(WORKER)
    MetricsFolder()
    assert folder.path.exists(), "locked again: no other server takes it for a leftover"
    assert folder.path.stat().st_mode & 0o777 == 0o700


def test_nothing_is_written_where_another_has_taken_the_name(place: Path) -> None:
    folder = MetricsFolder()
    shutil.rmtree(folder.path)
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    folder.path.symlink_to(elsewhere)
    with pytest.raises(FileExistsError):
        folder.renew()
    with pytest.raises(FileNotFoundError):
        folder.reserve(WORKER)
    assert not list(elsewhere.iterdir())


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "make",
    [os.mkfifo, lambda path: path.symlink_to("/"), Path.touch],
    ids=["pipe", "link", "file"],
)
def test_what_is_no_folder_of_ours_neither_stops_the_start_nor_is_removed(
    make: Callable[[Path], None], place: Path
) -> None:
    other = place / f"{PREFIX}other"
    make(other)
    MetricsFolder()
    assert other.lstat()


def test_another_users_folder_is_left(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = place / f"{PREFIX}other"
    other.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: other.stat().st_uid + 1)
    with pytest.raises(PermissionError):
        metrics_folder._remove_unlocked(other)
    assert other.is_dir()


def test_two_servers_do_not_share_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_page, "BIND_SECONDS", 0.2)
    with metrics_page._listener(0) as first, pytest.raises(OSError, match="in use"):
        metrics_page._listener(first.getsockname()[1])


def test_the_port_of_a_server_that_was_killed_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    orphans = socket.create_server((metrics_page.ADDRESS, 0))
    port = orphans.getsockname()[1]
    monkeypatch.setattr(metrics_page.time, "sleep", lambda _seconds: orphans.close())
    metrics_page._listener(port).close()


def test_a_folder_that_the_environment_names_is_nothing_to_us(tmp_path: Path) -> None:
    given = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "missing")}
    result = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=REPOSITORY,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "settings.test", **given},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 0, result.stderr
