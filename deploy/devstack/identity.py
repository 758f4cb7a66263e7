"""Who PostgreSQL runs as: it refuses to run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from deploy.devstack.process import StartFailed


@dataclass(frozen=True, slots=True)
class Identity:
    """How a program is started as somebody: `prefix` before its arguments, or `uid` and `gid`.

    `owner` is the uid that its files must belong to, seen from outside of any user namespace.
    """

    how: str
    owner: int
    prefix: list[str] = field(default_factory=list)
    uid: int | None = None
    gid: int | None = None

    def can_use(self, program: Path, folder: Path) -> bool:
        """Whether `program` runs and `folder` can be entered that way."""
        test = ["sh", "-c", 'test -x "$1" && exec "$2" --version', "sh", str(folder), str(program)]
        try:
            done = subprocess.run(
                [*self.prefix, *test],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=10,
                check=False,
                user=self.uid,
                group=self.gid,
                extra_groups=None if self.uid is None else [],
            )
        except (OSError, subprocess.SubprocessError):
            return False
        return done.returncode == 0

    def own(self, folder: Path) -> None:
        """Give a folder to the owner, when it is somebody else's (the way chosen may change)."""
        if not folder.exists() or folder.stat().st_uid == self.owner:
            return
        for parent, _, files in os.walk(folder):
            for path in (parent, *(os.path.join(parent, name) for name in files)):
                os.chown(path, self.owner, -1, follow_symlinks=False)


def identity_for(program: Path, folder: Path) -> Identity:
    """The first way that works. Raises StartFailed when none does."""
    for identity in _ways():
        if identity.can_use(program, folder):
            return identity
    raise StartFailed(
        f"{program} cannot be run on {folder}: as root it needs a user namespace (unshare), "
        "setpriv, or a place that the user nobody can reach. Run this as an ordinary user."
    )


def _ways() -> Iterator[Identity]:
    if os.geteuid() != 0:
        yield Identity("as this user", os.geteuid())
        return
    other = _ordinary_user()
    how = f"as the user {other.pw_name}, as root is refused"
    if unshare := shutil.which("unshare"):
        # Root outside, an ordinary user inside: nothing is given away, nothing needs chown.
        mapping = [f"--map-user={other.pw_uid}", f"--map-group={other.pw_gid}"]
        yield Identity(
            "in a user namespace, as root is refused", 0, [unshare, "--user", *mapping, "--"]
        )
    if setpriv := shutil.which("setpriv"):
        # Containers often forbid namespaces. This capability opens the folders above, whatever
        # their modes, so that a checkout below a home of mode 700 works too.
        who = [f"--reuid={other.pw_uid}", f"--regid={other.pw_gid}", "--clear-groups"]
        right = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
        yield Identity(how, other.pw_uid, [setpriv, *who, *right, "--"])
    yield Identity(how, other.pw_uid, [], other.pw_uid, other.pw_gid)


def _ordinary_user() -> pwd.struct_passwd:
    """`nobody`, or any user but root: PostgreSQL wants one with an entry of its own."""
    users = [user for user in pwd.getpwall() if user.pw_uid != 0]
    users.sort(key=lambda user: user.pw_name != "nobody")
    if not users:
        raise StartFailed("PostgreSQL refuses to run as root, and there is no other user here")
    return users[0]
