"""Sealing: text that is kept or sent where nobody else may read it.

Fernet (AES-128-CBC with HMAC-SHA256, from the package cryptography), under keys that HKDF makes from SECRET_KEYS: one
set for each purpose, so that what was sealed for one cannot be opened for another. The newest key seals, all open.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class NotSealedHere(ValueError):
    """Sealed by none of the keys, for another purpose, or changed since."""


class Sealer:
    """Seals and opens for one purpose. `keys` newest first; `now` gives aware datetimes."""

    def __init__(self, keys: Sequence[str], purpose: str, *, now: Callable[[], datetime]) -> None:
        self._fernet = MultiFernet([Fernet(_derived(key, purpose)) for key in keys])
        self._now = now

    def seal(self, text: str) -> str:
        """The text, sealed; safe in an address."""
        return self._fernet.encrypt_at_time(text.encode(), int(self._now().timestamp())).decode()

    def open(self, sealed: str) -> str:
        """The text. Raises NotSealedHere."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except (InvalidToken, ValueError) as error:
            raise NotSealedHere("sealed by another key, or changed") from error


def _derived(key: str, purpose: str) -> bytes:
    # SECRET_KEYS are long and random, so no slow derivation is needed (RFC 5869, section 3.3).
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"holdfast.{purpose}".encode()).derive(key.encode())
    return base64.urlsafe_b64encode(derived)
