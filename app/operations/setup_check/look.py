"""One look at everything, in order."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx

from app.environment import Environment
from app.operations.services import in_effect
from app.operations.setup_check.address import look_at_address
from app.operations.setup_check.calcom import CalcomLook
from app.operations.setup_check.calendly import CalendlyLook
from app.operations.setup_check.calendly_owners import look_at_owners
from app.operations.setup_check.finding import Finding, fail, ok, warn
from app.operations.setup_check.hapio import HapioLook
from app.operations.setup_check.machine import DatabaseLook, look_at_env_file
from app.operations.setup_check.mail import look_at_mail
from app.operations.setup_check.processes import look_at_processes
from app.operations.setup_check.stripe import StripeLook
from app.operations.setup_check.webhooks import look_at_webhooks
from app.protection.public_addresses import Resolve
from app.settings import Settings, SettingsError
from app.store import Store
from app.widgets import Widget
from app.widgets_file import WidgetsFileError, load_widgets

#: The look at each scheduler.
_LOOKS: Mapping[str, type[HapioLook | CalcomLook | CalendlyLook]] = {
    "hapio": HapioLook,
    "calcom": CalcomLook,
    "calendly": CalendlyLook,
}


def free_bytes(folder: Path) -> int:
    """How much room is left where a folder lies."""
    return shutil.disk_usage(folder).free


@dataclass(frozen=True, slots=True)
class Wires:
    """How the schedulers, by name, the other providers and our own address are reached, None being the network; how
    names are looked up, and how the disk is asked."""

    schedulers: Mapping[str, httpx.AsyncBaseTransport] = field(default_factory=dict)
    stripe: httpx.AsyncBaseTransport | None = None
    web: httpx.AsyncBaseTransport | None = None
    resolve: Resolve | None = None
    free_bytes: Callable[[Path], int] = free_bytes


class Doctor:
    """`now` gives aware datetimes."""

    def __init__(self, environment: Environment, *, now: Callable[[], datetime], wires: Wires | None = None) -> None:
        self._environment = environment
        self._now = now
        self._wires = wires or Wires()

    async def findings(self) -> list[Finding]:
        """Everything that was looked at, in order. Without good settings nothing else can be looked at."""
        try:
            settings = self._environment.settings()
        except SettingsError as error:
            fix = "Correct it in .env, or where the process gets its environment from; .env.example explains each."
            return [fail("settings", line, fix) for line in str(error).splitlines()]
        found = [ok("settings", f"every variable is valid{self._source()}")]
        found += look_at_env_file(self._environment.env_file)
        found += _left_out(settings)
        widgets: Mapping[str, Widget] = {}
        try:
            widgets = load_widgets(settings.widgets_file, settings.schedulers, settings.owner_schedulers)
            found += _widgets(settings, widgets)
        except WidgetsFileError as error:
            fix = "Correct the file; widgets.example.toml shows every setting."
            found += [fail("widgets", line, fix) for line in str(error).splitlines()]
        now = self._now()
        store = Store(settings.database_url, now=self._now)
        database = DatabaseLook(store, now=now, free_bytes=self._wires.free_bytes)
        found += await database.findings()
        usable = await database.unusable() is None
        found += await look_at_processes(settings, store if usable else None, now=now)
        if usable:  # a price that was given on the staff page is a price
            versions = await store.newest_service_versions()
            widgets = {key: in_effect(widget, versions) for key, widget in widgets.items()}
        for name, look_at in _LOOKS.items():
            if name in settings.schedulers:
                there = {key: widget for key, widget in widgets.items() if widget.scheduler == name}
                look = look_at(settings, there, now=now, transport=self._wires.schedulers.get(name))
                found += await look.findings()
                await database.count_calls(f"{name}_calls", look.calls)
        found += await look_at_owners(settings, widgets, database, now=self._now, transports=self._wires.schedulers)
        about_webhooks = await look_at_webhooks(settings, widgets, database, resolve=self._wires.resolve)
        sessions = await database.session_ids()
        await store.close()
        found += await StripeLook(settings, sessions, now=now, transport=self._wires.stripe).findings()
        found += await look_at_mail(settings, widgets)
        found += about_webhooks
        found += await look_at_address(settings.public_url, transport=self._wires.web)
        return found

    def _source(self) -> str:
        return f"; read from {self._environment.env_file}" if self._environment.env_file else ""


def _left_out(settings: Settings) -> Iterator[Finding]:
    """What works without, and is missed later."""
    if not settings.staff_emails:
        fix = "Set STAFF_EMAILS to your address to sign in at /staff."
        yield warn("settings", "the staff page is off, because no one is allowed to sign in", fix)
    if "hapio" in settings.schedulers and settings.hapio_webhook_secret is None:
        fix = "Create a webhook in Hapio's portal and set HAPIO_WEBHOOK_SECRET; docs/by-hand.md#hapio explains it."
        yield warn("settings", "changes that you make in Hapio's portal are noticed only hours later", fix)
    calendly = {*settings.schedulers, *settings.owner_schedulers} & {"calendly"}
    if calendly and settings.calendly_webhook_key is None:
        fix = "Set CALENDLY_WEBHOOK_KEY; docs/schedulers.md#calendly says to what, and what else it takes."
        yield warn("settings", "changes that are made in Calendly are noticed only a quarter of an hour later", fix)


def _widgets(settings: Settings, widgets: Mapping[str, Widget]) -> Iterator[Finding]:
    source = (
        f"from {settings.widgets_file}"
        if settings.widgets_file
        else "without a file: every service, with the default settings"
    )
    yield ok("widgets", f"{', '.join(widgets)}, {source}")
    for name, widget in widgets.items():
        about = f"widget {name}"
        if not widget.allowed_origins:
            fix = "Add your site to `allowed_origins`, such as https://www.example.com, unless you only link to it."
            yield warn(about, "no site is allowed to embed it", fix)
        if not widget.owner_email:
            yield warn(about, "no one is emailed about its bookings and problems", "Set `owner_email`.")
        if not widget.cancellation:
            fix = "Set `cancellation`, unless this is intended; docs/cancel-and-move.md#cancel has an example."
            yield warn(about, "a customer who cancels gets no refund", fix)
