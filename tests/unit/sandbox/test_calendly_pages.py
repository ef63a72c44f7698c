"""The Calendly sandbox's pages: the operator's desk, and what strangers see behind Calendly's links."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import pytest

from sandbox.calendly import AdviserIds, BadControl, CalendlySandbox
from sandbox.clock import Clock
from tests.contract.calendly_fixtures import Json

MONDAY = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
TUESDAY = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock(MONDAY)


@pytest.fixture
def sandbox(clock: Clock) -> CalendlySandbox:
    return CalendlySandbox(now=clock, site_url="http://calendly.test/site")


@pytest.fixture
def ids(sandbox: CalendlySandbox) -> AdviserIds:
    return sandbox.seed_adviser()


@pytest.fixture
async def browser(sandbox: CalendlySandbox, ids: AdviserIds) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://calendly.test") as browser:
        yield browser


async def act(browser: httpx.AsyncClient, path: str, body: Any = None) -> Json:
    """Act as the operator over JSON."""
    response = await browser.post(f"/_sandbox/{path}", json=body or {})
    assert response.status_code in (200, 201), response.text
    answer: Json = response.json()
    return answer


# The desk


async def test_the_desk_shows_what_there_is(
    sandbox: CalendlySandbox, browser: httpx.AsyncClient, ids: AdviserIds
) -> None:
    invitee = sandbox.book(ids.uris["Review"], TUESDAY, name="Ada Example", tracking={"utm_content": "bk_1"})
    sandbox.reschedule(invitee["uri"], TUESDAY + timedelta(hours=1))
    page = await browser.get("/_sandbox/")
    assert page.status_code == 200
    for words in ("Advice session", "Ada Example", "bk_1", "moved from", "race_mode", "Nora Whitfield", "paid plan"):
        assert words in page.text
    assert "<script" not in page.text
    assert page.headers["x-frame-options"] == "DENY"


async def test_looking_at_the_desk_changes_nothing(
    sandbox: CalendlySandbox, browser: httpx.AsyncClient, ids: AdviserIds
) -> None:
    sandbox.book(ids.uris["Review"], TUESDAY)
    before = (await browser.get("/_sandbox/state")).json()
    await browser.get("/_sandbox/")
    assert (await browser.get("/_sandbox/state")).json() == before
    assert sandbox.calls == []


async def test_every_button_of_the_desk_works(
    sandbox: CalendlySandbox, browser: httpx.AsyncClient, ids: AdviserIds
) -> None:
    sandbox.book(ids.uris["Review"], TUESDAY)
    form = re.compile(r'<form method="post" action="([^"]+)">(.*?)</form>', re.DOTALL)
    page = (await browser.get("/_sandbox/")).text
    pressed = set()
    for path, inside in form.findall(page):
        name = re.sub(r"[A-Z0-9]{16}|calendly-sandbox-token", "*", path)
        if name in pressed or name.endswith("busy_times"):
            continue
        pressed.add(name)
        sandbox.reset()
        sandbox.seed_adviser()
        sandbox.book(ids.uris["Review"], TUESDAY)
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', inside))
        selects = re.findall(r'<select[^>]* name="(\w+)"[^>]*>(.*?)</select>', inside, re.DOTALL)
        for field, options in selects:
            found = re.search(r'<option value="([^"]+)"', options) or re.search(
                r"<option(?: selected)?>([^<]*)", options
            )
            fields[field] = found[1] if found else ""
        # A browser names the form's type even where it has no fields; httpx would not
        headers = {"content-type": "application/x-www-form-urlencoded"}
        response = await browser.post(path, content=urlencode(fields), headers=headers)
        assert (response.status_code, response.headers.get("location")) == (303, "/_sandbox/"), (path, response.text)
    assert len(pressed) == 14


async def test_switches_are_set_by_form_and_by_json(sandbox: CalendlySandbox, browser: httpx.AsyncClient) -> None:
    form = {"plan": "trial", "window_limit_days": "7", "creates_per_day": "", "listing_lag_seconds": "30"}
    await browser.post("/_sandbox/switches", data=form)
    switches = sandbox.switches
    assert (switches.plan, switches.window_limit_days, switches.listing_lag_seconds) == ("trial", 7, 30)
    assert switches.refused_creates_count is False, "a box that is not ticked is left out"
    changed = await browser.patch("/_sandbox/switches", json={"creates_per_day": 3})
    assert changed.json()["creates_per_day"] == 3
    assert (await browser.patch("/_sandbox/switches", json={"plan": "golden"})).status_code == 400


async def test_faults_are_added_by_form_and_by_json(sandbox: CalendlySandbox, browser: httpx.AsyncClient) -> None:
    form = {"kind": "refuse", "method": "POST", "path": "/invitees$", "times": "2", "status": "503"}
    await browser.post("/_sandbox/faults", data=form)
    await act(browser, "faults", [{"kind": "hang", "times": None}])
    assert [(one.kind, one.times, one.status) for one in sandbox.faults] == [("refuse", 2, 503), ("hang", None, 500)]
    assert (await browser.post("/_sandbox/faults", json={"kind": "earthquake"})).status_code == 400
    await browser.delete("/_sandbox/faults")
    assert sandbox.faults == []


async def test_a_stranger_books_cancels_and_moves_over_json(browser: httpx.AsyncClient, ids: AdviserIds) -> None:
    review = ids.event_types["Review"]
    booked = await act(browser, f"event_types/{review}/book", {"start_time": TUESDAY.isoformat(), "name": "Ada"})
    assert booked["name"] == "Ada"
    id_ = booked["uri"].rpartition("/")[2]
    later = (TUESDAY + timedelta(hours=1)).isoformat()
    moved = await act(browser, f"invitees/{id_}/reschedule", {"start_time": later, "by": "host"})
    assert moved["old_invitee"] == booked["uri"]
    cancelled = await act(browser, f"invitees/{moved['uri'].rpartition('/')[2]}/cancel", {"reason": "Ill"})
    assert cancelled["cancellation"]["reason"] == "Ill"


async def test_the_owner_acts_over_json(browser: httpx.AsyncClient, sandbox: CalendlySandbox, ids: AdviserIds) -> None:
    made = await act(browser, "event_types", {"name": "Second opinion", "duration": 45})
    assert made["duration"] == 45
    review = ids.event_types["Review"]
    asked = await act(browser, f"event_types/{review}/questions", {"custom_questions": [{"name": "Why?"}]})
    assert [one["name"] for one in asked["custom_questions"]] == ["Why?"]
    assert (await act(browser, f"event_types/{review}", {"active": False}))["active"] is False
    assert (await act(browser, f"event_types/{review}/delete"))["deleted_at"] is not None
    await act(browser, f"users/{ids.user}/hours", {"monday": [["09:00", "10:00"]]})
    assert sandbox.state.owner.hours == {"monday": (("09:00", "10:00"),)}
    window = {"start_time": TUESDAY.isoformat(), "end_time": (TUESDAY + timedelta(hours=1)).isoformat()}
    await act(browser, "busy_times", window)
    assert len(sandbox.state.busy_times) == 1
    assert (await act(browser, "users", {"name": "Omar", "email": "omar@w.example"}))["name"] == "Omar"
    await act(browser, "tokens", {"token": "small", "scopes": ["users:read"]})
    await act(browser, "tokens/small/scopes", {"scopes": []})
    await act(browser, "tokens/small/expire")
    assert (await act(browser, "tokens/small/revoke")) == {"scopes": [], "revoked": True}
    assert (await act(browser, "deliver")) == {"sent": 0}


async def test_the_clock_is_set_over_json(browser: httpx.AsyncClient, clock: Clock) -> None:
    await browser.put("/_sandbox/clock", json={"advance_seconds": 90})
    assert clock() == MONDAY + timedelta(seconds=90)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("event_types/nothing/book", {"start_time": "2026-11-24T15:00:00Z"}),
        ("event_types/{review}/book", {"start_time": "2026-11-24T03:00:00Z"}),
        ("event_types/{review}/book", {"start_time": "soon"}),
        ("event_types/{review}/questions", {"custom_questions": [{"name": "Why?", "type": "riddle"}]}),
        ("event_types/{review}", {"price": 100}),
        ("event_types", {"name": "No length"}),
        ("events/nothing/cancel", {}),
        ("invitees/nothing/cancel", {}),
        ("users/{user}/hours", {"noday": []}),
        ("users/{user}/hours", {"monday": [["12:00", "09:00"]]}),
        ("busy_times", {"start_time": "2026-11-24T15:00:00Z", "end_time": "2026-11-24T15:00:00Z"}),
        ("tokens", {"token": "t", "scopes": ["everything"]}),
        ("tokens/unknown/revoke", {}),
        ("users", {"name": "Omar", "email": "omar@w.example", "role": "king"}),
    ],
)
async def test_an_act_that_makes_no_sense_is_refused_with_a_sentence(
    browser: httpx.AsyncClient, ids: AdviserIds, path: str, body: Json
) -> None:
    path = path.format(review=ids.event_types["Review"], user=ids.user)
    response = await browser.post(f"/_sandbox/{path}", json=body)
    assert response.status_code == 400
    assert response.json()["message"]


def test_what_has_ended_is_not_cancelled_or_moved_again(
    sandbox: CalendlySandbox, ids: AdviserIds, clock: Clock
) -> None:
    invitee = sandbox.book(ids.uris["Review"], TUESDAY)
    other = sandbox.book(ids.uris["Review"], TUESDAY + timedelta(hours=1))
    sandbox.cancel_as_host(invitee["event"])
    with pytest.raises(BadControl, match="cancelled already"):
        sandbox.cancel_as_host(invitee["event"])
    with pytest.raises(BadControl, match="cancelled already"):
        sandbox.reschedule(invitee["uri"], TUESDAY + timedelta(hours=2))
    clock.set(TUESDAY + timedelta(hours=2))
    with pytest.raises(BadControl, match="has begun"):
        sandbox.cancel_as_invitee(other["uri"])


def test_a_move_may_overlap_the_time_that_it_leaves(sandbox: CalendlySandbox, ids: AdviserIds) -> None:
    invitee = sandbox.book(ids.uris["Advice session"], TUESDAY)
    moved = sandbox.reschedule(invitee["uri"], TUESDAY + timedelta(minutes=30))
    assert moved["status"] == "active"


# Calendly's public pages


async def test_a_visitor_books_on_the_public_page_with_tracking_from_the_address(
    sandbox: CalendlySandbox, browser: httpx.AsyncClient, ids: AdviserIds
) -> None:
    page_url = "http://calendly.test/site/nora-whitfield/advice-session?utm_source=shop&utm_content=flow_1"
    page = await browser.get(page_url)
    for words in ("Advice session", "Nora Whitfield", "Tue 24 Nov 2026, 10:00", "What would you like to talk about?"):
        assert words in page.text
    form = {"start_time": "2026-11-24T15:00:00Z", "name": "Ada Example", "email": "ada@example.test", "q0": "A house"}
    done = await browser.post(page_url, data=form)
    assert "You are scheduled" in done.text
    invitee = next(iter(sandbox.state.invitees.values()))
    assert (invitee.tracking["utm_source"], invitee.tracking["utm_content"]) == ("shop", "flow_1")
    assert invitee.answers[0]["answer"] == "A house"
    again = await browser.post(page_url, data=form)
    assert again.status_code == 409
    assert "is not free" in again.text


async def test_the_public_page_demands_answers_to_required_questions(
    sandbox: CalendlySandbox, browser: httpx.AsyncClient, ids: AdviserIds
) -> None:
    sandbox.change_questions(ids.uris["Review"], [{"name": "Why?", "required": True}])
    form = {"start_time": "2026-11-24T15:00:00Z", "name": "Ada Example", "email": "ada@example.test"}
    refused = await browser.post("/site/nora-whitfield/review", data=form)
    assert refused.status_code == 409
    assert sandbox.state.invitees == {}


@pytest.mark.parametrize("path", ["/site/nora-whitfield/nothing", "/site/cancellations/nothing"])
async def test_a_page_that_is_not_there_says_so(browser: httpx.AsyncClient, path: str) -> None:
    assert (await browser.get(path)).status_code == 404


async def test_anyone_who_has_the_link_cancels_with_a_reason(
    sandbox: CalendlySandbox, browser: httpx.AsyncClient, ids: AdviserIds
) -> None:
    link = sandbox.book(ids.uris["Review"], TUESDAY)["cancel_url"]
    assert "Cancel this event?" in (await browser.get(link)).text
    done = await browser.post(link, data={"reason": "Ill"})
    assert "This event is cancelled" in done.text
    cancelled = next(iter(sandbox.state.invitees.values())).cancellation
    assert cancelled is not None
    assert (cancelled.canceler_type, cancelled.reason) == ("invitee", "Ill")
    assert "<button" not in (await browser.get(link)).text


async def test_anyone_who_has_the_link_moves_to_a_free_time(
    sandbox: CalendlySandbox, browser: httpx.AsyncClient, ids: AdviserIds
) -> None:
    sandbox.book(ids.uris["Review"], TUESDAY + timedelta(hours=1))
    link = sandbox.book(ids.uris["Review"], TUESDAY)["reschedule_url"]
    page = (await browser.get(link)).text
    assert 'value="2026-11-24T15:30:00Z"' in page
    assert 'value="2026-11-24T16:00:00Z"' not in page
    taken = await browser.post(link, data={"start_time": "2026-11-24T16:00:00Z"})
    assert taken.status_code == 409
    done = await browser.post(link, data={"start_time": "2026-11-24T15:30:00Z"})
    assert "Your event is rescheduled" in done.text
    assert "This event is cancelled" in (await browser.get(link)).text


def test_links_lead_where_the_site_is(sandbox: CalendlySandbox, ids: AdviserIds) -> None:
    invitee = sandbox.book(ids.uris["Review"], TUESDAY)
    assert urlsplit(invitee["cancel_url"]).path.startswith("/site/cancellations/")
    assert invitee["uri"].startswith("https://api.calendly.com/scheduled_events/")
