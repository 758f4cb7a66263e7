"""`python -m deploy.devstack COMMAND`: run from the repository's top folder."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys

COMMANDS = {
    "run": ("run", "start everything, show one delivery's journey, serve until Ctrl-C"),
    "send": ("send", "send one more sample delivery to a stack that runs"),
    "manage": ("manage", "run a management command on a stack that runs"),
    "demo": (
        "demo.command",
        "drive deliveries through the DRF sender, print their stages, compare both sides",
    ),
    "exec": ("command", "run a command while the servers run, for tests"),
}
"""Each is a module with `arguments(parser)` and `main(options) -> int`, and what it does."""


def main() -> int:
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Nothing is started yet. An exception could get lost in a module that is being loaded.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    parser = argparse.ArgumentParser(prog="python -m deploy.devstack")
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")
    chosen = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    for name, (file, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        # Only the one that is wanted is loaded: each pulls in what the others do without.
        if name == chosen:
            importlib.import_module(f"deploy.devstack.{file}").arguments(command)
    options = parser.parse_args()
    module = importlib.import_module(f"deploy.devstack.{COMMANDS[options.name][0]}")
    return int(module.main(options))


if __name__ == "__main__":
    sys.exit(main())
