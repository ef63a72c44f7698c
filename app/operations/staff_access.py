"""Staff: signing in with a link in a mail, and what only staff may see.

There is no password, and nothing is kept in browsers. A mailed link opens one sign-in, once; its pages' addresses
carry a token that is renewed while they are used, and a row says whether the sign-in still stands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from app.booking.tools import Tools
from app.domain.booking import Booking
from app.domain.mail_addresses import mailbox
from app.domain.outbox import MailLine
from app.errors import LinkExpired, LinkRefused, MailError
from app.mail import Mailer
from app.protection.rate_limits import SIGN_IN_MAIL, RateLimits
from app.protection.signed_links import SIGN_IN_LIFE, STAFF_LIFE, STAFF_RENEWAL
from app.scheduling.availability import CallBudget
from app.store.sign_ins import OpenSignIn
from app.text.catalogues import translator

log = structlog.get_logger()

#: However much it is used, a sign-in ends after a working day, unless someone asks for more of it; and after a day in
#: any case.
LONGEST: Final = timedelta(hours=12)
MORE: Final = timedelta(hours=4)
LAST: Final = timedelta(hours=24)
#: Rows of sign-ins say nothing to anyone after that.
_KEPT: Final = timedelta(days=2)
#: More than these are not listed at once.
MOST: Final = 100


@dataclass(frozen=True, slots=True)
class SignIn:
    """A sign-in. `token` is part of the next addresses; they stop working at `ends_at` unless there is a click before.
    `more` says that a click extends it."""

    id: str
    email: str
    token: str
    ends_at: datetime
    more: bool


@dataclass(frozen=True, slots=True)
class SchedulerCalls:
    """Calls to one scheduler in this month, and those that its plan has; `fresh` is for how many seconds times are not
    read again at this pace."""

    scheduler: str
    spent: int
    plan: int
    fresh: float


def _member(email: str) -> str:
    """Who someone is in a feed's address, which calendar programs keep and show: not their mail address."""
    return hashlib.sha256(mailbox(email).encode()).hexdigest()[:16]


def _end_of(row: OpenSignIn) -> datetime:
    return row.ends_at or row.since + LONGEST


def _renewals(member: str) -> str:
    """The counter of how often a member asked for another address."""
    return f"feed:{member}"


