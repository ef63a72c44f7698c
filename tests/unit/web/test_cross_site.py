"""A form of ours does something only where a page of ours sent it."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.routing import Route

from app.domain.booking import Status
from tests.support.rows import rows
from tests.support.stack import PUBLIC_URL, Stack, open_stack

FOREIGN = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
    {"Origin": "https://evil.example"},
    {"Origin": "https://studio.example"},
    {"Origin": "http://book.example"},
    {"Origin": "https://book.example.evil.example"},
    {"Origin": "https://book.example:8443"},
    {"Origin": "http://["},
)
OWN: tuple[dict[str, str], ...] = (
    {},
    {"Sec-Fetch-Site": "same-origin", "Origin": PUBLIC_URL},
    {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": PUBLIC_URL},
    {"Origin": "null"},
    {"Host": "localhost:8000", "Origin": "http://localhost:8000"},
)


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """A studio whose staff page is open, too."""
    async with open_stack(tmp_path, settings={"staff_emails": "eva@studio.example"}) as stack:
        yield stack


def doors(stack: Stack) -> list[str]:
    """Every address that takes a form."""
    assert stack.hooks.app
    names = {
        "widget": "studio",
        "token": "x",
        "booking": "bk_1",
        "name": "nora",
        "person": "r",
        "change": "hc_1",
        "service": "s",
    }
    return [
        route.path.format(**names)
        for route in stack.hooks.app.routes
        if isinstance(route, Route) and "POST" in (route.methods or ()) and not route.path.startswith("/api/")
    ]


async def hold(stack: Stack, headers: dict[str, str]) -> httpx.Response:
    start = (await stack.free_slot()).isoformat()
    form = {"service": stack.portrait_id, "start": start}
    return await stack.client.post("/w/studio/hold", data=form, headers=headers)


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_a_form_that_another_site_sent_is_refused_at_every_door(stack: Stack, headers: dict[str, str]) -> None:
    paths = doors(stack)
    assert len(paths) > 20
    for path in paths:
        answer = await stack.client.post(path, data={"email": "anna@customer.example"}, headers=headers)
        assert answer.status_code == 403, path
        assert "sent from another website" in answer.text, path
    await stack.until_quiet()
    assert stack.mailbox.messages == []
    assert (await hold(stack, headers)).status_code == 403
    assert await rows(stack) == []


@pytest.mark.parametrize("headers", OWN, ids=str)
async def test_a_form_of_our_own_page_is_taken(stack: Stack, headers: dict[str, str]) -> None:
    """Our pages send no referrer, so that browsers name "null" as the origin of their forms, and only newer browsers
    say anything else."""
    assert (await hold(stack, headers)).status_code == 303
    assert [booking.status for booking in await rows(stack)] == [Status.HELD]


async def test_a_refused_form_leads_back_to_the_free_times(stack: Stack) -> None:
    page = (await hold(stack, {"Sec-Fetch-Site": "cross-site"})).text
    assert 'href="/w/studio"' in page


async def test_programs_and_providers_send_from_wherever_they_are(stack: Stack) -> None:
    site = {"Origin": "https://studio.example", "Sec-Fetch-Site": "cross-site"}
    body = {"serviceId": stack.portrait_id}
    answer = await stack.client.post("/api/bookings/lock", json=body, headers=site)
    assert answer.status_code != 403
    assert (await stack.client.post("/api/receipts/verify", json={"receipt": "x"}, headers=site)).status_code == 200
    hook = await stack.client.post("/api/webhooks/stripe", content=b"{}", headers=site)
    assert "another website" not in hook.text


async def test_looking_from_another_site_is_free(stack: Stack) -> None:
    answer = await stack.client.get(
        "/w/studio", headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://x.example"}
    )
    assert answer.status_code == 200
