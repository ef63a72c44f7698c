"""Where a booking came from: the campaign in the host page's address, and the page itself. Pure.

Nothing of it decides anything; it is kept for the owner, in their words, and handed on to the scheduler and Stripe.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.domain import urls
from app.domain.booking import Visitor

_UTM = re.compile(r"utm_[a-z_]{1,20}")
#: What ad networks append to the address of a click, and what the network is called.
CLICKS = {
    "gclid": "Google Ads",
    "gbraid": "Google Ads",
    "wbraid": "Google Ads",
    "dclid": "Google Display",
    "msclkid": "Microsoft Ads",
    "fbclid": "Facebook",
    "ttclid": "TikTok",
    "twclid": "X",
    "li_fat_id": "LinkedIn",
    "epik": "Pinterest",
    "rdt_cid": "Reddit",
    "sccid": "Snapchat",
}
#: In the order that people name them in.
_IN_ORDER = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
#: Stripe takes 50 keys of metadata with 500 characters each (Stripe docs, "Metadata"); three keys are ours.
LONGEST, MOST = 500, 12


def campaign(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The campaign's parameters among an address's or a form's, whose values are clean already: the first so many,
    each cut to a length. Newsletters put readers' addresses there, which do not belong at Stripe: they are left out.
    """
    found: dict[str, str] = {}
    for name, value in pairs:
        known = name in CLICKS or _UTM.fullmatch(name)
        if known and value and "@" not in value and len(found) < MOST:
            found.setdefault(name, value[:LONGEST])
    return found


def metadata(visitor: Visitor) -> dict[str, str]:
    """What the scheduler and Stripe keep next to the booking. The page goes without its query, which may name
    people."""
    page = urls.split(visitor.host)
    host = f"{page.scheme}://{page.netloc}{page.path}"[:LONGEST] if page and page.netloc else ""
    return {**visitor.utm, **({"host_page": host} if host else {})}


def came_from(visitor: Visitor) -> str:
    """The campaign in a few words for the owner: "instagram / social / autumn", or the ad network's name."""
    words = [visitor.utm[name] for name in _IN_ORDER if name in visitor.utm]
    clicks = dict.fromkeys(name for key, name in CLICKS.items() if key in visitor.utm)
    return " / ".join([*words, *clicks])


def booked_on(visitor: Visitor) -> str:
    """The host page as people write it, without scheme and query; empty without one."""
    page = urls.split(visitor.host)
    return f"{page.netloc}{page.path}".rstrip("/") if page else ""
