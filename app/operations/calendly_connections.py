"""Calendly accounts that owners connect: asking for their consent, keeping what comes of it, and saying when it ends.

The way back from Calendly carries who asked, sealed in its `state`, and no sign-in: Calendly, its logs and anyone who
reads them see that address, so it opens nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import structlog

from app.booking.tools import Tools
from app.domain.scheduler_names import owner_of, owners_name, provider_of
from app.domain.scheduler_tokens import Broken, SchedulerTokens
from app.errors import LinkRefused, MailError, NotFound, SchedulerError
from app.mail import Mailer
from app.operations.staff_access import SignIn, Staff
from app.protection.sealing import NotSealedHere, Sealer
from app.scheduling.calendly.client import CalendlyClient
from app.scheduling.calendly.oauth import CalendlyOAuth, Grant
from app.scheduling.calendly.tokens import PersonalAccess
from app.scheduling.calendly.webhook import EVENTS
from app.text.catalogues import translator
from app.widgets import Widget

log = structlog.get_logger()

PROVIDER: Final = "calendly"
#: How long a visit to Calendly's page may take; its code is good for as long (Calendly API v2, "Authentication").
STATE_LIFE: Final = timedelta(minutes=10)
#: How long to leave the mail server alone.
_MAIL_AGAIN: Final = timedelta(minutes=10)

#: What came of a visit to Calendly's page. `unheard`: connected, but Calendly could not be asked to tell us of changes.
Told = Literal[
    "connected",
    "unheard",
    "denied",
    "expired",
    "used",
    "other_name",
    "other_account",
    "no_scope",
    "unreachable",
]


@dataclass(frozen=True, slots=True)
class Connection:
    """One owner's name. `account` is empty, and `since` None, where nobody has connected; `unreadable` says that the
    tokens were sealed with a key that is gone. `widgets` are the titles of those that book there."""

    owner: str
    widgets: Sequence[str]
    account: str
    since: datetime | None
    broken: Broken | None
    unreadable: bool


@dataclass(frozen=True, slots=True)
class Visit:
    """How a visit to Calendly's page ended: for which owner, and with whose account, where that is known."""

    told: Told
    owner: str
    account: str = ""


@dataclass(frozen=True, slots=True)
class _Asked:
    owner: str
    sign_in: str
    verifier: str
    at: datetime


