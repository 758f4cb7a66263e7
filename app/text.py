"""Text that can be kept."""

from __future__ import annotations


def fault_of(text: str) -> str | None:
    """What keeps `text` out of PostgreSQL, if anything does."""
    if "\x00" in text:
        return "It holds the character NUL, which cannot be stored."
    try:
        text.encode()
    except UnicodeEncodeError:
        return "It holds half a surrogate pair, which is no character."
    return None
