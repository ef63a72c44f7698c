"""What is asked: twelve questions with what is known already as their defaults."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.domain.studio import week_in_words
from app.operations.setup.answers import AnswersError, StudioAnswers, check_answers, origin, read_answers
from app.operations.setup.short_forms import read_people, read_services
from app.scheduling.arrangement import Arrangement
from app.text.zones import valid_zone

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Question:
    """`check` gives the answer its form, or raises ValueError with what is wrong with it. `hint` is an example or a
    reason. A `secret` is not shown while it is typed. `optional`: nothing may be typed."""

    key: str
    text: str
    check: Callable[[str], str]
    hint: str = ""
    default: str = ""
    secret: bool = False
    optional: bool = False

    def read(self, typed: str) -> str:
        """The answer, or the default where nothing was typed. Raises ValueError."""
        text = typed.strip() or self.default
        if text:
            return self.check(text)
        if self.optional:
            return ""
        raise ValueError("This one is needed.")


#: Makes a question from the answers before it.
Make = Callable[[dict[str, str]], Question]


@dataclass(frozen=True, slots=True)
class Known:
    """What an earlier run has left: studio.toml, `widgets.toml`, the settings; and what the scheduler has."""

    answers: StudioAnswers | None
    widget: Mapping[str, Any]
    settings: Mapping[str, str]
    zone: str
    have: Arrangement | None = None


def read_known(studio: Path, widgets: Path, settings: Mapping[str, str], *, zone: str) -> Known:
    """As much of it as can be read: what cannot is asked again."""
    answers, widget = None, {}
    with suppress(AnswersError):
        answers = read_answers(studio)
    with suppress(OSError, ValueError):
        tables = tomllib.loads(widgets.read_text(encoding="utf-8"))
        widget = next((table for table in tables.values() if isinstance(table, dict)), {})
    return Known(answers, widget, settings, zone)


def machine_zone() -> str:
    """The machine's own time zone; a server's is often UTC, which is nobody's."""
    with suppress(OSError):
        told = str(Path("/etc/localtime").readlink()).partition("zoneinfo/")[2]
        if valid_zone(told) and "/" in told and not told.startswith("Etc/"):
            return told
    return ""


def access_questions(known: Known, setting: str) -> list[Make]:
    """The first: who lets us in."""
    text = "The API token of your calendar"
    hint = "Hapio: a token with all abilities, from the portal. Cal.com: an API key. Calendly: a personal access token."
    default = known.settings.get(setting, "")
    return [lambda _: Question("token", text, _one_word, hint, default, secret=True)]


def studio_questions(known: Known) -> list[Make]:
    """The studio itself."""
    have = known.have

    def name(_: dict[str, str]) -> Question:
        place = have.places[0].name if have and len(have.places) == 1 else ""
        told = (known.answers.name if known.answers else "") or str(known.widget.get("owner_name", "")) or place
        return Question("name", "The name of your business", _filled, "On pages and in mails.", told)

    def zone(_: dict[str, str]) -> Question:
        place = have.places[0].time_zone if have and len(have.places) == 1 else ""
        told = (known.answers.time_zone if known.answers else "") or place or known.zone
        return Question("time_zone", "Its time zone", _zone, "Such as Europe/Stockholm.", told)

    def currency(_: dict[str, str]) -> Question:
        told = (known.answers.currency if known.answers else "") or str(known.widget.get("currency", ""))
        return Question("currency", "The currency of your prices", _currency, "Such as EUR.", told)

    def services(_: dict[str, str]) -> Question:
        hint = "Name, minutes, price; with semicolons between: Portrait 60 min 120; Planning call 20 min free"
        return Question("services", "What you offer", _services, hint, _services_known(known))

    def people(answers: dict[str, str]) -> Question:
        hint = "Maja: Mon-Fri 9-12 13-17; Jonas: Sat 10-14; closed: 2026-12-24..2026-12-26"

        def check(text: str) -> str:
            read_people(text, alone=answers["name"])
            return text

        return Question("people", "Who works when", check, hint, _people_known(known))

    def public_url(_: dict[str, str]) -> Question:
        told = (known.answers.public_url if known.answers else "") or known.settings.get("PUBLIC_URL", "")
        hint = "A host name of its own, such as https://book.example.com."
        return Question("public_url", "The address that Holdfast will have", _origin, hint, told)

    def sites(answers: dict[str, str]) -> Question:
        told = (known.answers.sites if known.answers else ()) or tuple(known.widget.get("allowed_origins", ()))
        hint = "Only these may show the widget; with commas between."
        default = ", ".join(map(str, told)) or _sites_of(answers["public_url"])
        return Question("sites", "Your own site", _origins, hint, default, optional=True)

    def owner_email(_: dict[str, str]) -> Question:
        told = (known.answers.owner_email if known.answers else "") or str(known.widget.get("owner_email", ""))
        hint = "Gets a mail for each booking, and signs in to the staff page."
        return Question("owner_email", "Your email address", _email, hint, told)

    def stripe(_: dict[str, str]) -> Question:
        hint = "A test key to begin with: sk_test_… or rk_test_…. Nothing, if all you offer is free."
        told = known.settings.get("STRIPE_SECRET_KEY", "")
        return Question("stripe", "Your Stripe key", _stripe_key, hint, told, secret=True, optional=True)

    def smtp(_: dict[str, str]) -> Question:
        hint = "smtp+starttls://user:password@mail.example.com:587, or smtps://…; nothing, to do it later."
        told = known.settings.get("SMTP_URL", "")
        return Question("smtp", "Your mail server", _one_word, hint, told, secret=True, optional=True)

    return [name, zone, currency, services, people, public_url, sites, owner_email, stripe, smtp]


