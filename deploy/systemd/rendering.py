"""`deploy/systemd/render DIR`: the units with the paths of this installation."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TEMPLATES = Path(__file__).resolve().parent
REPOSITORY = TEMPLATES.parents[1]
PATTERNS = ("*.service", "*.timer", "*.service.d/*.conf")
HOMES = ("/home", "/root", "/run/user")
"""What `ProtectHome=` hides."""
TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 - what `PrivateTmp=` hides, not written to

DESCRIPTION = "Write the units for systemd into DIR, with the paths of this installation."
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9_./:+,=-]*")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
_PLACEHOLDER = re.compile(r"@([a-z]+)@")


class Unusable(Exception):
    """An argument that no unit can be made of; the message says which and why."""


class InTheWay(Exception):
    """Files that rendering would replace; the message names them."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Where things are. `visible`: the folders of the program and of its interpreter."""

    user: str
    repository: str
    python: str
    credentials: str
    environment: str
    visible: tuple[str, ...] = ()

    def values(self) -> dict[str, str]:
        """What stands for each placeholder."""
        return {
            "user": self.user,
            "repository": self.repository,
            "python": self.python,
            "credentials": self.credentials,
            "environment": self.environment,
            "home": self._home(),
        }

    def _home(self) -> str:
        seen = dict.fromkeys(path for path in self.visible if _is_below(path, HOMES + TEMPORARY))
        hidden = "tmpfs" if any(_is_below(path, HOMES) for path in seen) else "yes"
        # Where the program itself is in such a folder, that much of it is shown, and nothing else.
        shown = (f"BindReadOnlyPaths={path}" for path in seen)
        return "\n".join((f"ProtectHome={hidden}", *shown))


def render(installation: Installation) -> dict[str, str]:
    """The text of each unit, by its path below the folder of units.

    Raises Unusable when a value cannot stand in a unit.
    """
    for name in ("repository", "python", "credentials", "environment"):
        _check_path(name, getattr(installation, name))
    for path in installation.visible:
        _check_path("the interpreter's folder", path)
    if not _USER.fullmatch(installation.user):
        raise Unusable(f"{installation.user!r} is no name of a system user")
    values = installation.values()
    found = sorted(path for pattern in PATTERNS for path in TEMPLATES.glob(pattern))
    return {
        str(path.relative_to(TEMPLATES)): _PLACEHOLDER.sub(
            lambda match: values[match[1]], path.read_text()
        )
        for path in found
    }


def write(units: dict[str, str], folder: Path, *, force: bool) -> list[Path]:
    """Write the units and return what is new or changed.

    Raises InTheWay, before anything is written, for a file of another text, unless `force`.
    """
    changed = {
        folder / name: text
        for name, text in units.items()
        if not (folder / name).is_file() or (folder / name).read_text() != text
    }
    taken = [path for path in changed if path.exists()]
    if taken and not force:
        raise InTheWay(
            f"{', '.join(map(str, taken))}: there already, with another text. Keep changes of your"
            " own in a drop-in (systemctl edit UNIT), and give --force to replace the units."
        )
    for path, text in changed.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
    return list(changed)


def interpreter_folders(python: Path) -> tuple[str, ...]:
    """The folders that an interpreter needs: of its environment and of the Python below it.

    Raises Unusable when it does not run, or cannot run this service.
    """
    ask = "import sys; print(sys.prefix, sys.base_prefix, sys.version_info >= (3, 11), sep='\\n')"
    try:
        told = subprocess.run(
            [python, "-c", ask], check=True, capture_output=True, text=True, timeout=20
        ).stdout.splitlines()
    except (OSError, subprocess.SubprocessError) as error:
        raise Unusable(
            f"{python} does not run: {error}. Name the interpreter of the service's environment"
            " with --python; `make test` makes one in .venv."
        ) from error
    prefix, base, recent = told
    if recent != "True":
        raise Unusable(f"{python} is older than Python 3.11")
    # An installation may be reached through links: the link and what it leads to.
    return tuple(dict.fromkeys((prefix, base, str(Path(base).resolve()))))


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; a mistake in it ends the program with exit code 2."""
    parser = argparse.ArgumentParser(prog="deploy/systemd/render", description=DESCRIPTION)
    parser.add_argument("folder", metavar="DIR", type=Path, help="such as /etc/systemd/system")
    parser.add_argument(
        "--user", default="pillarbox", help="who the services run as (default: %(default)s)"
    )
    parser.add_argument(
        "--repository",
        type=Path,
        default=REPOSITORY,
        metavar="PATH",
        help="where the program is (default: %(default)s)",
    )
    parser.add_argument(
        "--python", type=Path, metavar="PATH", help="default: .venv/bin/python of the repository"
    )
    parser.add_argument(
        "--credentials",
        type=Path,
        default=Path("/etc/pillarbox/credentials"),
        metavar="PATH",
        help="the folder with a file for each secret (default: %(default)s)",
    )
    parser.add_argument(
        "--environment",
        type=Path,
        default=Path("/etc/pillarbox/environment"),
        metavar="PATH",
        help="the file of NAME=value lines for the rest (default: %(default)s)",
    )
    parser.add_argument("--force", action="store_true", help="replace units that are different")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the units. 0 done, 1 something is in the way, 2 wrong usage."""
    options = arguments(argv)
    repository = options.repository.absolute()
    python = (options.python or repository / ".venv" / "bin" / "python").absolute()
    try:
        _check_repository(repository)
        installation = Installation(
            user=options.user,
            repository=str(repository),
            python=str(python),
            credentials=str(options.credentials.absolute()),
            environment=str(options.environment.absolute()),
            visible=(str(repository), *interpreter_folders(python)),
        )
        for path in write(render(installation), options.folder, force=options.force):
            print(path)
    except Unusable as error:
        print(f"deploy/systemd/render: {error}", file=sys.stderr)
        return 2
    except (InTheWay, OSError) as error:
        print(f"deploy/systemd/render: {error}", file=sys.stderr)
        return 1
    return 0


def _check_repository(repository: Path) -> None:
    if not (repository / "manage.py").is_file():
        raise Unusable(f"{repository} is not the program: it has no manage.py")


def _check_path(name: str, path: str) -> None:
    # systemd has rules of its own for blanks, quotes, "%" and "$", in some settings and not others.
    if not _PLAIN_PATH.fullmatch(path):
        raise Unusable(f"{name}: {path!r} has characters that are special in a unit")


def _is_below(path: str, folders: Sequence[str]) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in folders)
