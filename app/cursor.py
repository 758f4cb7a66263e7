"""Where a page of Posts ends: the key of its last row, as a word that means nothing to callers."""

from __future__ import annotations

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_KEY: Final = struct.Struct(">qq")
WORD_LENGTH: Final = 22
"""Characters: the base64 of the key, unpadded."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the order of Posts. The Post it names may be gone: the place stays."""

    timestamp: datetime
    post_id: int

    def __str__(self) -> str:
        key = _KEY.pack((self.timestamp - _EPOCH) // _MICROSECOND, self.post_id)
        return urlsafe_b64encode(key).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> Cursor:
        """Return the cursor of which `text` is the word. Raises `ValueError` for any other text."""
        try:
            microseconds, post_id = _KEY.unpack(urlsafe_b64decode(f"{text}=="))
            cursor = cls(_EPOCH + microseconds * _MICROSECOND, post_id)
        except (struct.error, OverflowError):
            raise ValueError("it is no cursor") from None
        # The decoder skips what is not base64; one place has one word.
        if str(cursor) != text:
            raise ValueError("it is no cursor")
        return cursor
