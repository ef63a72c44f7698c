"""What is wrong with a set-up, found by asking everything that it names, and how it is mended.

Nothing is changed anywhere: what the keys may write is asked with requests that cannot succeed. The texts name
settings and ids, never a secret's value. A look costs some twenty of Hapio's calls.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from email.utils import parseaddr, parsedate_to_datetime
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import aiosmtplib
import httpx
from alembic.config import Config
from alembic.script import ScriptDirectory

from app.health import LATE
from app.payments import API_VERSION, EVENT_TYPES, WEBHOOK_TOLERANCE
from app.settings import Settings, SettingsError, read_settings
from app.widgets import Widget, WidgetsFileError, load_widgets

#: From here on people notice; from `WEBHOOK_TOLERANCE` on Stripe's webhooks are refused.
SKEW = timedelta(seconds=30)
#: A calendar without a free time for so long is likelier to lack a schedule than to be full.
LOOK_AHEAD = timedelta(days=31)
SMTP_SECONDS = 20
_SMTP_PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}
_SECONDS = httpx.Timeout(15, connect=8)
#: Nobody's id, of the right form.
_NOBODY = "00000000-0000-4000-8000-000000000000"
#: Each ability with a request that needs it and changes nothing: what it would change does not exist, or it lacks
#: every required field. Hapio answers 403 before it looks (hapio-api, order of checks; seen in the sandbox only).
_ABILITIES = (
    ("location:view", "GET", "/locations"),
    ("resource:view", "GET", "/resources"),
    ("service:view", "GET", "/services"),
    ("resource_service:view", "GET", f"/services/{_NOBODY}/resources"),
    ("bookable_slot:view", "GET", f"/services/{_NOBODY}/bookable-slots"),
    ("booking:view", "GET", "/bookings"),
    ("booking:create", "POST", "/bookings"),
    ("booking:update", "PATCH", f"/bookings/{_NOBODY}"),
    ("booking:delete", "DELETE", f"/bookings/{_NOBODY}"),
)
#: The same for Stripe's permissions; a Session that ends in 1970 is made by nobody.
_PERMISSIONS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("Checkout Sessions: Write", "POST", "/v1/checkout/sessions", {"mode": "payment", "expires_at": "1"}),
    ("PaymentIntents: Write", "POST", "/v1/payment_intents/pi_nobody/cancel", {}),
    ("Charges and Refunds: Write", "POST", "/v1/refunds", {"payment_intent": "pi_nobody"}),
)


class Level(StrEnum):
    """How bad it is: `WARN` is worth knowing, `FAIL` costs bookings, mails or money."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what it is about, what there is, and what mends it."""

    level: Level
    about: str
    says: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Wires:
    """How the providers and our own address are reached; None is the network."""

    hapio: httpx.AsyncBaseTransport | None = None
    stripe: httpx.AsyncBaseTransport | None = None
    web: httpx.AsyncBaseTransport | None = None


