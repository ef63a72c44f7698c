"""Stripe's error shape, and the two ways a connection can end without an answer."""

from typing import Any


class StripeError(Exception):
    """A refusal in Stripe's words (Stripe docs, Errors).

    `executed` tells whether the endpoint had begun its work: only then does Stripe remember the answer
    under the idempotency key (Stripe docs, Idempotent requests).
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        executed: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.executed = executed

    def body(self) -> dict[str, Any]:
        """`{"error": {...}}`; absent fields are left out, as Stripe does."""
        error = {"type": self.kind, "message": self.message, "code": self.code, "param": self.param}
        if self.code:
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        return {"error": {key: value for key, value in error.items() if value is not None}}


def missing(kind: str, ident: str, *, param: str, status: int = 404) -> StripeError:
    """An id that this account does not know; 404 in a path, 400 in a parameter."""
    return StripeError(f"No such {kind}: '{ident}'", status=status, code="resource_missing", param=param, executed=True)


def not_acted_out(param: str) -> StripeError:
    """Stripe knows the parameter, this sandbox does not act on it: refused rather than ignored."""
    return StripeError(f"Sandbox: `{param}` is valid at Stripe but not acted out here.", param=param)


class Dropped(Exception):
    """The connection ends without an answer."""


class Hung(Exception):
    """The connection stays open without an answer."""
