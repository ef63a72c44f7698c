"""Typing errors in mail addresses: gmial.com, hotmail.con. Pure; nobody is asked whether a domain exists."""

from __future__ import annotations

from typing import Final

#: Where most private customers have their mail. What is in this list is never called a slip.
_USUAL: Final = frozenset(
    [
        "gmail.com",
        "googlemail.com",
        "outlook.com",
        "hotmail.com",
        "live.com",
        "msn.com",
        "yahoo.com",
        "ymail.com",
        "icloud.com",
        "me.com",
        "mac.com",
        "aol.com",
        "mail.com",
        "email.com",
        "gmx.com",
        "gmx.net",
        "proton.me",
        "protonmail.com",
        "pm.me",
        "fastmail.com",
        "zoho.com",
        "tutanota.com",
        "hotmail.co.uk",
        "live.co.uk",
        "yahoo.co.uk",
        "outlook.co.uk",
        "btinternet.com",
        "sky.com",
        "virginmedia.com",
        "talktalk.net",
        "gmx.de",
        "web.de",
        "t-online.de",
        "freenet.de",
        "outlook.de",
        "yahoo.de",
        "posteo.de",
        "mailbox.org",
        "gmx.at",
        "gmx.ch",
        "bluewin.ch",
        "hotmail.fr",
        "outlook.fr",
        "live.fr",
        "yahoo.fr",
        "orange.fr",
        "wanadoo.fr",
        "free.fr",
        "sfr.fr",
        "laposte.net",
        "neuf.fr",
        "hotmail.es",
        "outlook.es",
        "yahoo.es",
        "telefonica.net",
        "hotmail.it",
        "libero.it",
        "yahoo.it",
        "virgilio.it",
        "hotmail.se",
        "live.se",
        "outlook.com",
        "telia.com",
        "bredband.net",
        "comhem.se",
        "spray.se",
        "hotmail.no",
        "online.no",
        "hotmail.dk",
        "live.dk",
        "comcast.net",
        "verizon.net",
        "att.net",
        "sbcglobal.net",
        "cox.net",
        "bellsouth.net",
        "rogers.com",
        "shaw.ca",
        "yahoo.ca",
    ]
)
#: Endings that no domain has, and what is meant by them.
_ENDINGS: Final = {"con": "com", "cmo": "com", "ocm": "com", "comm": "com", "vom": "com", "xom": "com", "cpm": "com"}
#: Those who have a domain in nearly every country: nobody can say that outlook.dk is none.
_EVERYWHERE: Final = frozenset({"hotmail", "outlook", "live", "yahoo", "gmx"})
#: What looks like a country and is more often the beginning of "com".
_CUT_SHORT: Final = frozenset({"co", "cm", "om"})
#: In shorter names a different letter is as likely another company.
_SHORTEST: Final = 7


def likely_meant(address: str) -> str:
    """The address that was probably meant; empty where nothing speaks for another one. `address` is a valid one."""
    local, _, domain = address.rpartition("@")
    name = domain.lower()
    if not local or name in _USUAL:
        return ""
    stem, _, ending = name.rpartition(".")
    if stem in _EVERYWHERE and len(ending) == 2 and ending not in _CUT_SHORT:
        return ""
    if stem == "gmail":  # has this one domain
        return f"{local}@gmail.com"
    corrected = f"{stem}.{_ENDINGS[ending]}" if ending in _ENDINGS else name
    if corrected not in _USUAL:
        # One slip changes the length by one letter at most; most domains need not be gone through letter by letter.
        near = [
            usual
            for usual in _USUAL
            if len(usual) >= _SHORTEST and abs(len(usual) - len(corrected)) <= 1 and distance(corrected, usual) == 1
        ]
        corrected = min(near, key=_by_use, default=corrected)
    return f"{local}@{corrected}" if corrected != name else ""


def _by_use(domain: str) -> tuple[bool, str]:
    return domain not in {"gmail.com", "hotmail.com", "outlook.com", "yahoo.com", "icloud.com"}, domain


def distance(one: str, other: str) -> int:
    """How many slips lead from one text to the other: a letter too many, missing, wrong, or two changed round."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, start=1):
        above, before = before, row
        row = [at]
        for place, wanted in enumerate(other, start=1):
            least = min(before[place] + 1, row[-1] + 1, before[place - 1] + (letter != wanted))
            if at > 1 and place > 1 and letter == other[place - 2] and one[at - 2] == wanted:
                least = min(least, above[place - 2] + 1)
            row.append(least)
    return row[-1]
