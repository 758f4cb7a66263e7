"""See that compose.yaml can be read and opens nothing to the network.

`python -m deploy.compose_check` exits with 1, and says what is wrong, if not. It starts nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

COMPOSE = Path(__file__).resolve().parents[1] / "compose.yaml"


def faults(text: str) -> Iterator[str]:
    """What is wrong with a compose file, one line for each."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        yield f"it is not YAML: {error}"
        return
    services: Any = document.get("services") if isinstance(document, dict) else None
    if not isinstance(services, dict) or set(services) != {"postgres", "rabbitmq"}:
        yield "its services must be postgres and rabbitmq"
        return
    for name, service in services.items():
        image, _, version = str(service.get("image")).partition(":")
        if (image, version.isdecimal()) != (name, True):
            yield f"{name}: the image must be {name} in one major version"
        ports = service.get("ports") or ["none"]
        if not all(str(port).startswith("127.0.0.1:") for port in ports):
            yield f"{name}: its ports must be on 127.0.0.1"
        # Without one, `up --wait` waits until the container has started, not until it serves.
        if not (service.get("healthcheck") or {}).get("test"):
            yield f"{name}: it has no healthcheck"
        # What docker would read as a number or a truth value, and then refuse.
        if not all(isinstance(value, str) for value in service.get("environment", {}).values()):
            yield f"{name}: the values of its environment must be text"


def main() -> int:
    found = list(faults(COMPOSE.read_text()))
    for fault in found:
        print(f"{COMPOSE.name}: {fault}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
