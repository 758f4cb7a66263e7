"""What a message keeps of how its last try ended."""

from __future__ import annotations

LONGEST = 4_000
NO_WORD = "its last try ended without a word: its process died, or lost its database"
"""The error of a message whose last try left none."""
LOST_WORD = "lost its database"
"""How the error of a try begins that was lost with its connection."""


def storable(error: str) -> str:
    """The error as PostgreSQL can store it: no NUL, no surrogate, never empty, its last 4,000."""
    text = error.replace("\x00", "\\x00").encode(errors="backslashreplace").decode()
    return text[-LONGEST:] or "failed without a message"


def lost(error: str) -> str:
    """The error of a try that was lost with its connection; however long, it begins by that."""
    return f"{LOST_WORD}: {storable(error)}"
