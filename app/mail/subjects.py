"""Encodes subjects so that every mail program shows them as they were written."""

from __future__ import annotations

from email.header import Header
from email.headerregistry import BaseHeader, HeaderRegistry, UniqueUnstructuredHeader
from email.policy import SMTP, Policy
from typing import Final


class _Subject(UniqueUnstructuredHeader, BaseHeader):  # type: ignore[misc]  # typeshed types max_count twice
    """The standard library's own way of folding loses a space between two encoded words, or leaves a word empty
    (cpython#92081, cpython#144156); the older class does neither."""

    def fold(self, *, policy: Policy) -> str:
        """The header's lines, as `policy` wants them."""
        text = str(self)
        if text.isascii() or getattr(policy, "utf8", False):
            return super().fold(policy=policy)
        width = policy.max_line_length or 78
        lines = Header(text, "utf-8", maxlinelen=width, header_name=self.name).encode(linesep=policy.linesep)
        return f"{self.name}: {lines}{policy.linesep}"


_headers: Final = HeaderRegistry()
_headers.map_to_type("subject", _Subject)

#: The policy of every message.
MESSAGE: Final = SMTP.clone(header_factory=_headers)
