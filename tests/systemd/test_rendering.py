"""`deploy/systemd/render DIR`."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.systemd import rendering
from deploy.systemd.rendering import Installation, Unusable, main
from tests.systemd.installed import render

PLACE = Installation(
    user="pillarbox",
    repository="/srv/pillarbox",
    python="/srv/pillarbox/.venv/bin/python",
    credentials="/etc/pillarbox/credentials",
    environment="/etc/pillarbox/environment",
)
HARDENING = "pillarbox-.service.d/hardening.conf"
PYTHON = ["--python", sys.executable]


def texts(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_program_writes_every_unit_with_the_paths_it_is_given(tmp_path: Path) -> None:
    render(tmp_path / "units", "--user", "letters", "--credentials", "/etc/letters/secret")

    written = texts(tmp_path / "units")
    assert len(written) == 7
    assert [name for name, text in written.items() if re.search("@[a-z]+@", text)] == []
    assert f"ExecStart={sys.executable} manage.py relay" in written["pillarbox-relay@.service"]
    assert "database-url:/etc/letters/secret/owner-" in written["pillarbox-maintain.service"]
    assert "User=letters\n" in written[HARDENING]
    assert f"WorkingDirectory={rendering.REPOSITORY}\n" in written[HARDENING]


def test_a_second_run_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), *PYTHON]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 7

    assert main([str(tmp_path), *PYTHON]) == 0

    assert capsys.readouterr().out == ""


def test_a_unit_that_was_changed_is_not_replaced_without_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pillarbox-web.service").write_text("mine\n")

    assert main([str(tmp_path), *PYTHON]) == 1

    assert texts(tmp_path) == {"pillarbox-web.service": "mine\n"}
    assert "pillarbox-web.service: there already" in capsys.readouterr().err
    assert main([str(tmp_path), *PYTHON, "--force"]) == 0
    assert "gunicorn" in texts(tmp_path)["pillarbox-web.service"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "DIR"),
        (["DIR", "--colour"], "--colour"),
        (["DIR", *PYTHON, "--user", "Not a user"], "Not a user"),
        (["DIR", *PYTHON, "--credentials", "/etc/100%"], "credentials"),
        (["DIR", *PYTHON, "--environment", "/etc/a file"], "environment"),
        (["DIR", *PYTHON, "--repository", "/nowhere"], "manage.py"),
        (["DIR", "--python", "/nowhere/python"], "/nowhere/python"),
    ],
)
def test_wrong_usage_says_what_is_wrong_and_writes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    word: str,
) -> None:
    monkeypatch.chdir(tmp_path)

    try:
        code: object = main(arguments)
    except SystemExit as ended:
        code = ended.code

    assert code == 2
    assert word in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()

    assert main([str(tmp_path / "file" / "units"), *PYTHON]) == 1

    assert "file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("visible", "lines"),
    [
        (("/srv/pillarbox", "/usr"), ["ProtectHome=yes"]),
        (
            ("/srv/pillarbox", "/home/letters/python"),
            ["ProtectHome=tmpfs", "BindReadOnlyPaths=/home/letters/python"],
        ),
        (("/tmp/pillarbox",), ["ProtectHome=yes", "BindReadOnlyPaths=/tmp/pillarbox"]),
        (("/homeless/pillarbox",), ["ProtectHome=yes"]),
    ],
)
def test_a_program_in_a_hidden_folder_is_shown_and_nothing_else(
    visible: tuple[str, ...], lines: list[str]
) -> None:
    text = rendering.render(replace(PLACE, visible=visible))[HARDENING]

    assert "\n" + "\n".join(lines) + "\n\n" in text


@pytest.mark.parametrize("name", ["repository", "python", "credentials", "environment"])
@pytest.mark.parametrize("path", ["relative", "/with a blank", "/100%", "/a\nUser=root", "/$HOME"])
def test_a_path_that_would_mean_something_else_in_a_unit_is_refused(name: str, path: str) -> None:
    with pytest.raises(Unusable, match=name):
        rendering.render(replace(PLACE, **{name: path}))
