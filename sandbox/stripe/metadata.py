"""Stripe's metadata: the limits, and how an update merges (Stripe docs, Metadata)."""

from sandbox.stripe.account import Object
from sandbox.stripe.errors import StripeError

MAX_KEYS, MAX_KEY, MAX_VALUE = 50, 40, 500


def merged(old: Object, given: Object | str | None, param: str = "metadata") -> Object:
    """`old` with `given` laid over it; an empty value unsets its key, an empty string unsets all."""
    if given == "":
        return {}
    if not isinstance(given, dict):
        return dict(old)
    for key, value in given.items():
        if len(key) > MAX_KEY:
            raise StripeError(
                f"Metadata keys must be at most {MAX_KEY} characters long, and `{key[:20]}…` is not.", param=param
            )
        if len(value) > MAX_VALUE:
            raise StripeError(
                f"Metadata values must be at most {MAX_VALUE} characters long, and that of `{key}` is not.",
                param=f"{param}[{key}]",
            )
    result = {key: value for key, value in {**old, **given}.items() if value != ""}
    if len(result) > MAX_KEYS:
        raise StripeError(f"Metadata can have at most {MAX_KEYS} keys.", param=param)
    return result
