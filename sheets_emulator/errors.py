"""Errors in the shape of Google's APIs: error.code, error.message, error.status, sometimes error.details."""

from collections.abc import Mapping, Sequence
from typing import Any

STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
}


class ApiError(Exception):
    """An answer that is an error."""

    def __init__(self, code: int, message: str, details: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = list(details)

    def body(self) -> dict[str, Any]:
        error: dict[str, Any] = {"code": self.code, "message": self.message, "status": STATUS[self.code]}
        if self.details:
            error["details"] = self.details
        return {"error": error}


class DriveError(ApiError):
    """Drive's errors carry a list of reasons where those of Sheets carry a status."""

    def __init__(self, code: int, message: str, reason: str, domain: str = "global") -> None:
        super().__init__(code, message)
        self.errors = [{"message": message, "domain": domain, "reason": reason}]

    def body(self) -> dict[str, Any]:
        return {"error": {"code": self.code, "message": self.message, "errors": self.errors}}


def invalid(message: str) -> ApiError:
    return ApiError(400, message)


def violations(found: Sequence[tuple[str, str]]) -> ApiError:
    """A body that does not fit the schema: each (field path, description)."""
    details = [
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": field, "description": text} for field, text in found],
        }
    ]
    return ApiError(400, "\n".join(text for _, text in found), details)


def not_found() -> ApiError:
    return ApiError(404, "Requested entity was not found.")


def forbidden() -> ApiError:
    return ApiError(403, "The caller does not have permission")


def unauthenticated() -> ApiError:
    return ApiError(
        401,
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
    )


def exhausted(metric: str, limit: str, value: int, project: str) -> ApiError:
    """`limit` as Google names it, for example WriteRequestsPerMinutePerUser."""
    details = [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "RATE_LIMIT_EXCEEDED",
            "domain": "googleapis.com",
            "metadata": {
                "service": "sheets.googleapis.com",
                "consumer": f"projects/{project}",
                "quota_metric": f"sheets.googleapis.com/{metric}",
                "quota_limit": limit,
                "quota_limit_value": str(value),
                "quota_location": "global",
            },
        }
    ]
    who = " per user" if limit.endswith("PerUser") else ""
    kind = "Write" if limit.startswith("Write") else "Read"
    return ApiError(
        429,
        f"Quota exceeded for quota metric '{kind} requests' and limit '{kind} requests per minute{who}' of service "
        f"'sheets.googleapis.com' for consumer 'project_number:{project}'.",
        details,
    )
