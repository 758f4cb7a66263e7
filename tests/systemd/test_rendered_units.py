"""What systemd itself says about the rendered units, without running them."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.systemd.rendering import TEMPLATES
from settings.variables import VARIABLES
from tests.systemd import analyzer
from tests.systemd.analyzer import Analyzer
from tests.systemd.first_start import PAGE
from tests.systemd.installed import render

SERVICES = sorted(path.name for path in TEMPLATES.glob("*.service"))
PROCESSES = {
    "pillarbox-web.service": "web",
    "pillarbox-postprocess.service": "postprocess",
    "pillarbox-relay@.service": "relay",
    "pillarbox-worker.service": "worker",
    "pillarbox-maintain.service": "command",
}
MOST_EXPOSED = {"pillarbox-web.service": 20}
"""In tenths, as `systemd-analyze security --threshold` counts; the others: 15."""


@pytest.fixture(scope="module")
def analyze(tmp_path_factory: pytest.TempPathFactory) -> Analyzer:
    return analyzer.find(tmp_path_factory.mktemp("apt") / "log")


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("units")
    # A user that every machine has: the check resolves it.
    render(folder, "--user", "daemon")
    return folder


def settings(unit: Path, name: str) -> list[str]:
    prefix = f"{name}="
    lines = unit.read_text().splitlines()
    return [line.removeprefix(prefix) for line in lines if line.startswith(prefix)]


def threshold(service: str) -> str:
    return f"--threshold={MOST_EXPOSED.get(service, 15)}"


def test_systemd_finds_no_fault_in_any_unit(analyze: Analyzer, units: Path) -> None:
    names = [path.name for path in units.iterdir() if path.is_file()]

    done = analyze.run("verify", *names, cwd=units)

    # It ends with 0 even when it ignores a line that it does not understand.
    assert (
        done.returncode,
        [line for line in done.stdout.splitlines() if "pillarbox" in line],
    ) == (
        0,
        [],
    )
    assert len(names) == len(SERVICES) + 1


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_hardly_exposed(analyze: Analyzer, units: Path, service: str) -> None:
    done = analyze.run("security", "--offline=true", threshold(service), f"./{service}", cwd=units)

    assert done.returncode == 0, done.stdout


def test_a_service_without_its_hardening_is_found_out(
    analyze: Analyzer, units: Path, tmp_path: Path
) -> None:
    for service in SERVICES:
        (tmp_path / service).write_text((units / service).read_text())

        done = analyze.run(
            "security", "--offline=true", threshold(service), f"./{service}", cwd=tmp_path
        )

        assert done.returncode != 0, service


@pytest.mark.parametrize("service", SERVICES)
def test_every_secret_of_a_process_is_a_credential(units: Path, service: str) -> None:
    process = PROCESSES[service]
    loaded = {line.partition(":")[0] for line in settings(units / service, "LoadCredential")}
    given = dict(
        line.split("_FILE=%d/") for line in settings(units / service, "Environment") if "%d" in line
    )

    assert set(given.values()) == loaded
    assert all(VARIABLES[name].secret for name in given)
    required = {
        name
        for name, variable in VARIABLES.items()
        if variable.secret and process in variable.required_by | variable.required_in_production_by
    }
    assert required <= set(given)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_given_the_url_of_its_own_role(units: Path, service: str) -> None:
    role = "owner" if PROCESSES[service] == "command" else PROCESSES[service]
    [loaded] = [
        line
        for line in settings(units / service, "LoadCredential")
        if "database-url:" in line
        if not line.startswith("database-replica-url:")
    ]
    assert loaded == f"database-url:/etc/pillarbox/credentials/{role}-database-url"
    assert f"`{role}-database-url`" in PAGE.read_text()


@pytest.mark.parametrize(
    ("service", "kind", "watchdog"),
    [
        ("pillarbox-web.service", "notify", []),
        ("pillarbox-postprocess.service", "notify", ["60"]),
        ("pillarbox-relay@.service", "notify", ["60"]),
        ("pillarbox-worker.service", "notify", []),
    ],
)
def test_a_service_says_when_it_is_ready_and_is_never_given_up(
    units: Path, service: str, kind: str, watchdog: list[str]
) -> None:
    assert settings(units / service, "Type") == [kind]
    assert settings(units / service, "WatchdogSec") == watchdog
    assert settings(units / service, "Restart") == ["always"]
    assert settings(units / service, "StartLimitIntervalSec") == ["0"]
