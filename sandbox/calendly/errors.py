"""What the Calendly sandbox refuses, and how a refusal looks on the wire (Calendly API v2, errors).

Titles and messages are those of the OpenAPI document of 2024. The messages inside `details` are ours: theirs are
unknown, and nobody should read them.
"""

from typing import Any, Final

Detail = dict[str, str]

NOT_YOURS: Final = "You do not have permission to access this resource."
NO_PERMISSION: Final = "You do not have permission"
OTHER_ORGANIZATION: Final = "This user is not in your organization"
PLAN: Final = "Please upgrade to a paid Calendly account."


class Refusal(Exception):
    """An error answer: status, JSON body, and headers that differ from those of any answer."""

    def __init__(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body
        self.headers = headers or {}


def error(status: int, title: str, message: str, **more: Any) -> Refusal:
    """Refuse with the one shape that all errors have."""
    return Refusal(status, {"title": title, "message": message, **more})


def detail(parameter: str, message: str, code: str | None = None) -> Detail:
    """One entry of `details`; `code` was seen only for a time that is taken."""
    return {"parameter": parameter, "message": message} | ({"code": code} if code else {})


def invalid(*details: Detail) -> Refusal:
    """Refuse wrong parameters (400)."""
    return error(400, "Invalid Argument", "The supplied parameters are invalid.", details=list(details))


def unauthenticated(message: str) -> Refusal:
    """Refuse a token: invalid, expired or revoked, in Calendly's three messages (401)."""
    return error(401, "Unauthenticated", message)


def denied(message: str, **more: Any) -> Refusal:
    """Refuse what the caller may not do (403)."""
    return error(403, "Permission Denied", message, **more)


def scope_missing(scope: str) -> Refusal:
    """Refuse a token without the scope; the body names it, in the field that was seen at third parties."""
    return denied("Insufficient scope", required_scopes=[scope])


def not_found() -> Refusal:
    """Refuse a URI that names nothing, known path or not (404)."""
    return error(404, "Resource Not Found", "The server could not find the requested resource.")


def server_error(status: int = 500) -> Refusal:
    """Fail as a server does."""
    message = "The server encountered an unexpected condition that prevented it from fulfilling the request."
    return error(status, "Internal Server Error", message)


def too_many(headers: dict[str, str]) -> Refusal:
    """Refuse a call beyond a limit (429). The message is ours: Calendly's is unknown."""
    return Refusal(429, {"title": "Too Many Requests", "message": "Too many requests."}, headers)
