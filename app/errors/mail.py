"""A mail that could not be sent."""

from __future__ import annotations

from app.errors.base import HoldfastError
from app.msgid import N_


class MailError(HoldfastError):
    """The mail server did not accept a message; `permanent` if it will never accept it. `may_have_arrived` if the
    server was given the message and did not say what became of it.

    `reason` is for logs and for the operator: the server, the step that failed and its SMTP code. It names nobody."""

    status = 503
    code = "INTERNAL_ERROR"
    sentence = N_("The email could not be sent yet.")

    def __init__(self, reason: str, *, permanent: bool, may_have_arrived: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
        self.may_have_arrived = may_have_arrived
