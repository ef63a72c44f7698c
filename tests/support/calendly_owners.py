"""Owners who agree on Calendly's page, and the processes of a server that use what comes of it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from app.protection.sealing import Sealer
from app.scheduling.calendly.client import CalendlyClient
from app.scheduling.calendly.oauth import CalendlyOAuth
from app.scheduling.calendly.tokens import OwnerAccess
from app.scheduling.connection import ClientOptions
from app.store import Store
from sandbox.calendly import APP_SIGNING_KEY, CLIENT_ID, CLIENT_SECRET, CalendlySandbox
from sandbox.clock import Clock
from tests.support.browser import Browser
from tests.support.calendly_adviser import MONDAY
from tests.support.once import empty_database
from tests.support.sides import CalendlySide
from tests.support.stack import Stack, no_wait, open_stack, text_of
from tests.support.staff import EVA, sign_in

BACK = "https://book.example/staff/calendly/callback"
KEY = "a-secret-key-of-32-characters-or-more"
VERIFIER = "a-verifier-that-is-long-enough-for-the-standard-to-take"


async def agree(sandbox: CalendlySandbox, url: str, *, user: str = "", decision: str = "allow") -> str:
    """Sign in to Calendly as this user, the first one if none is named, and decide; the address that leads back."""
    fields = dict(parse_qsl(urlsplit(url).query))
    who = {"user": user} if user else {}
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="https://auth.calendly.com") as browser:
        answer = await browser.post("/oauth/authorize", data={**fields, **who, "decision": decision})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


@dataclass
class Server:
    """One server at one Calendly, with a database; `process` is one of its processes."""

    clock: Clock
    sandbox: CalendlySandbox
    database: Path
    stores: list[Store] = field(default_factory=list)
    accesses: list[OwnerAccess] = field(default_factory=list)

    def oauth(self, *, secret: str = CLIENT_SECRET, transport: httpx.AsyncBaseTransport | None = None) -> CalendlyOAuth:
        """The OAuth app."""
        return CalendlyOAuth(
            client_id=CLIENT_ID,
            client_secret=secret,
            auth_url="https://auth.calendly.com",
            now=self.clock,
            transport=transport or self.sandbox.transport(),
        )

    def store(self) -> Store:
        """The database, as another process opens it."""
        self.stores.append(Store(f"sqlite:///{self.database}", now=self.clock))
        return self.stores[-1]

    async def connect(self, name: str = "calendly:nora", *, user: str = "", key: str = KEY) -> str:
        """Let a user of Calendly agree, and keep the tokens under this name; what came of it."""
        asked_at, oauth, sealer = self.clock(), self.oauth(), Sealer([key], "scheduler-tokens", now=self.clock)
        back = await agree(self.sandbox, oauth.consent_url(back=BACK, state="s", verifier=VERIFIER), user=user)
        code = dict(parse_qsl(urlsplit(back).query))["code"]
        grant = await oauth.exchange(code, back=BACK, verifier=VERIFIER)
        await oauth.aclose()
        assert grant
        user = user or self.sandbox.state.owner_id
        return await self.store().connect_scheduler(
            name,
            account=self.sandbox.state.uri("users", user),
            account_name=self.sandbox.state.users[user].name,
            access=sealer.seal(grant.access),
            refresh=sealer.seal(grant.refresh),
            expires_at=grant.expires_at,
            asked_at=asked_at,
        )

    # Six: the name, and what tests put in the place of keys, waiting and the wire.
    def process(
        self,
        name: str = "calendly:nora",
        *,
        keys: tuple[str, ...] = (KEY,),
        secret: str = CLIENT_SECRET,
        sleep: Callable[[float], Awaitable[None]] = no_wait,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> CalendlyClient:
        """A process that calls Calendly for an owner."""
        access = OwnerAccess(
            name,
            store=self.store(),
            sealer=Sealer(keys, "scheduler-tokens", now=self.clock),
            oauth=self.oauth(secret=secret, transport=transport),
            now=self.clock,
            sleep=sleep,
        )
        self.accesses.append(access)
        options = ClientOptions(
            base_url="https://api.calendly.com",
            now=self.clock,
            random=Random(1),
            sleep=sleep,
            transport=self.sandbox.transport(),
        )
        return CalendlyClient(options, access=access)

    @property
    def refreshes(self) -> int:
        """How many refreshes were asked for. The connection of the account was one request, not counted here."""
        return sum(call.path == "/oauth/token" for call in self.sandbox.calls) - 1

    def said(self) -> str:
        """Everything that the database's files hold, readable or not."""
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return self.database.read_bytes().decode("latin-1")


