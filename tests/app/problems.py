"""What the tests ask of a problem document."""

from __future__ import annotations

import json
from typing import Any


def problem_of(response: Any, status: int) -> dict[str, Any]:
    """The problem document of an answer, whose form is checked here."""
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = json.loads(response.content)
    assert document["status"] == status
    assert document["type"] == "about:blank"
    assert document["title"]
    assert document["detail"]
    assert set(document) <= {"type", "title", "status", "detail", "errors"}
    return document
