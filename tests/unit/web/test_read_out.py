"""What pages say to someone who hears them: their titles, what is current, what a list does, what is over."""

import re
from pathlib import Path

import pytest

from app.domain.booking import Actor
from tests.support.browser import Browser
from tests.support.manage import link
from tests.support.stack import Stack, open_stack

#: A studio of this many is chosen from in a list; fewer have a button each.
MANY = 7


def title(page: str) -> str:
    """The page's title, without the studio's name."""
    found: list[str] = re.findall(r"<title>([^<]*)</title>", page)
    return found[0].rpartition(" · ")[0] or found[0]


@pytest.fixture
def anna(stack: Stack) -> Browser:
    """A visitor."""
    return Browser(stack)


async def test_the_title_says_which_step_it_is_and_how_a_booking_stands(stack: Stack, anna: Browser) -> None:
    """WCAG 2.4.2. Finding: "Book a time" on details and confirmation, "Cancel this booking?" on a cancelled one."""
    typed = {"name": "Anna Ek", "email": "anna@customer.example"}
    for service, name, last in (
        (stack.portrait_id, "Portrait session", "Check your booking"),
        (stack.planning_id, "Planning call", "Your time is confirmed"),
    ):
        await anna.open(f"/w/studio?service={service}")
        titles = [title(anna.page.text)]
        for form, fields in (('id="hf-hold"', {"start": anna.starts[0]}), ('action="[^"]*/details"', typed)):
            await anna.send(form, **fields)
            titles.append(title(anna.page.text))
        assert titles == [name, "Your details", last]

    booking = await stack.confirmed(await stack.in_days(3))
    path, titles = link(stack, booking), []
    for form in ("", 'action="[^"]*/cancel"', 'action="[^"]*/undo"'):
        await (anna.send(form) if form else anna.open(f"{path}/cancel"))
        titles.append(title(anna.page.text))
    assert titles == ["Cancel this booking?", "Your booking: Cancelled", "Your booking: Confirmed"]
    await stack.parts.manage_links.renew(booking.id)
    await anna.open(path)
    titles = [title(anna.page.text)]
    await anna.send('method="post"')
    assert [*titles, title(anna.page.text)] == ["This link was replaced", "Check your email"]


async def test_today_and_the_step_are_marked_as_current_and_mistakes_have_a_name(stack: Stack, anna: Browser) -> None:
    await anna.open(f"/w/studio?service={stack.portrait_id}&date={stack.clock().date()}")
    assert anna.page.text.count(' aria-current="date"') == 1
    assert '<li aria-current="step">Time</li>' in anna.page.text
    assert (
        '<th scope="col"><span aria-hidden="true">Mo</span><span class="for-readers">Monday</span></th>'
        in anna.page.text
    )
    await anna.send('id="hf-hold"', start=anna.starts[0])
    await anna.send('action="[^"]*/details"')
    assert 'role="group" aria-labelledby="hf-problem"' in anna.page.text
    assert 'id="hf-problem">Please check the marked fields.' in anna.page.text


async def test_a_long_list_of_people_is_sent_by_its_button_and_not_by_choosing(tmp_path: Path) -> None:
    """WCAG 3.2.2. Finding: arrow keys in the list sent it at each step."""
    async with open_stack(tmp_path) as stack:
        async with stack.hapio_api() as hapio:
            for number in range(MANY):
                person = (
                    await hapio.post("/resources", json={"name": f"Person {number}", "max_simultaneous_bookings": 1})
                ).json()
                (await hapio.put(f"/resources/{person['id']}/services/{stack.portrait_id}", json={})).raise_for_status()
        await stack.restart()
        page = (await stack.client.get(f"/w/studio?service={stack.portrait_id}")).text
        [chosen] = re.findall(
            r'(<select id="hf-person"[^>]*>)(?s:.*?)</select>\s*<button class="button" form="hf-look">', page
        )
        assert "hx-" not in chosen
        assert "onchange" not in chosen


async def test_a_time_that_is_off_is_struck_out_on_the_page(stack: Stack, anna: Browser) -> None:
    """Finding: only the mail struck it out."""
    booking = await stack.confirmed(await stack.in_days(3))
    await anna.open(link(stack, booking))
    assert 'class="when"' in anna.page.text
    await stack.parts.cancel.booking(booking.id, by=Actor.CUSTOMER)
    await anna.open(link(stack, booking))
    assert 'class="when off"' in anna.page.text
