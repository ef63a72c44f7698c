"""What the Hapio sandbox refuses, and how a refusal looks on the wire (Hapio API v1.7, errors).

Refusal          an answer with a status and a JSON body
└ RuleFailure    422 because a booking rule said no; its shape is a switch, since Hapio's is unknown
"""

from typing import Any


class Refusal(Exception):
    """An error answer: status, JSON body."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


class RuleFailure(Refusal):
    """A correct request that the booking rules refuse: taken, closed, too early, too late."""

    def __init__(self, message: str, field: str = "starts_at") -> None:
        super().__init__(422, {"message": message})
        self.message = message
        self.field = field


def invalid(errors: dict[str, list[str]]) -> Refusal:
    """Refuse a request whose fields are wrong, field by field (422, shape A)."""
    return Refusal(422, {"message": "The given data was invalid.", "errors": errors})


def not_found(noun: str) -> Refusal:
    """Refuse an id that names nothing; a malformed id is the same to Hapio."""
    return Refusal(404, {"message": f"The {noun} was not found."})


def forbidden() -> Refusal:
    """Refuse a token that lacks the ability."""
    return Refusal(403, {"message": "This action is unauthorized."})
