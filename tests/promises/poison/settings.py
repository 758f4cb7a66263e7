"""The settings of the service, and one app more."""

from __future__ import annotations

from settings.base import *  # noqa: F403
from settings.base import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.promises.poison"]
