"""The services at the desk: what is on offer, and changing it, at the scheduler and over widgets.toml."""

import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from app.domain.booking import Actor, Status
from app.domain.money import Money
from app.errors import ServiceOff
from sandbox.hapio import Fault
from tests.support.browser import Browser
from tests.support.stack import Stack, open_stack, text_of
from tests.support.staff import EVA, sign_in


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Stack]:
    """A studio where Eva works, in two languages."""
    async with open_stack(tmp_path, settings={"staff_emails": EVA}, widget='languages = ["en", "sv"]') as stack:
        stack.hapio.switches.rate_limit_per_minute = 1000
        yield stack


class Desk(Browser):
    """Eva's browser at the services."""

    home = ""

    async def services(self) -> str:
        """The list."""
        if not self.home:
            self.home = await sign_in(self._stack, self)
        return await self.open(f"{self.home}/services")

    async def form_of(self, service_id: str) -> dict[str, str]:
        """Open a service's form; what stands in its fields."""
        await self.services()
        await self.open(f"{self.home}/services/studio/{service_id}")
        return self.fields()

    def fields(self) -> dict[str, str]:
        """What stands in the fields of the page's form."""
        [form] = re.findall(r'(?s)<form class="service-form".*?</form>', self.page.text)
        found: dict[str, str] = {}
        for tag in re.findall(r"<input[^>]*>", form):
            name, value = re.search(r' name="([^"]+)"', tag), re.search(r' value="([^"]*)"', tag)
            if name and value and ('type="checkbox"' not in tag or " checked" in tag):
                found[name[1]] = unescape(value[1])
        return found | {
            name: unescape(text) for name, text in re.findall(r'<textarea[^>]* name="([^"]+)"[^>]*>([^<]*)<', form)
        }

    async def save(self, fields: dict[str, str]) -> str:
        """Send the form with these fields; the page's text."""
        self.page = await self._stack.client.post(self.page.url.path, data=fields)
        return await self.open(self.page.headers["location"]) if self.page.is_redirect else text_of(self.page.text)


@pytest.fixture
async def eva(studio: Stack) -> Desk:
    """Who works there."""
    return Desk(studio)


def at_hapio(studio: Stack, service_id: str) -> Any:
    """The service as Hapio has it."""
    return studio.hapio.state.services[service_id]


async def test_what_is_changed_is_at_the_scheduler_and_before_visitors_at_once(studio: Stack, eva: Desk) -> None:
    await studio.client.get("/w/studio?lang=sv")
    held = await studio.hold()
    form = await eva.form_of(studio.portrait_id)
    assert (form["name_en"], form["price"], form["duration"]) == ("Portrait session", "1200.00", "60")
    form |= {"name_en": "Portrait", "name_sv": "Porträtt", "price": "1 250,50", "duration": "45", "after": "30"}
    form |= {
        "description_sv": "Tre kvart i ateljén.",
        "image": "https://pictures.example/portrait.jpg",
        "notice": "1.5",
    }
    assert "Saved. Visitors see it from now on." in await eva.save(form)
    there = at_hapio(studio, studio.portrait_id)
    assert (there.name, str(there.price)) == ("Portrait", "1250.500")
    swedish = (await studio.client.get("/w/studio?lang=sv")).text
    for words in ("Porträtt", "Tre kvart i ateljén.", "https://pictures.example/portrait.jpg", "45 min"):
        assert words in swedish
    assert "https:" in (await studio.client.get("/w/studio")).headers["content-security-policy"]
    # What was held before keeps its price, and is paid with it.
    assert (await studio.now(held)).terms.price == Money(120_000, "sek")
    await studio.paid(held)
    await studio.parts.settle.booking(held.id)
    assert studio.money_kept() == 120_000
    page = text_of(eva.page.text)
    for line in ("Name of the service (English): Portrait session → Portrait", "Length: 1 h → 45 min", EVA):
        assert line in page
    slot = await studio.free_slot()
    service = await studio.parts.availability.service(studio.parts.widgets["studio"], studio.portrait_id)
    found = await studio.parts.availability.find_slot(studio.parts.widgets["studio"], service, slot)
    assert found
    assert (found.ends_at - found.starts_at).total_seconds() == 45 * 60
    await studio.restart()
    assert "Porträtt" in (await studio.client.get("/w/studio?lang=sv")).text


async def test_what_was_changed_here_can_go_back_to_the_file(studio: Stack, eva: Desk) -> None:
    form = await eva.form_of(studio.portrait_id)
    await eva.save(form | {"description_en": "Ninety minutes.", "name_sv": "Porträtt"})
    assert "Description: English: An hour in the studio." in text_of(eva.page.text)
    await eva.save(eva.fields() | {"back_description": "1"})
    assert eva.fields()["description_en"] == "An hour in the studio."
    assert eva.fields()["name_sv"] == "Porträtt"
    assert "There was nothing to change." in await eva.save(eva.fields())


#: What is typed, and what is said of it.
WRONG = (
    ({"price": "-5"}, "A price cannot be below 0."),
    ({"price": "sixty"}, "Please write a price such as 65.00."),
    ({"price": "1.200,00"}, "Please write a price such as 65.00."),
    ({"price": "٣"}, "Please write a price such as 65.00."),
    ({"price": "１２"}, "Please write a price such as 65.00."),
    ({"price": "65.005"}, "This currency has no such fraction."),
    ({"price": "1"}, "Stripe charges 3.00 SEK or more."),
    ({"price": "99999999"}, "This is more than Stripe charges at once."),
    ({"duration": "0"}, "Please write a length in whole minutes"),
    ({"duration": "٣"}, "Please write a length in whole minutes"),
    ({"before": "x"}, "Please write whole minutes"),
    ({"notice": "9999999"}, "Please write hours such as 24 or 1.5"),
    ({"notice": "１２"}, "Please write hours such as 24 or 1.5"),
    ({"name_en": ""}, "Please give the service a name."),
    ({"name_sv": "P" * 10_000}, "This is too long: at most 200 characters."),
    ({"image": "javascript:alert(1)"}, "Please write an address that begins with https://"),
    ({"image": "https://x.example/a b.jpg"}, "Please write an address that begins with https://"),
)


