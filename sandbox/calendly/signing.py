"""How webhooks are signed and when they are tried again (Calendly API v2, webhooks, delivery)."""

import hashlib
import hmac
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Final

from sandbox.calendly.control import Switches

SIGNATURE_HEADER: Final = "Calendly-Webhook-Signature"
TIMEOUT_SECONDS: Final = 15.0  # 10 s to connect are within

_KEEPS_TRYING: Final = timedelta(hours=24)
# Documented is exponential back-off for 24 hours. The first pause and the factor are ours; the last attempt ends the
# 24 hours exactly.
_DOUBLING: Final = [timedelta(minutes=2**n) for n in range(10)]
RETRY_GAPS: Final = (*_DOUBLING, _KEEPS_TRYING - list(accumulate(_DOUBLING))[-1])


def signature(key: str, body: bytes, at: datetime) -> str:
    """Return the header's value: HMAC-SHA256 with the key over `t`, a dot, and the raw body."""
    stamp = int(at.timestamp())
    digest = hmac.new(key.encode(), f"{stamp}.".encode() + body, hashlib.sha256)
    return f"t={stamp},v1={digest.hexdigest()}"


class Signer:
    """Signs attempts; a retry has a new `t` or the first attempt's, as the switch says."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self._first: dict[bytes, datetime] = {}

    def headers(self, key: str, body: bytes, at: datetime) -> dict[str, str]:
        """Return the headers of an attempt; a subscription without a key gets no signature."""
        if not key:
            return {}
        first = self._first.setdefault(body, at)
        return {SIGNATURE_HEADER: signature(key, body, first if self._switches.retry_signature == "kept" else at)}

    def forget(self) -> None:
        """Forget all first attempts."""
        self._first.clear()