def answers_of(typed: Mapping[str, str], scheduler: str, known: Known) -> StudioAnswers:
    """The answers that were typed. What an earlier studio.toml says next to them stays. Raises AnswersError."""
    before = known.answers
    people = read_people(typed["people"], alone=typed["name"])
    services = read_services(typed["services"])
    old_services = {one.name: one for one in before.service} if before else {}
    names = {one.name for one in services}
    # A person whose services are no longer all there offers every service again.
    old_people = {one.name: one for one in before.person if names >= {*(one.services or ())}} if before else {}
    return check_answers(
        {
            **(before.model_dump(include={"widget", "mail_from"}) if before else {}),
            "name": typed["name"],
            "scheduler": scheduler,
            "time_zone": typed["time_zone"],
            "currency": typed["currency"],
            "public_url": typed["public_url"],
            "owner_email": typed["owner_email"],
            "sites": tuple(part for part in re.split(r"[\s,]+", typed["sites"]) if part),
            "closed": people.closed,
            "service": [
                {
                    **(old_services[one.name].model_dump(exclude_defaults=True) if one.name in old_services else {}),
                    "name": one.name,
                    "minutes": one.minutes,
                    "price": one.price,
                }
                for one in services
            ],
            "person": [
                {
                    **(old_people[name].model_dump(exclude_defaults=True) if name in old_people else {}),
                    "name": name,
                    "hours": hours,
                }
                for name, hours in people.hours.items()
            ],
        }
    )


def _services_known(known: Known) -> str:
    if known.answers:
        told = [(one.name, one.minutes, one.price) for one in known.answers.service]
    elif known.have:
        told = [
            (one.name, one.duration // _MINUTE, one.price or Decimal(0))
            for one in known.have.services
            if one.enabled and one.sellable and one.duration
        ]
    else:
        told = []
    return "; ".join(f"{name} {minutes} min {price.normalize():f}" for name, minutes, price in told)


def _people_known(known: Known) -> str:
    if known.answers:
        closed = f"; closed: {', '.join(known.answers.closed)}" if known.answers.closed else ""
        return "; ".join(f"{one.name}: {one.hours}" for one in known.answers.person) + closed
    told = [
        f"{person.name}: {week_in_words(hours.week)}"
        for person in (known.have.people if known.have else ())
        if person.enabled
        for hours in list(person.hours.values())[:1]
        if hours.week
    ]
    return "; ".join(told)


def _sites_of(public_url: str) -> str:
    """The site that a host such as book.example.com probably belongs to."""
    parts = urlsplit(public_url)
    domain = (parts.hostname or "").partition(".")[2]
    return f"https://www.{domain}, https://{domain}" if "." in domain and parts.scheme == "https" else ""


def _filled(text: str) -> str:
    return text


def _one_word(text: str) -> str:
    if re.search(r"\s", text):
        raise ValueError("There is a space in it.")
    return text


def _zone(text: str) -> str:
    found = valid_zone(text)
    if found is None:
        raise ValueError("There is no such time zone; they are named like Europe/Stockholm.")
    return found


def _currency(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{3}", text):
        raise ValueError("A currency has three letters, such as EUR.")
    return text.lower()


def _services(text: str) -> str:
    read_services(text)
    return text


def _origin(text: str) -> str:
    return origin(text, "It should be like https://book.example.com, with nothing after the host.")


def _origins(text: str) -> str:
    return ", ".join(_origin(part) for part in re.split(r"[\s,]+", text) if part)


def _email(text: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", text):
        raise ValueError("It should be like name@example.com.")
    return text


def _stripe_key(text: str) -> str:
    if not text.startswith(("sk_test_", "rk_test_", "sk_live_", "rk_live_")):
        raise ValueError("A Stripe key begins with sk_ or rk_, then test_ or live_. A pk_ key is another one.")
    return _one_word(text)
