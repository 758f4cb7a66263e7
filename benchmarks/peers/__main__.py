"""Install the peers, each into an environment of its own: `python -m benchmarks.peers`."""

from __future__ import annotations

import sys

from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.environment import BUILD, Environment, NotInstalled
from deploy.devstack.console import Console


def main() -> int:
    """1 if there is none to measure beside; one that cannot be had stops no other."""
    console = Console()
    console.line(f"Peers go to {BUILD}, each with its own packages")
    installed = 0
    for peer in PEERS:
        try:
            Environment(peer).install(console.line)
            installed += 1
        except NotInstalled as error:
            console.line(f"{peer.name}: could not be installed: {error}")
    return 0 if installed else 1


if __name__ == "__main__":
    sys.exit(main())
