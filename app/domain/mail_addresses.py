"""Which mail addresses are one mailbox. Pure.

Only ever for comparing: mails go to the address as it was written.
"""

from __future__ import annotations

import unicodedata

from app.domain.hostnames import written_name


def mailbox(address: str) -> str:
    """The same text for two addresses that lead to one mailbox: letters' case says nothing, nor does the form in which
    a domain in another script is written. Never the same for two domains or for two people: folding case as for a
    search would make "ss" of "ß", which is another domain, and someone else's. Anything may be asked for."""
    name, at, domain = unicodedata.normalize("NFC", address).rpartition("@")
    return f"{name.lower()}{at}{written_name(domain)}"
