"""The service's application where the garbage collector never comes by, and what is held there."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from settings.body import BrokenBody
from settings.wsgi import application as service

gc.disable()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer as the service does, and at `/held` with the bytes and errors that are kept."""
    if environ["PATH_INFO"] != "/held":
        return service(environ, start_response)
    everything = gc.get_objects()
    buffers = [each for each in everything if isinstance(each, BytesIO) and not each.closed]
    held = {
        "bytes": sum(each.getbuffer().nbytes for each in buffers),
        "errors": sum(isinstance(each, BrokenBody) for each in everything),
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(held).encode()]
