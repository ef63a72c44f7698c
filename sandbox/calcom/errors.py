"""How Cal.com refuses: one envelope, whose code is the name of the exception (calcom-api.md, section 4)."""

from datetime import datetime
from typing import Any, Final

from sandbox.calcom.fields import Problem
from sandbox.calcom.times import iso

_NAMES: Final = {
    400: ("BadRequestException", "Bad Request"),
    401: ("UnauthorizedException", "Unauthorized"),
    403: ("ForbiddenException", "Forbidden"),
    404: ("NotFoundException", "Not Found"),
    409: ("ConflictException", "Conflict"),
    422: ("UnprocessableEntityException", "Unprocessable Entity"),
    429: ("ThrottlerException", "Too Many Requests"),
}
#: A 500 has no envelope (#24139).
BARE_500: Final = {"statusCode": 500, "message": "Internal server error"}
TOO_MANY: Final = "CustomThrottlerGuard - Too many requests. Please try again later."
TAKEN: Final = "User either already has booking at this time or is not available"


class Refusal(Exception):
    """An error answer: status, code, message, and what stands under `details`."""

    def __init__(self, status: int, message: str, *, code: str | None = None, details: Any = None) -> None:
        """Without `code` and `details` it looks as an HTTP exception of that status does."""
        super().__init__(status, message)
        name, phrase = _NAMES.get(status, ("HttpException", "Error"))
        self.status = status
        self.message = message
        self.code = code or name
        self.details = details or {"message": message, "error": phrase, "statusCode": status}

    def body(self, path: str, at: datetime) -> dict[str, Any]:
        """The envelope of an answer to a request for `path`."""
        return {
            "status": "error",
            "timestamp": iso(at),
            "path": path,
            "error": {"code": self.code, "message": self.message, "details": self.details},
        }


def bad_request(message: str) -> Refusal:
    """400 as thrown by a handler."""
    return Refusal(400, message)


def invalid(problems: list[Problem]) -> Refusal:
    """400 of the field validation: the list stands under `details.errors`."""
    errors = [{"property": one.field, "constraints": {one.rule: one.text}} for one in problems]
    return Refusal(400, "Bad Request Exception", details={"errors": errors})


def deeper_invalid(path: str, text: str) -> Refusal:
    """400 of the validation behind the field validation, whose code is spelled another way."""
    return Refusal(400, f"{path} - {text}", code="BAD_REQUEST", details={"issues": [{"path": path, "message": text}]})


def unauthorized(message: str) -> Refusal:
    """401: no credentials, or credentials that are not known or not valid any more."""
    return Refusal(401, message)


def forbidden(message: str) -> Refusal:
    """403: known, and not allowed."""
    return Refusal(403, message)


def not_found(message: str) -> Refusal:
    """404: no such object, or no such route under the version that was sent."""
    return Refusal(404, message)


def conflict(message: str) -> Refusal:
    """409 as thrown by a handler."""
    return Refusal(409, message)


def exists_already(fields: str) -> Refusal:
    """409 of a unique key in the database. The body is not known; this is the shape of the section's table."""
    message = f"A record with this {fields} already exists."
    return Refusal(409, message, code="CONFLICT", details={"fields": fields})


def unprocessable(message: str) -> Refusal:
    """422: a reservation that cannot be made."""
    return Refusal(422, message)


def procedure_failed() -> Refusal:
    """400 of an internal procedure (confirm, decline): its reason is replaced by a sentence that fits any."""
    return Refusal(400, "Bad request. Please check the request data.", code="TRPCError", details={"statusCode": 400})
