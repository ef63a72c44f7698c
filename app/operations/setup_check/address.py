"""PUBLIC_URL: whether it leads to this server, as visitors reach it."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx

from app.operations.setup_check.finding import Finding, fail, ok

_SECONDS = httpx.Timeout(15, connect=8)


async def look_at_address(url: str, *, transport: httpx.AsyncBaseTransport | None) -> list[Finding]:
    """Asks /healthz from here, which is what visitors reach only if the names agree."""
    found: list[Finding] = []
    if urlsplit(url).scheme != "https" and not _is_here(url):
        fix = "Set up TLS in front of it; docs/by-hand.md#tls-in-front shows how in three lines."
        found.append(fail("address", f"{url} is not https: others can read links and what customers type", fix))
    async with httpx.AsyncClient(transport=transport, timeout=_SECONDS) as http:
        try:
            answer = await http.get(f"{url}/healthz")
        except httpx.HTTPError as error:
            if "CERTIFICATE" in str(error).upper():
                return [*found, fail("address", f"{url} has a certificate that browsers refuse", "Renew it.")]
            says = f"{url} does not answer ({type(error).__name__})"
            return [*found, fail("address", says, "Start the server; check DNS, the firewall and the proxy.")]
    if answer.status_code != 200 or "x-request-id" not in answer.headers or '"ok"' not in answer.text:
        says = f"{url}/healthz is answered by something other than Holdfast ({answer.status_code})"
        return [*found, fail("address", says, "Check PUBLIC_URL, and where the proxy sends its requests.")]
    return [*found, ok("address", f"{url} leads to this server")]


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
