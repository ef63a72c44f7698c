"""Which API versions the sandbox answers: every released one of the three release lines that it can stand for.

Within a line (`clover`, `dahlia`, `endive`) Stripe only adds (Stripe docs, Versioning). All are answered in the shapes
of the pinned version: the packages that send the others (stripe-python 14 and 15, stripe for Node 22) work with these,
and what differs, such as `ui_mode=hosted` in clover, is refused as the pinned version refuses it. Another line may
differ in ways that nobody has read, so it is refused altogether.
"""

import re
from datetime import date

from sandbox.stripe.errors import StripeError
from sandbox.stripe.schema import API_VERSION

FIRST = "2025-09-30.clover"
_RELEASED = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.(clover|dahlia|endive)")


def check(version: str) -> None:
    """Raises StripeError (400) for a version that the sandbox cannot stand for."""
    if not _answered(version):
        raise StripeError(
            f"Invalid Stripe API version: {version}. Sandbox: it answers the releases clover, dahlia and endive, from "
            f"{FIRST} on, in the shapes of {API_VERSION}. After an upgrade of the stripe package to another release, "
            f"run scripts/derive_stripe_schemas.py and add the release to sandbox/stripe/versions.py."
        )


def _answered(version: str) -> bool:
    released = _RELEASED.fullmatch(version)
    if released is None:
        return False
    try:
        date.fromisoformat(released[1])
    except ValueError:
        return False
    return version >= FIRST
