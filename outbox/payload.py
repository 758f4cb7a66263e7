"""The payload of a message: a JSON object that PostgreSQL can store."""

from __future__ import annotations

import json
import re
from typing import Any

from outbox.exceptions import InvalidPayload

# A NUL, as JSON escapes it; two backslashes before the u are a backslash of the text itself.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False)


def to_json(task: str, arguments: dict[str, Any]) -> str:
    """A task's arguments as JSON. Raises `InvalidPayload`, naming the task."""
    try:
        text = _ENCODER.encode(arguments)
        text.encode()  # half a character of UTF-16 is no text
    except (TypeError, ValueError) as error:
        raise InvalidPayload(
            f"The arguments of {task} are stored as JSON: {error}. "
            "Give keys, numbers and text; str() a UUID, isoformat() a date."
        ) from None
    # Few texts hold the escape: to look for it alone first spares 20 ms in a megabyte.
    if "\\u0000" in text and _NUL.search(text):
        raise InvalidPayload(f"The arguments of {task} hold a NUL character.")
    return text
