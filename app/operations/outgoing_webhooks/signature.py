"""Secrets of outgoing webhooks, and the header that they sign.

The header is Stripe's (Stripe docs, "Webhooks", verify signatures manually): `t=<seconds>,v1=<hex>`, HMAC-SHA256 of
"<seconds>.<body>" under the whole secret, once for each secret that counts. Stripe's own packages verify it.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final

from app.protection.sealing import derived_key

HEADER: Final = "Holdfast-Signature"


class Secrets:
    """Secrets are made from SECRET_KEYS, the endpoint's id and a version, and stored nowhere. `keys` newest first;
    `versions` by endpoint, newest first."""

    def __init__(self, keys: Sequence[str], versions: Mapping[str, Sequence[int]]) -> None:
        self._keys = keys
        self._versions = versions

    def of(self, endpoint_id: str) -> list[tuple[int, str]]:
        """(version, secret) as the newest key makes them: what a program is to be given."""
        return [(version, _secret(self._keys[0], endpoint_id, version)) for version in self._of(endpoint_id)]

    def sign(self, endpoint_id: str, body: bytes, at: datetime) -> str:
        """The header's value. Older keys sign, too, so that a new SECRET_KEYS asks nothing of programs at once."""
        seconds = int(at.timestamp())
        signed = f"{seconds}.".encode() + body
        secrets = [_secret(key, endpoint_id, version) for key in self._keys for version in self._of(endpoint_id)]
        signatures = [hmac.new(secret.encode(), signed, sha256).hexdigest() for secret in secrets]
        return ",".join([f"t={seconds}", *(f"v1={signature}" for signature in signatures)])

    def _of(self, endpoint_id: str) -> Sequence[int]:
        return self._versions.get(endpoint_id, (1,))


def _secret(key: str, endpoint_id: str, version: int) -> str:
    return f"whsec_{derived_key(key, f'holdfast.webhook.{endpoint_id}.{version}').hex()}"