class Doctor:
    """One look at everything. `now` gives aware datetimes."""

    def __init__(self, environ: Mapping[str, str], *, now: Callable[[], datetime], wires: Wires | None = None) -> None:
        self._environ = environ
        self._now = now
        self._wires = wires or Wires()

    async def findings(self) -> list[Finding]:
        """Everything that was looked at, in order. Without good settings nothing else can be looked at."""
        try:
            settings = read_settings(self._environ)
        except SettingsError as error:
            fix = "Correct the variable where the process gets its environment from; .env.example tells each."
            return [_fail("settings", line, fix) for line in str(error).splitlines()]
        found = [_ok("settings", "every variable makes sense")]
        widgets: Mapping[str, Widget] = {}
        try:
            widgets = load_widgets(settings.widgets_file)
            found.append(_ok("widgets", ", ".join(widgets)))
        except WidgetsFileError as error:
            found.append(
                _fail("widgets", str(error), "Correct WIDGETS_FILE; widgets.example.toml shows every setting.")
            )
        found += self._database(settings)
        found += await self._hapio(settings, widgets)
        found += await self._stripe(settings)
        found += await self._mail(settings, widgets)
        found += await self._address(settings)
        return found

    # -- the database ------------------------------------------------------------------------------------

    def _database(self, settings: Settings) -> Iterator[Finding]:
        path = Path(settings.database_url.removeprefix("sqlite:///"))
        folder = path.absolute().parent
        if not folder.is_dir():
            yield _fail("database", f"the folder {folder} does not exist", "Create it, or correct DATABASE_URL.")
            return
        if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
            yield _fail(
                "database",
                f"{path} cannot be written by this user",
                "Give file and folder to the service's user; SQLite writes beside the file, too.",
            )
            return
        if not path.exists():
            yield Finding(Level.WARN, "database", f"{path} is not there yet", "The first start creates it.")
            return
        try:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
                yield from self._rows(connection)
        except sqlite3.DatabaseError as error:
            fix = "Restore the last backup; README, Backup, tells how."
            yield _fail("database", f"{path} cannot be read as a database ({error})", fix)

    def _rows(self, connection: sqlite3.Connection) -> Iterator[Finding]:
        if connection.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
            yield _fail("database", "the file is damaged", "Restore the last backup; README, Backup, tells how.")
            return
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        versions = connection.execute("SELECT version_num FROM alembic_version").fetchall() if tables else []
        scripts = _scripts()
        known = {script.revision for script in scripts.walk_revisions()}
        if not versions or versions[0][0] not in known:
            yield _fail(
                "database",
                "it was made by another version of Holdfast, or by another program",
                "Run the version that made it, or correct DATABASE_URL.",
            )
            return
        if versions[0][0] != scripts.get_current_head():
            yield _fail("database", "it is behind this version", "Run `python -m app migrate`, or start the server.")
            return
        yield _ok("database", "readable, writable, up to date")
        beat = connection.execute("SELECT value FROM counters WHERE name = 'worker_beat'").fetchone()
        if beat is None or self._now().timestamp() - beat[0] > LATE.total_seconds():
            fix = "Start the server, or `python -m app worker` beside `serve --no-worker`."
            yield Finding(
                Level.WARN, "worker", "no worker is running: nothing is confirmed late, released or mailed", fix
            )
        else:
            yield _ok("worker", "alive")

    # -- Hapio -------------------------------------------------------------------------------------------

    async def _hapio(self, settings: Settings, widgets: Mapping[str, Widget]) -> list[Finding]:
        headers = {
            "Authorization": f"Bearer {settings.hapio_api_token.get_secret_value()}",
            "Accept": "application/json",
        }
        async with httpx.AsyncClient(
            base_url=settings.hapio_base_url, headers=headers, transport=self._wires.hapio, timeout=_SECONDS
        ) as http:
            try:
                project = await http.get("/project")
                if project.status_code == 401:
                    fix = "Make a token in Hapio's portal, in this project, and set HAPIO_API_TOKEN."
                    return [_fail("hapio", "the token is not accepted", fix)]
                if project.status_code >= 400:
                    fix = "Check HAPIO_BASE_URL, then Hapio's status page."
                    return [_fail("hapio", f"{settings.hapio_base_url} answers {project.status_code}", fix)]
                found = [_ok("hapio", "answers, and knows the token"), *self._skew("hapio", project)]
                lacking = [
                    ability
                    for ability, method, path in _ABILITIES
                    if (await http.request(method, path, json=None if method == "GET" else {})).status_code == 403
                ]
                if lacking:
                    fix = "Tick them for the token in Hapio's portal; README, Hapio, lists all."
                    return [*found, _fail("hapio", f"the token lacks {', '.join(lacking)}", fix)]
                found.append(_ok("hapio", "the token has every ability"))
                return [*found, *await self._offers(http, widgets)]
            except httpx.HTTPError as error:
                fix = "Check HAPIO_BASE_URL, this machine's DNS and firewall, then Hapio's status page."
                return [_fail("hapio", f"{settings.hapio_base_url} gives no answer ({type(error).__name__})", fix)]

    async def _offers(self, http: httpx.AsyncClient, widgets: Mapping[str, Widget]) -> list[Finding]:
        """What makes a widget empty."""
        places, services, people = [await _all(http, path) for path in ("/locations", "/services", "/resources")]
        found: list[Finding] = []
        for name, widget in widgets.items():
            about = f"widget {name}"
            place = next((one for one in places if widget.location in {"", one["id"]}), None)
            if place is None:
                found.append(_fail(about, f"its location {widget.location} is not in Hapio", "Correct `location`."))
            elif not place["enabled"]:
                found.append(_fail(about, f"its location {place['name']} is disabled", "Enable it in Hapio's portal."))
            else:
                found += [
                    finding
                    for service_id in [one.id for one in widget.services]
                    or [one["id"] for one in services if one["enabled"]]
                    for finding in await self._offer(http, about, widget, place, service_id, services, people)
                ]
                if not any(one.about == about for one in found):
                    found.append(_fail(about, "it offers no service", "Make an enabled service in Hapio's portal."))
        return found

    async def _offer(
        self,
        http: httpx.AsyncClient,
        about: str,
        widget: Widget,
        place: Mapping[str, Any],
        service_id: str,
        services: Sequence[Mapping[str, Any]],
        people: Sequence[Mapping[str, Any]],
    ) -> list[Finding]:
        service = next((one for one in services if one["id"] == service_id), None)
        if service is None:
            return [_fail(about, f"its service {service_id} is not in Hapio", "Correct `services.id`.")]
        called = service["name"]
        if not service["enabled"]:
            return [_fail(about, f"{called} is disabled", "Enable it in Hapio's portal, or leave it out.")]
        if service["type"] != "fixed":
            return [
                Finding(Level.WARN, about, f"{called} is of type {service['type']}", "Only `fixed` ones are offered.")
            ]
        price = service.get("price")
        try:
            widget.price(service_id, None if price is None else _decimal(price))
        except ValueError as error:
            return [
                _fail(about, f"{called} has a price that cannot be charged: {error}", "Correct price or `currency`.")
            ]
        offer = {one["resource_id"] for one in (await http.get(f"/services/{service_id}/resources")).json()}
        offering = [one for one in people if one["id"] in offer and one["enabled"]]
        if not offering:
            fix = "Associate an enabled resource with it in Hapio's portal."
            return [_fail(about, f"nobody offers {called}", fix)]
        now = self._now()
        window = {"location": place["id"], "from": now.isoformat(timespec="seconds"), "per_page": "1"}
        window["to"] = (now + LOOK_AHEAD).isoformat(timespec="seconds")
        slots = (await http.get(f"/services/{service_id}/bookable-slots", params=window)).json()
        if not slots.get("data"):
            says = f"{called} has no free time within {LOOK_AHEAD.days} days"
            return [Finding(Level.WARN, about, says, "Is there a schedule at this location, and a booking window?")]
        endless = [one["name"] for one in offering if one.get("max_simultaneous_bookings") is None]
        if endless:
            says = f"{', '.join(endless)} can be booked by any number of people at once"
            return [Finding(Level.WARN, about, says, "Set max_simultaneous_bookings in Hapio, unless that is meant.")]
        return [_ok(about, f"{called} can be booked")]

    # -- Stripe ------------------------------------------------------------------------------------------

    async def _stripe(self, settings: Settings) -> list[Finding]:
        if settings.stripe_secret_key is None:
            fix = "Set STRIPE_SECRET_KEY unless everything is free."
            return [Finding(Level.WARN, "stripe", "there is no key: only free services can be booked", fix)]
        headers = {
            "Authorization": f"Bearer {settings.stripe_secret_key.get_secret_value()}",
            "Stripe-Version": API_VERSION,
        }
        async with httpx.AsyncClient(
            base_url=settings.stripe_api_base, headers=headers, transport=self._wires.stripe, timeout=_SECONDS
        ) as http:
            try:
                first = await http.get("/v1/checkout/sessions", params={"limit": "1"})
                if first.status_code == 401:
                    fix = "Copy the key anew from Stripe's Dashboard; keys that were rolled stop working."
                    return [_fail("stripe", "the key is not accepted", fix)]
                if first.status_code >= 500:
                    return [_fail("stripe", f"answers {first.status_code}", "Look at status.stripe.com.")]
                mode = "live: real money" if settings.live else "test: no real money"
                found = [_ok("stripe", f"knows the key, {mode}"), *self._skew("stripe", first)]
                for permission, method, path, form in _PERMISSIONS:
                    if (await http.request(method, path, data=form)).status_code == 403:
                        fix = "Edit the restricted key in Stripe's Dashboard; README, Stripe, lists all permissions."
                        found.append(_fail("stripe", f"the key lacks {permission}", fix))
                found += self._secrets(settings)
                return [*found, *await self._endpoint(http, settings)]
            except httpx.HTTPError as error:
                fix = "Check this machine's DNS and firewall, then status.stripe.com."
                return [_fail("stripe", f"{settings.stripe_api_base} gives no answer ({type(error).__name__})", fix)]

    def _secrets(self, settings: Settings) -> Iterator[Finding]:
        if not all(secret.get_secret_value().startswith("whsec_") for secret in settings.stripe_webhook_secret):
            fix = "Copy the endpoint's signing secret; it begins with whsec_."
            yield _fail("stripe", "STRIPE_WEBHOOK_SECRET is no signing secret", fix)

    async def _endpoint(self, http: httpx.AsyncClient, settings: Settings) -> list[Finding]:
        address = f"{settings.public_url}/api/webhooks/stripe"
        answer = await http.get("/v1/webhook_endpoints", params={"limit": "100"})
        if answer.status_code != 200:
            fix = "Look in Stripe's Dashboard, or give the key Webhook Endpoints: Read."
            return [Finding(Level.WARN, "webhook", "the key may not list webhook endpoints", fix)]
        endpoint = next((one for one in answer.json()["data"] if one["url"].rstrip("/") == address), None)
        if endpoint is None:
            return [
                _fail("webhook", f"Stripe has no endpoint for {address}", "Make one; README, Stripe, tells its events.")
            ]
        found: list[Finding] = []
        if endpoint["status"] != "enabled":
            found.append(_fail("webhook", "the endpoint is disabled", "Enable it in Stripe's Dashboard."))
        events = set(endpoint["enabled_events"])
        missing = [name for name in EVENT_TYPES if name not in events and "*" not in events]
        if missing:
            found.append(
                _fail("webhook", f"the endpoint is not sent {', '.join(missing)}", "Add them to the endpoint.")
            )
        version = endpoint["api_version"] or "the account's own"
        if version != API_VERSION:
            fix = f"Make a new endpoint with version {API_VERSION}: it cannot be changed afterwards."
            found.append(_fail("webhook", f"the endpoint speaks version {version}, Holdfast {API_VERSION}", fix))
        return found or [_ok("webhook", "the endpoint is enabled, with every event, in the right version")]

    # -- mail --------------------------------------------------------------------------------------------

    async def _mail(self, settings: Settings, widgets: Mapping[str, Widget]) -> list[Finding]:
        """The conversation up to the point where a mail would follow."""
        if settings.smtp_url is None:
            return [Finding(Level.WARN, "mail", "SMTP_URL is not set", "Without it mails wait, and are not sent.")]
        server = urlsplit(settings.smtp_url.get_secret_value())
        sender = parseaddr(settings.mail_from)[1]
        owners = [widget.owner_email for widget in widgets.values() if widget.owner_email]
        where = f"{server.hostname}:{server.port or _SMTP_PORTS[server.scheme]}"
        smtp = aiosmtplib.SMTP(
            hostname=server.hostname or "localhost",
            port=server.port or _SMTP_PORTS[server.scheme],
            username=unquote(server.username) if server.username else None,
            password=unquote(server.password) if server.password else None,
            use_tls=server.scheme == "smtps",
            start_tls=server.scheme == "smtp+starttls",
            timeout=SMTP_SECONDS,
        )
        try:
            await smtp.connect()
            await smtp.mail(sender)
            for owner in owners[:1]:
                await smtp.rcpt(owner)
            await smtp.rset()
            await smtp.quit()
        except aiosmtplib.SMTPAuthenticationError as error:
            return [
                _fail("mail", f"{where} refuses the login ({error.code})", "Correct user and password in SMTP_URL.")
            ]
        except aiosmtplib.SMTPSenderRefused as error:
            return [
                _fail("mail", f"{where} refuses the sender ({error.code})", "Set MAIL_FROM to an address it allows.")
            ]
        except aiosmtplib.SMTPRecipientRefused as error:
            return [_fail("mail", f"{where} refuses the owner's address ({error.code})", "Correct `owner_email`.")]
        except (aiosmtplib.SMTPException, OSError) as error:
            fix = "Check host, port and scheme of SMTP_URL, and this machine's firewall."
            return [_fail("mail", f"{where} gives no mail server's answer ({type(error).__name__})", fix)]
        finally:
            smtp.close()
        return [_ok("mail", f"{where} takes mail from {sender}")]

    # -- our own address ---------------------------------------------------------------------------------

    async def _address(self, settings: Settings) -> list[Finding]:
        url = settings.public_url
        found: list[Finding] = []
        if urlsplit(url).scheme != "https" and not _is_here(url):
            fix = "Put TLS in front; README, TLS in front, shows how in three lines."
            found.append(_fail("address", f"{url} is not https: links and what customers type are readable", fix))
        async with httpx.AsyncClient(transport=self._wires.web, timeout=_SECONDS) as http:
            try:
                answer = await http.get(f"{url}/healthz")
            except httpx.HTTPError as error:
                certificate = "CERTIFICATE" in str(error).upper()
                says = (
                    "has a certificate that browsers refuse"
                    if certificate
                    else f"gives no answer ({type(error).__name__})"
                )
                fix = (
                    "Renew the certificate." if certificate else "Start the server; check DNS, firewall and the proxy."
                )
                return [*found, _fail("address", f"{url} {says}", fix)]
        if answer.status_code != 200 or "x-request-id" not in answer.headers or '"ok"' not in answer.text:
            says = f"{url}/healthz is answered by something else ({answer.status_code})"
            return [*found, _fail("address", says, "Check PUBLIC_URL, and where the proxy sends it.")]
        return [*found, _ok("address", f"{url} leads here")]

    def _skew(self, provider: str, answer: httpx.Response) -> Iterator[Finding]:
        try:
            theirs = parsedate_to_datetime(answer.headers.get("date", ""))
        except ValueError:
            return
        if theirs.tzinfo is None:
            return
        skew = abs(theirs - self._now())
        if skew < SKEW:
            yield _ok("clock", f"agrees with {provider}'s")
            return
        level = Level.FAIL if skew >= WEBHOOK_TOLERANCE else Level.WARN
        says = f"this machine's clock is {round(skew.total_seconds())} seconds away from {provider}'s"
        yield Finding(level, "clock", says, "Let it follow a time server, such as chrony or systemd-timesyncd.")


def _ok(about: str, says: str) -> Finding:
    return Finding(Level.OK, about, says)


def _fail(about: str, says: str, fix: str) -> Finding:
    return Finding(Level.FAIL, about, says, fix)


async def _all(http: httpx.AsyncClient, path: str) -> list[Mapping[str, Any]]:
    """Every page of a list, disabled ones too."""
    rows: list[Mapping[str, Any]] = []
    page, last = 1, 1
    while page <= last:
        params = {"disabled": "include", "sort": "created_at.asc", "page": str(page), "per_page": "100"}
        body = (await http.get(path, params=params)).raise_for_status().json()
        rows += body["data"]
        page, last = page + 1, int(body["meta"]["last_page"])
    return rows


def _decimal(price: object) -> Decimal:
    try:
        return Decimal(str(price))
    except ArithmeticError as error:
        raise ValueError(f"{price!r} is no amount") from error


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return ScriptDirectory.from_config(config)


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def worst(findings: Iterable[Finding]) -> Level:
    """The worst of them."""
    order = list(Level)
    return max((finding.level for finding in findings), key=order.index, default=Level.OK)
