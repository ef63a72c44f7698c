"""What connections to other servers are checked against."""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def trusted() -> ssl.SSLContext:
    """One for the whole process: reading the certificates of all authorities takes 30 ms and a megabyte each time."""
    return httpx.create_ssl_context()
