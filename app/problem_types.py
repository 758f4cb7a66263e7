"""The kinds of problem that the service answers with (RFC 9457).

Where the status says all there is to say, the type is `about:blank`; where one status has several
causes that a program may want to tell apart, each has a URI. They are names, not addresses.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

_NAMESPACE: Final = "urn:problem-type:pillarbox:"


class ProblemType(Enum):
    """One kind: its HTTP status, its title, and the last part of its URI if it has one."""

    # The titles are the names of RFC 9110. Python's own table changed some between its versions.
    BAD_REQUEST = 400, "Bad Request"
    BROKEN_BODY = 400, "Body Not Received Whole", "broken-body"
    MALFORMED_BODY = 400, "Body Is Not JSON", "malformed-body"
    UNAUTHORIZED = 401, "Unauthorized"
    FORBIDDEN = 403, "Forbidden"
    NOT_FOUND = 404, "Not Found"
    METHOD_NOT_ALLOWED = 405, "Method Not Allowed"
    REQUEST_TIMEOUT = 408, "Request Timeout"
    ID_REUSED = 409, "webhook-id Accepted Before With Another Body", "id-reused"
    ID_ELSEWHERE = 409, "webhook-id Accepted Before At Another Endpoint", "id-elsewhere"
    CONTENT_TOO_LARGE = 413, "Content Too Large"
    URI_TOO_LONG = 414, "URI Too Long"
    MEDIA_TYPE = 415, "Body Is Not Sent As JSON", "media-type"
    CONTENT_CODING = 415, "Body Is Compressed", "content-coding"
    EXPECTATION_FAILED = 417, "Expectation Failed"
    INVALID_EVENT = 422, "Body Is Not A Valid Event", "invalid-event"
    INVALID_PARAMETERS = 422, "Parameters Are Not Valid", "invalid-parameters"
    HEADERS_TOO_LARGE = 431, "Request Header Fields Too Large"
    SERVER_FAULT = 500, "Internal Server Error"
    NOT_IMPLEMENTED = 501, "Not Implemented"
    DATABASE_AWAY = 503, "Database Cannot Be Reached", "database-away"
    OVERLOADED = 503, "Too Much Work Waits", "overloaded"
    HTTP_VERSION = 505, "HTTP Version Not Supported"

    def __init__(self, status: int, title: str, name: str = "") -> None:
        self.status: int = status
        self.title: str = title
        self.uri: str = f"{_NAMESPACE}{name}" if name else "about:blank"


OF_DELIVERIES: Final = (
    ProblemType.BROKEN_BODY,
    ProblemType.MALFORMED_BODY,
    ProblemType.UNAUTHORIZED,
    ProblemType.METHOD_NOT_ALLOWED,
    ProblemType.ID_REUSED,
    ProblemType.ID_ELSEWHERE,
    ProblemType.CONTENT_TOO_LARGE,
    ProblemType.MEDIA_TYPE,
    ProblemType.CONTENT_CODING,
    ProblemType.INVALID_EVENT,
    ProblemType.DATABASE_AWAY,
    ProblemType.OVERLOADED,
)
"""What `app.intake` answers a request with that it does not take in, but for a fault of ours."""
