"""What the product relies on at Calendly, asked over plain HTTP.

Runs against the sandbox, or against the real service when CALENDLY_CONTRACT_TOKEN is set (a test account; about 100
calls, 15 of the day's 100 creates, and real mails to example.com). What Calendly's documents leave open is not asserted
here; the sandbox's own choices have unit tests.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from sandbox.clock import Clock
from tests.contract.calendly_fixtures import NO_TRACKING, Account, Json, contract_client, stamp


@pytest.fixture
async def account() -> AsyncIterator[Account]:
    """Give an account and cancel afterwards what was booked in it."""
    async with contract_client() as client:
        account = Account(client, now=Clock())
        yield account
        await account.clean_up()


def is_error(response: httpx.Response, status: int, title: str) -> bool:
    """Tell whether an answer is an error in the one shape that all have."""
    body = response.json()
    return (response.status_code, body["title"]) == (status, title) and isinstance(body["message"], str)


# transport


async def test_a_wrong_token_is_turned_away(account: Account) -> None:
    response = await account.client.get("/users/me", headers={"authorization": "Bearer nonsense"})
    assert is_error(response, 401, "Unauthenticated")


async def test_every_answer_tells_how_many_calls_are_left_and_for_how_many_seconds(account: Account) -> None:
    response = await account.client.get("/users/me")
    limit, remaining, reset = (int(response.headers[f"x-ratelimit-{name}"]) for name in ("limit", "remaining", "reset"))
    assert 0 <= remaining < limit
    assert 0 <= reset <= 60


async def test_the_token_names_its_user_and_organization(account: Account) -> None:
    me = await account.me()
    assert me["uri"].startswith("https://api.calendly.com/users/")
    assert me["current_organization"].startswith("https://api.calendly.com/organizations/")
    assert {"name", "email", "slug", "timezone", "scheduling_url"} <= set(me)
    assert (await account.get(me["uri"]))["resource"]["uri"] == me["uri"]


# event types


async def test_a_list_comes_in_pages_that_a_token_turns(account: Account) -> None:
    user = (await account.me())["uri"]
    everything = (await account.get("/event_types", user=user, count=100))["collection"]
    first = await account.get("/event_types", user=user, count=1)
    assert first["collection"] == everything[:1]
    assert set(first["pagination"]) == {
        "count",
        "next_page",
        "previous_page",
        "next_page_token",
        "previous_page_token",
    }
    if len(everything) > 1:
        token = first["pagination"]["next_page_token"]
        second = await account.get("/event_types", user=user, count=1, page_token=token)
        assert second["collection"] == everything[1:2]
    else:
        assert first["pagination"]["next_page_token"] is None


@pytest.mark.parametrize("count", ["0", "101"])
async def test_a_page_has_one_to_a_hundred_entries(account: Account, count: str) -> None:
    query = {"user": (await account.me())["uri"], "count": count}
    assert is_error(await account.client.get("/event_types", params=query), 400, "Invalid Argument")


async def test_event_types_are_listed_for_a_user_or_an_organization(account: Account) -> None:
    assert is_error(await account.client.get("/event_types"), 400, "Invalid Argument")


async def test_an_event_type_tells_all_but_its_price(account: Account) -> None:
    listed = await account.event_type()
    shown = (await account.get(listed["uri"]))["resource"]
    assert shown["uri"] == listed["uri"]
    known = {"name", "active", "slug", "scheduling_url", "duration", "kind", "pooling_type", "type", "booking_method"}
    known |= {"color", "created_at", "updated_at", "deleted_at", "description_plain", "profile", "secret"}
    assert known | {"custom_questions", "locations"} <= set(shown)
    assert not {"price", "amount", "currency", "payment"} & set(shown)


@pytest.mark.parametrize("path", ["event_types", "scheduled_events", "webhook_subscriptions"])
async def test_a_uri_that_names_nothing_is_not_found(account: Account, path: str) -> None:
    response = await account.client.get(f"/{path}/00000000-0000-4000-8000-000000000000")
    assert is_error(response, 404, "Resource Not Found")


# available times


async def test_available_times_have_a_start_and_no_end(account: Account) -> None:
    event_type = await account.event_type()
    start = Clock()() + timedelta(days=1)
    end = start + timedelta(days=7)
    window = {"start_time": stamp(start), "end_time": stamp(end)}
    body = await account.get("/event_type_available_times", event_type=event_type["uri"], **window)
    assert set(body) == {"collection"}
    assert body["collection"], "the account needs free times next week"
    for one in body["collection"]:
        assert set(one) == {"status", "invitees_remaining", "start_time", "scheduling_url"}
        assert (one["status"], one["invitees_remaining"]) == ("available", 1)
        assert start <= datetime.fromisoformat(one["start_time"]) <= end


@pytest.mark.parametrize(
    ("begins_in", "lasts"), [(-1, 2), (1, 32), (2, -1)], ids=["in the past", "beyond 31 days", "ends before it starts"]
)
async def test_a_window_lies_in_the_future_and_is_31_days_at_most(account: Account, begins_in: int, lasts: int) -> None:
    event_type, start = await account.event_type(), Clock()() + timedelta(days=begins_in)
    query = {
        "event_type": event_type["uri"],
        "start_time": stamp(start),
        "end_time": stamp(start + timedelta(days=lasts)),
    }
    response = await account.client.get("/event_type_available_times", params=query)
    assert is_error(response, 400, "Invalid Argument")


async def test_busy_times_name_the_event_that_takes_the_time(account: Account) -> None:
    start = Clock()() + timedelta(hours=1)
    window = {"start_time": stamp(start), "end_time": stamp(start + timedelta(days=6))}
    body = await account.get("/user_busy_times", user=(await account.me())["uri"], **window)
    for one in body["collection"]:
        assert one["type"] in ("calendly", "external")
        assert one["start_time"] < one["end_time"]
        assert ("event" in one) is (one["type"] == "calendly")


# booking


async def test_a_booking_makes_one_invitee_and_one_event_of_the_types_length(account: Account) -> None:
    event_type = await account.event_type()
    start = (await account.times(event_type))[0]
    invitee = await account.book(event_type, start)
    assert invitee["uri"].startswith(f"{invitee['event']}/invitees/")
    assert (invitee["email"], invitee["status"], invitee["timezone"]) == ("kim@example.com", "active", "Europe/Berlin")
    assert (invitee["rescheduled"], invitee["old_invitee"], invitee["new_invitee"]) == (False, None, None)
    assert invitee["payment"] is None
    assert invitee["cancel_url"] != invitee["reschedule_url"]
    event = (await account.get(invitee["event"]))["resource"]
    starts, ends = (datetime.fromisoformat(event[name]) for name in ("start_time", "end_time"))
    assert starts == datetime.fromisoformat(start)
    assert ends - starts == timedelta(minutes=event_type["duration"])
    assert (event["status"], event["event_type"]) == ("active", event_type["uri"])
    assert (event["invitees_counter"]["total"], event["invitees_counter"]["active"]) == (1, 1)
    assert [one["user"] for one in event["event_memberships"]] == [(await account.me())["uri"]]


async def test_an_invitee_is_read_alone_and_in_the_list_of_its_event(account: Account) -> None:
    event_type = await account.event_type()
    invitee = await account.book(event_type, (await account.times(event_type))[0])
    assert (await account.get(invitee["uri"]))["resource"]["uri"] == invitee["uri"]
    listed = await account.get(f"{invitee['event']}/invitees", email=invitee["email"], status="active")
    assert [one["uri"] for one in listed["collection"]] == [invitee["uri"]]


async def test_tracking_comes_back_as_it_was_given(account: Account) -> None:
    tracking = NO_TRACKING | {"utm_source": "holdfast", "utm_content": "bk_01J9ZX8M5Q7R2T4V6W8Y0A1B2C"}
    event_type = await account.event_type()
    invitee = await account.book(event_type, (await account.times(event_type))[0], tracking=tracking)
    assert (await account.get(invitee["uri"]))["resource"]["tracking"] == tracking


async def test_without_tracking_all_six_keys_are_empty(account: Account) -> None:
    event_type = await account.event_type()
    invitee = await account.book(event_type, (await account.times(event_type))[0])
    assert invitee["tracking"] == NO_TRACKING


@pytest.mark.parametrize(
    "wrong",
    [
        {"tracking": {"utm_source": "holdfast", "utm_content": "bk_1"}},
        {"start_time": None},
        {"event_type": None},
        {"invitee": {"name": "Kim Doe", "first_name": "Kim", "timezone": "Europe/Berlin"}},
        {"invitee": {"email": "kim@example.com", "name": "Kim Doe", "first_name": "Kim"}},
        {"event_guests": [f"guest{number}@example.com" for number in range(11)]},
    ],
    ids=["part of the tracking", "no start", "no type", "no email", "no time zone", "eleven guests"],
)
async def test_a_create_that_leaves_out_what_is_required_is_refused(account: Account, wrong: Json) -> None:
    event_type = await account.event_type()
    body = account.order(event_type, (await account.times(event_type))[0], **wrong)
    assert is_error(await account.post(body), 400, "Invalid Argument")


@pytest.mark.parametrize("wrong_by", [timedelta(minutes=1), timedelta(days=-60)], ids=["off the grid", "in the past"])
async def test_a_start_that_is_no_available_time_is_refused(account: Account, wrong_by: timedelta) -> None:
    event_type = await account.event_type()
    start = datetime.fromisoformat((await account.times(event_type))[0]) + wrong_by
    assert is_error(await account.post(account.order(event_type, stamp(start))), 400, "Invalid Argument")


async def test_a_time_that_is_taken_is_not_booked_again(account: Account) -> None:
    event_type = await account.event_type()
    start = (await account.times(event_type))[0]
    await account.book(event_type, start)
    second = await account.post(account.order(event_type, start))
    assert 400 <= second.status_code < 500


# cancellation


async def test_cancelling_ends_the_event_for_all_and_works_once(account: Account) -> None:
    event_type = await account.event_type()
    invitee = await account.book(event_type, (await account.times(event_type))[0])
    response = await account.cancel(invitee["event"])
    assert response.status_code == 201
    cancellation = response.json()["resource"]
    assert cancellation["canceler_type"] == "host"
    assert {"canceled_by", "reason", "created_at"} <= set(cancellation)
    assert (await account.get(invitee["event"]))["resource"]["status"] == "canceled"
    cancelled = (await account.get(invitee["uri"]))["resource"]
    assert (cancelled["status"], cancelled["rescheduled"]) == ("canceled", False)
    again = await account.cancel(invitee["event"])
    assert is_error(again, 403, "Permission Denied")
    assert again.json()["message"] == "Event is already canceled"


@pytest.mark.parametrize("verb", ["reschedule", "rescheduling", "hold", "reserve"])
async def test_nothing_moves_or_holds_an_event(account: Account, verb: str) -> None:
    event_type = await account.event_type()
    invitee = await account.book(event_type, (await account.times(event_type))[0])
    response = await account.client.post(f"{invitee['event']}/{verb}", json={})
    assert response.status_code in (404, 405)


async def test_events_are_listed_in_order_by_status(account: Account) -> None:
    user = (await account.me())["uri"]
    for status in ("active", "canceled"):
        listed = await account.get("/scheduled_events", user=user, status=status, sort="start_time:desc", count=100)
        assert {one["status"] for one in listed["collection"]} <= {status}
        starts = [one["start_time"] for one in listed["collection"]]
        assert starts == sorted(starts, reverse=True)


async def test_a_list_of_events_needs_an_owner(account: Account) -> None:
    assert is_error(await account.client.get("/scheduled_events"), 400, "Invalid Argument")


# webhooks

HOOK = "https://example.com/holdfast-contract"


async def test_a_subscription_is_made_once_for_a_url_and_read_without_its_key(account: Account) -> None:
    response = await account.subscribe(HOOK)
    assert response.status_code == 201, response.text
    made = response.json()["resource"]
    assert (made["callback_url"], made["state"], made["scope"]) == (HOOK, "active", "user")
    assert made["retry_started_at"] is None
    assert "contract-signing-key" not in response.text
    assert is_error(await account.subscribe(HOOK), 409, "Already Exists")
    assert (await account.get(made["uri"]))["resource"]["uri"] == made["uri"]
    owner = {"organization": made["organization"], "user": made["user"], "scope": "user"}
    listed = await account.get("/webhook_subscriptions", **owner, count=100)
    assert made["uri"] in [one["uri"] for one in listed["collection"]]
    assert (await account.client.delete(made["uri"])).status_code == 204
    assert (await account.client.get(made["uri"])).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [{"url": "not an address"}, {"events": ["invitee.moved"]}, {"scope": "planet"}, {"organization": None}],
    ids=["no address", "an unknown event", "an unknown scope", "no organization"],
)
async def test_a_subscription_that_makes_no_sense_is_refused(account: Account, wrong: dict[str, Any]) -> None:
    assert is_error(await account.subscribe(HOOK, **wrong), 400, "Invalid Argument")


async def test_the_payload_of_a_webhook_is_the_invitee_itself(account: Account) -> None:
    me = await account.me()
    owner = {"organization": me["current_organization"], "user": me["uri"], "scope": "user"}
    sample = await account.get("/sample_webhook_data", event="invitee.created", **owner)
    assert sample["event"] == "invitee.created"
    assert {"created_at", "created_by"} <= set(sample)
    assert isinstance(sample["payload"]["uri"], str)
    assert isinstance(sample["payload"]["event"], str)
    assert "scheduled_event" in sample["payload"]