@asynccontextmanager
async def open_server(folder: Path) -> AsyncIterator[Server]:
    """A server to which nobody has connected yet."""
    clock = Clock(MONDAY)
    sandbox = CalendlySandbox(now=clock)
    sandbox.seed_adviser()
    database = folder / "holdfast.sqlite3"
    database.write_bytes(await empty_database())
    server = Server(clock, sandbox, database)
    try:
        yield server
    finally:
        for access in server.accesses:
            await access.aclose()
        for store in server.stores:
            await store.close()


#: A server for owners alone, without a personal token.
OWNERS: dict[str, Any] = {
    "staff_emails": EVA,
    "calendly_token": None,
    "calendly_client_id": CLIENT_ID,
    "calendly_client_secret": CLIENT_SECRET,
    "calendly_webhook_key": APP_SIGNING_KEY,
}
WIDGETS = """
[studio]
title = "Nora's advice"
scheduler = "calendly:nora"
services = [{{ id = "{nora}", price = "120" }}]
owner_email = "nora@studio.example"

[salon]
title = "Omar's salon"
scheduler = "calendly:omar"
services = [{{ id = "{omar}", price = "80" }}]
owner_email = "omar@salon.example"
languages = ["sv", "en"]
"""


@dataclass
class Owners:
    """The whole product, where Nora and Omar have a widget each, and Calendly, where each has an account."""

    stack: Stack
    calendly: CalendlySandbox
    nora: str
    omar: str
    services: dict[str, str]

    async def connect(self, eva: Browser, owner: str, user: str, *, decision: str = "allow") -> str:
        """Press Connect on the page at hand, agree as this user in the new tab, and come back; what is said there."""
        return await Browser(self.stack).open(await self.agree(eva, owner, user, decision=decision))

    async def agree(self, eva: Browser, owner: str, user: str, *, decision: str = "allow") -> str:
        """The address that leads back from Calendly's page."""
        found = re.search(rf'href="([^"]+/calendly/{owner}/connect)"', eva.page.text)
        assert found, text_of(eva.page.text)
        answer = await self.stack.client.get(found[1])
        assert answer.status_code == 303
        return await agree(self.calendly, answer.headers["location"], user=user, decision=decision)


async def open_page(stack: Stack, eva: Browser) -> str:
    """Sign in, and open the page of the connections; what it says."""
    return await eva.open(f"{await sign_in(stack, eva)}/calendly")


@asynccontextmanager
async def open_owners(folder: Path, **settings: Any) -> AsyncIterator[Owners]:
    """Nobody has connected yet."""
    plain = 'scheduler = "calendly:nora"'
    async with open_stack(folder, scheduler="calendly", widget=plain, settings=OWNERS | settings) as stack:
        assert isinstance(stack.side, CalendlySide)
        calendly = stack.side.sandbox
        calendly.state.subscriptions.clear()  # made with the personal token, which this server does not have
        omar = calendly.add_user("Omar Diaz", "omar@diaz.example")["uri"].rpartition("/")[2]
        place = ({"kind": "physical", "location": "Main Street 1"},)
        cut = calendly.add_event_type("Haircut", 30, hosts=(omar,), locations=place)["uri"].rpartition("/")[2]
        services = {"nora": stack.portrait_id, "omar": cut}
        (folder / "widgets.toml").write_text(WIDGETS.format(**services))
        await stack.restart()
        yield Owners(stack, calendly, calendly.state.owner_id, omar, services)