class CalendlyConnections:
    """The connections of all owners whose names this server knows. `oauth` is None where no OAuth app is set."""

    # Nine parameters: what connecting touches, and Calendly's client of each kind.
    def __init__(
        self,
        tools: Tools,
        mailer: Mailer,
        staff: Staff,
        *,
        names: Sequence[str],
        oauth: CalendlyOAuth | None,
        client: Callable[[PersonalAccess], CalendlyClient],
        tokens: Sealer,
        states: Sealer,
        hears: bool,
    ) -> None:
        self._names = names
        self._widgets = tools.widgets
        self._store = tools.store
        self._staff = staff
        self._oauth = oauth
        self._client = client
        self._tokens = tokens
        self._states = states
        self._mailer = mailer
        self._public_url = tools.public_url
        self._hears = hears
        self._now = tools.now
        self._random = tools.random

    @property
    def enabled(self) -> bool:
        """Whether owners can connect."""
        return self._oauth is not None

    @property
    def _back(self) -> str:
        return f"{self._public_url}/staff/calendly/callback"

    async def all(self) -> list[Connection]:
        """Every owner's name, in the order of widgets.toml; then accounts that no widget uses any more."""
        there = {one.name: one for one in await self._store.all_scheduler_tokens()}
        names = dict.fromkeys([*self._names, *(name for name in there if provider_of(name) == PROVIDER)])
        return [self._connection(name, there.get(name)) for name in names]

    def _connection(self, name: str, tokens: SchedulerTokens | None) -> Connection:
        titles = [widget.heading() for widget in self._widgets.values() if widget.scheduler == name]
        if tokens is None:
            return Connection(owner_of(name), titles, "", None, None, unreadable=False)
        unreadable = False
        try:
            self._tokens.open(tokens.refresh)
        except NotSealedHere:
            unreadable = True
        account, since = tokens.account_name, tokens.connected_at
        return Connection(owner_of(name), titles, account, since, tokens.broken, unreadable)

    # -- connecting ------------------------------------------------------------------------------------------

    def consent_url(self, owner: str, sign_in: SignIn) -> str:
        """Calendly's page, where the owner of an account agrees. Raises NotFound for a name that no widget has."""
        if self._oauth is None or owners_name(PROVIDER, owner) not in self._names:
            raise NotFound("no such owner")
        verifier = f"{self._random.getrandbits(256):064x}"
        asked = {"owner": owner, "by": sign_in.id, "verifier": verifier, "at": self._now().isoformat()}
        return self._oauth.consent_url(back=self._back, state=self._states.seal(json.dumps(asked)), verifier=verifier)

    async def come_back(self, *, state: str, code: str, refusal: str) -> Visit:
        """The owner is back from Calendly's page, with a code or a refusal. Raises LinkRefused for a `state` that was
        not made here, LinkExpired where the person who asked has signed out."""
        if self._oauth is None:
            raise NotFound("no OAuth app is set")
        asked = self._asked(state)
        if self._now() - asked.at >= STATE_LIFE:
            return Visit("expired", asked.owner)
        await self._staff.must_be_signed_in(asked.sign_in)
        if refusal or not code:
            return Visit("denied" if refusal == "access_denied" else "expired", asked.owner)
        try:
            grant = await self._oauth.exchange(code, back=self._back, verifier=asked.verifier)
            if grant is None:
                return Visit("expired", asked.owner)
            return await self._connect(asked, grant)
        except SchedulerError as error:
            log.warning("calendly not connected", scheduler=owners_name(PROVIDER, asked.owner), reason=str(error))
            told: Told = "no_scope" if error.http_status == 403 else "unreachable"
            return Visit(told, asked.owner)

    def _asked(self, state: str) -> _Asked:
        try:
            told = json.loads(self._states.open(state))
        except NotSealedHere as error:
            raise LinkRefused("no state of ours") from error
        return _Asked(told["owner"], told["by"], told["verifier"], datetime.fromisoformat(told["at"]))

    async def _connect(self, asked: _Asked, grant: Grant) -> Visit:
        client = self._client(PersonalAccess(grant.access))
        try:
            account = await client.account()
            told = await self._store.connect_scheduler(
                owners_name(PROVIDER, asked.owner),
                account=account.uri,
                account_name=account.name or account.id,
                access=self._tokens.seal(grant.access),
                refresh=self._tokens.seal(grant.refresh),
                expires_at=grant.expires_at,
                asked_at=asked.at,
            )
            if told == "connected" and not await self._subscribe(client):
                return Visit("unheard", asked.owner, account.name)
            return Visit(told, asked.owner, account.name)
        finally:
            await client.aclose()

    async def _subscribe(self, client: CalendlyClient) -> bool:
        """Let Calendly tell us of changes. A subscription that is there may be disabled, or signed with another key,
        and neither can be changed (Calendly API v2, webhooks): a new one takes its place."""
        if not self._hears:
            return True
        try:
            await self._unsubscribe(client)
            await client.subscribe(self._hook, EVENTS)
        except SchedulerError as error:
            log.warning("no webhook subscription", provider=PROVIDER, reason=str(error))
            return False
        return True

    async def _unsubscribe(self, client: CalendlyClient) -> None:
        for one in await client.subscriptions():
            if one.url == self._hook:
                await client.unsubscribe(one.id)

    @property
    def _hook(self) -> str:
        return f"{self._public_url}/api/webhooks/{PROVIDER}"

    async def disconnect(self, owner: str) -> None:
        """Forget an account, and let Calendly tell us nothing more of it, as far as it answers; safe to repeat."""
        name = owners_name(PROVIDER, owner)
        tokens = await self._store.scheduler_tokens(name)
        if tokens is None:
            return
        with suppress(SchedulerError, NotSealedHere):
            client = self._client(PersonalAccess(self._tokens.open(tokens.access)))
            try:
                await self._unsubscribe(client)
            finally:
                await client.aclose()
        await self._store.disconnect_scheduler(name)

    # -- telling ---------------------------------------------------------------------------------------------

    async def to_tell(self) -> Sequence[SchedulerTokens]:
        """Connections that ended, of which their owners have to hear now."""
        return await self._store.broken_to_tell()

    async def tell(self, tokens: SchedulerTokens) -> None:
        """Mail each owner whose widget books there, once. Raises MailError."""
        owners = {
            widget.owner_email: widget
            for widget in self._widgets.values()
            if widget.scheduler == tokens.name and widget.owner_email
        }
        texts = {address: _words(widget, tokens, self._public_url) for address, widget in owners.items()}
        await self._mailer.send_texts(f"{tokens.name} {tokens.connected_at}", texts)
        log.error("owners told of a broken connection", scheduler=tokens.name, many=len(owners))
        await self._store.tell_of_broken_at(tokens, None)

    async def tell_later(self, tokens: SchedulerTokens, error: Exception) -> None:
        """The mail did not go out. What is refused permanently is given up; the staff page and the doctor say it
        still."""
        given_up = isinstance(error, MailError) and error.permanent
        await self._store.tell_of_broken_at(tokens, None if given_up else self._now() + _MAIL_AGAIN)


def _words(widget: Widget, tokens: SchedulerTokens, public_url: str) -> tuple[str, str]:
    """Subject and text."""
    _ = translator(widget.languages[0]).gettext
    values = {"account": tokens.account_name, "title": widget.heading(), "url": f"{public_url}/staff"}
    lines = (
        _("We can no longer reach the Calendly account of %(account)s, where “%(title)s” takes its bookings."),
        _("Until it is connected again, customers see no times, and nothing can be booked, moved or cancelled."),
        _("To connect it again, sign in here, open “Calendly” and press “Connect again”: %(url)s"),
        _("If you cannot sign in there, please pass this email on to the person who runs your booking server."),
    )
    return _("Please connect Calendly again"), "\n\n".join(line % values for line in lines) + "\n"
