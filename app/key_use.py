"""Which keys have signed the deliveries of the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.database import run
from app.signature import decode_secret, fingerprint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_USED = "SELECT key, count(*), max(received_at) FROM app_delivery GROUP BY key ORDER BY 3 DESC"


@dataclass(frozen=True, slots=True)
class KeyUse:
    """What the ledger knows of a key."""

    fingerprint: str
    """Empty: of deliveries that came before the ledger told the key."""
    accepted: int = 0
    last_used: datetime | None = None


def key_uses(secrets: Sequence[str]) -> tuple[list[KeyUse], list[KeyUse]]:
    """The use of each of the secrets, in their order, and of the keys that none of them is.

    Raises `MalformedSecret`. It reads the whole ledger.
    """
    known = {row[0]: KeyUse(*row) for row in run(_USED)}
    names = [fingerprint(decode_secret(secret)) for secret in secrets]
    ours = [known.pop(name, KeyUse(name)) for name in names]
    return ours, list(known.values())
