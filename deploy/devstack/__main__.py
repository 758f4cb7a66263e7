"""`python -m deploy.devstack exec|run ...`: the entry point, run from the repository's top folder."""

from __future__ import annotations

import argparse
import importlib
import sys

COMMANDS = ("exec", "run")
"""Each is a module of this package (`exec` is command.py: a module may not be named so) with
`arguments(parser)` and `main(options) -> int`."""
