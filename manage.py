#!/usr/bin/env python
"""The project's commands: ``python manage.py help``."""

from __future__ import annotations

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.production")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # The message says what is wrong and what to do; a traceback would bury it.
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