class Staff:
    """Signing in, and looking. `emails` may sign in; the rest is as everywhere."""

    def __init__(
        self,
        tools: Tools,
        mailer: Mailer,
        *,
        emails: Sequence[str],
        rate_limits: RateLimits,
        budgets: Mapping[str, CallBudget],
    ) -> None:
        #: As they were written, by what tells them apart.
        self._emails = {mailbox(email): email for email in emails}
        self._store = tools.store
        self._links = tools.links
        self._rate_limits = rate_limits
        self._mailer = mailer
        self._budgets = budgets
        self._public_url = tools.public_url
        self._now = tools.now
        self._random = tools.random

    @property
    def enabled(self) -> bool:
        """Whether anyone may sign in."""
        return bool(self._emails)

    async def ask(self, email: str, language: str, leads_to: str = "") -> None:
        """Mail a link, if the address is one of ours; `leads_to` is the page that was meant, below that of the
        bookings, and empty for these. Says nothing about whether it is; call it after the answer, so that the time that
        it takes says nothing either."""
        asked = mailbox(email)
        if asked not in self._emails or await self._rate_limits.wait(SIGN_IN_MAIL, asked):
            return
        await self._rate_limits.check(SIGN_IN_MAIL, asked)
        email = self._emails[asked]
        sign_in_id = f"si_{self._random.getrandbits(128):032x}"
        await self._store.add_sign_in(sign_in_id, email, forget_before=self._now() - _KEPT)
        _ = translator(language).gettext
        url = f"{self._public_url}/staff/in/{self._links.sign_in_token(sign_in_id)}"
        url += f"?next={leads_to}" if leads_to else ""
        minutes = int(SIGN_IN_LIFE.total_seconds() // 60)
        lines = (
            _("This link signs you in to the bookings:"),
            url,
            _("It works once, within %(num)s minutes.") % {"num": minutes},
            _("If you did not ask for it, you can ignore this email."),
        )
        try:
            await self._mailer.send_text(to=email, subject=_("Sign in to Holdfast"), text="\n\n".join(lines) + "\n")
        except MailError as error:  # anyone who waits for it asks again
            log.warning("sign-in link not mailed", permanent=error.permanent, reason=error.reason)

    async def sign_in(self, token: str, *, stays: bool = False) -> str:
        """Use a mailed link; the token of the pages that it opens. `stays` is for a device that nobody else uses: the
        sign-in lasts the working day without a click. Raises LinkRefused for one that is not ours, LinkExpired for one
        that is old or was used."""
        sign_in_id = self._links.read_sign_in_token(token)
        if not await self._store.use_sign_in(sign_in_id, stays=stays, ends_at=self._now() + LONGEST):
            raise LinkExpired("used before")
        log.info("staff signed in", stays=stays)
        return self._links.staff_token(sign_in_id, stays=stays)

    async def signed_in(self, token: str) -> SignIn:
        """Who an address of a page belongs to. Raises LinkRefused, or LinkExpired half an hour after it was made,
        after a working day, after signing out, and for an address that may not sign in any more."""
        sign_in_id, expires = self._links.read_staff_token(token)
        row = await self._open(sign_in_id)
        now, last = self._now(), _end_of(row)
        if not row.stays and expires - now < STAFF_LIFE - STAFF_RENEWAL:
            token, expires = self._links.staff_token(sign_in_id), now + STAFF_LIFE
        ends_at = last if row.stays else min(expires, last)
        later = min(now + MORE, row.since + LAST) > last if row.stays else now + STAFF_LIFE < last
        return SignIn(sign_in_id, row.email, token, ends_at, later)

    async def stay(self, sign_in: SignIn) -> str:
        """Someone wants to stay signed in for longer; the token of their next addresses. Raises LinkExpired."""
        row = await self._open(sign_in.id)
        if row.stays:
            await self._store.extend_sign_in(sign_in.id, ends_at=min(self._now() + MORE, row.since + LAST))
        return self._links.staff_token(sign_in.id, stays=row.stays)

    async def must_be_signed_in(self, sign_in_id: str) -> str:
        """Whose sign-in it is. Raises LinkExpired after a working day, after signing out, and for an address that may
        not sign in any more."""
        return (await self._open(sign_in_id)).email

    async def _open(self, sign_in_id: str) -> OpenSignIn:
        row = await self._store.open_sign_in(sign_in_id)
        if row is None:
            raise LinkExpired("signed out")
        if mailbox(row.email) not in self._emails or self._now() >= _end_of(row):
            raise LinkExpired("over")
        return row

    async def sign_out(self, sign_in: SignIn) -> None:
        """From here on no address of this sign-in opens anything."""
        await self._store.end_sign_in(sign_in.id)

    # -- the feeds -----------------------------------------------------------------------------------------

    async def feed_token(self, email: str) -> str:
        """The secret part of this member's feeds, which holds until they renew it or leave."""
        member = _member(email)
        return self._links.feed_token(member, await self._store.counter(_renewals(member)))

    async def renew_feed(self, email: str) -> None:
        """The member's feeds get another address; the one before stops working."""
        await self._store.add_to_counter(_renewals(_member(email)), 1)

    async def check_feed(self, token: str) -> None:
        """Raises LinkRefused for a feed's secret that is not ours, was renewed, or is of someone who left."""
        member, version = self._links.read_feed_token(token)
        if member not in {_member(email) for email in self._emails.values()}:
            raise LinkRefused("nobody who works here")
        if version != await self._store.counter(_renewals(member)):
            raise LinkRefused("renewed")

    # -- looking -------------------------------------------------------------------------------------------

    async def search(self, text: str) -> list[Booking]:
        """Bookings by a part of the name or address, or by the reference's beginning; the latest first. One more than
        `MOST` where there are more than that."""
        return await self._store.search(text, most=MOST + 1)

    async def people(self, *, starts_from: datetime, starts_to: datetime, widget: str = "") -> list[tuple[str, str]]:
        """(name, id) of everyone who is booked in that span; by name."""
        return await self._store.people(starts_from=starts_from, starts_to=starts_to, widget=widget)

    async def mails_of(self, booking_id: str) -> list[MailLine]:
        """Every mail of a booking."""
        return await self._store.mails_of(booking_id)

    async def unsent_mails(self, *, skip: int = 0, most: int = MOST) -> list[MailLine]:
        """Mails that ought to be on their way, or never went, the latest first."""
        return await self._store.unsent_mails(skip=skip, most=most)

    async def resend_all_mails(self, *, who: str = "") -> int:
        """Send again what was given up of any booking; `who` asks for it, for the history. Returns how many mails that
        is."""
        return await self._store.resend_mails(who=who)

    def calls(self, base: int) -> list[SchedulerCalls]:
        """The calls to each scheduler; `base` seconds is how long times stay fresh while there are enough of them."""
        return [
            SchedulerCalls(name, budget.spent, budget.calls_per_month, budget.ttl(base, 1))
            for name, budget in self._budgets.items()
        ]
