from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.clients.libraries import Library, NpmLibrary, PythonLibrary
from tests.clients.node_project import NodeProject, cache_folder
from tests.factories import SECRET


@pytest.fixture(autouse=True)
def _one_secret(settings: Any) -> None:
    settings.WEBHOOK_SECRETS = [SECRET]


@pytest.fixture(scope="session")
def npm(pytestconfig: pytest.Config) -> NpmLibrary:
    here = Path(__file__).resolve().parent
    return NpmLibrary(NodeProject(here / "npm", cache_folder(pytestconfig)))


@pytest.fixture(params=["python", "npm"])
def library(request: pytest.FixtureRequest) -> Library:
    return PythonLibrary() if request.param == "python" else request.getfixturevalue("npm")
