from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.devstack.debian import DebianPackages, Unavailable
from tests.nginx.front import Front, Installation, installed, running_nginx
from tests.service import free_port

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The machine's nginx, or Debian's package; a skip where neither can be had."""
    if found := installed():
        return found
    if not shutil.which("openssl"):
        pytest.skip("no-nginx")
    log = tmp_path_factory.mktemp("apt") / "apt.log"
    packages = DebianPackages(REPOSITORY / "var" / "cache", log, print)  # where the broker's are
    try:
        root = packages.unpacked("nginx", r"nginx(-core)?$|lib")
    except Unavailable:
        pytest.skip("no-nginx")
    program = root / "usr" / "sbin" / "nginx"
    if not program.exists():
        pytest.skip("no-nginx")
    return Installation(program, root)


@pytest.fixture(scope="module")
def alone(nginx: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """nginx with nothing behind it; not for the session, as other modules close the guard."""
    with running_nginx(nginx, tmp_path_factory.mktemp("nginx"), free_port()) as front:
        yield front