async def test_what_cannot_be_is_told_by_field_and_nothing_typed_is_lost(studio: Stack, eva: Desk) -> None:
    form = await eva.form_of(studio.portrait_id)
    for typed, told in WRONG:
        page = await eva.save({**form, "description_sv": "Kvar.", **typed})
        assert eva.page.status_code == 422, typed
        assert told in page, typed
        assert eva.fields()["description_sv"] == "Kvar."
        [(name, text)] = typed.items()
        assert eva.fields()[name] == text
    nobody = {name: text for name, text in form.items() if not name.startswith("person_")}
    assert "Please choose at least one." in await eva.save(nobody)
    studio.hapio.faults.append(Fault("drop_before", times=50))
    assert "Hapio cannot be reached right now. Nothing was saved." in await eva.save(form | {"price": "900"})
    assert eva.fields()["price"] == "900"
    assert at_hapio(studio, studio.portrait_id).name == "Portrait session"


async def test_the_second_of_two_desks_is_told_and_can_save_what_she_typed(studio: Stack, eva: Desk) -> None:
    bo = Desk(studio)
    hers, his = await eva.form_of(studio.portrait_id), await bo.form_of(studio.portrait_id)
    await bo.save(his | {"description_en": "By Bo.", "price": "900"})
    page = await eva.save(hers | {"description_en": "By Eva."})
    assert eva.page.status_code == 409
    assert f"{EVA} changed this service after you had opened it" in page
    assert "Saved meanwhile: By Bo." in page
    assert "Saved meanwhile: 900.00" in page
    assert eva.fields()["description_en"] == "By Eva."
    assert "Saved." in await eva.save(eva.fields())
    assert eva.fields()["description_en"] == "By Eva."
    # Changed at the scheduler itself is noticed, too.
    form = await eva.form_of(studio.portrait_id)
    async with studio.hapio_api() as api:
        (await api.patch(f"/services/{studio.portrait_id}", json={"name": "Portraits"})).raise_for_status()
    assert "This service was changed in Hapio" in await eva.save(form)


async def test_a_service_that_is_switched_off_takes_nothing_new_and_keeps_what_it_has(studio: Stack, eva: Desk) -> None:
    booked, held = await studio.confirmed(), await studio.hold(await studio.in_days(5))
    await eva.services()
    page = await eva.send(f'action="[^"]*/{studio.portrait_id}/switch"', on="0")
    assert "Switched off" in page
    assert "Portrait session" not in (await studio.client.get("/w/studio")).text
    gone = await studio.client.get(f"/w/studio?service={studio.portrait_id}")
    assert gone.status_code == 404
    assert "This service cannot be booked at the moment." in gone.text
    with pytest.raises(ServiceOff):
        await studio.hold(await studio.in_days(6))
    await studio.paid(held)
    await studio.parts.settle.booking(held.id)
    assert await studio.status(held) is Status.CONFIRMED
    moved = await studio.move(booked, await studio.in_days(7), by=Actor.CUSTOMER)
    assert moved.booking.revision > booked.revision
    manage = f"/manage/{studio.parts.links.manage_token(booked.id, booked.link_version)}/reschedule"
    assert (await studio.client.get(manage)).status_code == 200
    assert (await studio.cancel(await studio.now(booked))).status is Status.CANCELED
    await eva.services()
    await eva.send(f'action="[^"]*/{studio.portrait_id}/switch"', on="1")
    assert "Portrait session" in (await studio.client.get("/w/studio")).text


async def test_what_calendly_keeps_is_told_and_the_price_is_ours(tmp_path: Path) -> None:
    async with open_stack(tmp_path, scheduler="calendly", settings={"staff_emails": EVA}) as stack:
        eva = Desk(stack)
        form = await eva.form_of(stack.portrait_id)
        said = text_of(eva.page.text)
        assert "Name, length, free time and notice can only be changed in Calendly." in said
        assert "Its page in Calendly" in said
        assert "Saved." in await eva.save(form | {"price": "99", "duration": "5"})
        assert "SEK 99 " in text_of((await stack.client.get("/w/studio")).text)


async def test_the_order_is_what_visitors_see_and_who_offers_it_is_told_to_the_scheduler(
    studio: Stack, eva: Desk
) -> None:
    await eva.services()
    await eva.send(f'action="[^"]*/{studio.headshot_id}/place"', earlier="1")
    page = (await studio.client.get("/w/studio")).text
    assert page.index("Headshot") < page.index("Portrait")
    await eva.send('action="[^"]*/studio/order"')
    page = (await studio.client.get("/w/studio")).text
    assert page.index("Portrait") < page.index("Headshot")
    form = await eva.form_of(studio.portrait_id)
    people = [name for name in form if name.startswith("person_")]
    assert len(people) == 2
    await eva.save({name: text for name, text in form.items() if name != people[0]})
    service = await studio.parts.availability.service(studio.parts.widgets["studio"], studio.portrait_id)
    assert [f"person_{one.id}" for one in service.resources] == people[1:]
    assert "no longer offers it" in text_of(eva.page.text)
