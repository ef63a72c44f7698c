"""Sealing: encrypts text that is stored or sent and that nobody else may read.

Fernet (AES-128-CBC with HMAC-SHA256, from the package cryptography), under keys that HKDF makes from SECRET_KEYS: one
set for each purpose, so that what was sealed for one cannot be opened for another. The newest key seals, all open.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet


class NotSealedHere(ValueError):
    """Sealed by none of the keys, for another purpose, or changed since."""


class Sealer:
    """Encrypts (seals) and decrypts (opens) for one purpose. `keys` newest first; `now` gives aware datetimes."""

    def __init__(self, keys: Sequence[str], purpose: str, *, now: Callable[[], datetime]) -> None:
        self._keys = keys
        self._purpose = purpose
        self._now = now

    def seal(self, text: str) -> str:
        """The text, sealed; safe in an address."""
        return self._fernet.encrypt_at_time(text.encode(), int(self._now().timestamp())).decode()

    def open(self, sealed: str) -> str:
        """The text. Raises NotSealedHere."""
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except (InvalidToken, ValueError) as error:
            raise NotSealedHere("sealed by another key, or changed") from error

    @cached_property
    def _fernet(self) -> MultiFernet:
        # At the first use, because most processes seal nothing, and the package takes 10 MiB.
        from cryptography.fernet import Fernet, MultiFernet

        return MultiFernet(
            [Fernet(base64.urlsafe_b64encode(derived_key(key, f"holdfast.{self._purpose}"))) for key in self._keys]
        )


def derived_key(key: str, purpose: str) -> bytes:
    """32 bytes for one purpose, from one of SECRET_KEYS."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    # SECRET_KEYS are long and random, so no slow derivation is needed (RFC 5869, section 3.3).
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(key.encode())
