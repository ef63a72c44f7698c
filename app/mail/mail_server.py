"""How SMTP_URL is read: which server, on which port, with which login."""

from __future__ import annotations

from typing import Final, TypeVar
from urllib.parse import SplitResult, unquote

import aiosmtplib

from app.domain.hostnames import registered_name

#: Seconds for one step of the conversation with the mail server.
SMTP_SECONDS: Final = 20
_PORTS: Final = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}

_Client = TypeVar("_Client", bound=aiosmtplib.SMTP)


def port_of(server: SplitResult) -> int:
    """The port that the address names, else the usual one."""
    return server.port or _PORTS[server.scheme]


def client_of(server: SplitResult, kind: type[_Client]) -> _Client:
    """A client for the server, not yet connected."""
    return kind(
        hostname=_host_of(server),
        port=port_of(server),
        username=unquote(server.username) if server.username else None,
        password=unquote(server.password) if server.password else None,
        use_tls=server.scheme == "smtps",
        start_tls=server.scheme == "smtp+starttls",
        timeout=SMTP_SECONDS,
    )


def _host_of(server: SplitResult) -> str:
    """By the standard that its mail addresses go by; Python's own way would ask another server for "ß"."""
    try:
        return registered_name(server.hostname or "localhost")
    except ValueError:
        return server.hostname or "localhost"
