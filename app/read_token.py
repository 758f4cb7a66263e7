"""Which texts can be a read token. It needs nothing of Django: settings are checked by it too."""

from __future__ import annotations

import re
from typing import Final

# The characters are those of b64token, RFC 6750 section 2.1. The length keeps out what could be
# guessed; 16 of these characters, if they are random, are 96 bits.
_USABLE: Final = re.compile(r"(?=.{16})[A-Za-z0-9._~+/-]+=*")


def is_usable(token: str) -> bool:
    """Whether a token can be sent at all, and is not too short to be a secret."""
    return _USABLE.fullmatch(token) is not None
