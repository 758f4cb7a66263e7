"""What the tests ask of a problem document."""

from __future__ import annotations

import json
from typing import Any

from app.problem_types import ProblemType

KNOWN = {(kind.uri, kind.title, kind.status) for kind in ProblemType}


def problem_of(response: Any, status: int) -> dict[str, Any]:
    """The problem document of an answer, which is checked against the catalogue here."""
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = json.loads(response.content)
    assert document["status"] == status
    assert (document["type"], document["title"], status) in KNOWN
    assert document["detail"]
    assert set(document) <= {"type", "title", "status", "detail", "errors"}
    return document
