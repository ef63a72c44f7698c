"""The Cal.com sandbox's own side: switches, faults, limits, strangers and owners, and its answers to open questions."""

import asyncio
import hashlib
import hmac
import json
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from sandbox.calcom import Account, BadControl, CalcomSandbox, ConnectionDropped, Fault
from sandbox.calcom.acts import BY_NAME
from sandbox.calcom.seed import CoachIds, seed_coach
from sandbox.clock import Clock
from sandbox.serve import serve_app
from tests.contract.calcom_fixtures import ATTENDEE, CANCELLED, Coach, Json

FRIDAY = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
CONFIRMED_BY_HAND: Json = {"type": "always", "blockUnconfirmedBookingsInBooker": False}
SECRET = "a secret of thirty-two characters"
OTTO = Account("otto", "Otto Other", "otto@example.test", "Europe/Berlin")


@dataclass
class Receiver:
    """Where webhooks arrive; answers with `status`."""

    status: int = 200
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        self.got.append((dict(request.headers), await request.body()))
        self.arrived.set()
        headers = {"location": "/elsewhere"} if self.status == 302 else {}
        await Response(status_code=self.status, headers=headers)(scope, receive, send)

    @property
    def events(self) -> list[Json]:
        """The bodies, in the order in which they came."""
        return [json.loads(body) for _, body in self.got]

    @property
    def triggers(self) -> list[str]:
        """What was told, in the order in which it came."""
        return [event["triggerEvent"] for event in self.events]


@pytest.fixture
def clock() -> Clock:
    """Stand still on a Friday morning."""
    return Clock(FRIDAY)


@pytest.fixture
def receiver() -> Receiver:
    """Somebody who is told."""
    return Receiver()


@pytest.fixture
async def sandbox(clock: Clock, receiver: Receiver) -> AsyncIterator[CalcomSandbox]:
    """An account without event types."""
    transport = httpx.ASGITransport(app=receiver)
    async with httpx.AsyncClient(transport=transport) as client:
        yield CalcomSandbox(now=clock, webhook_client=client)


@pytest.fixture
async def client(sandbox: CalcomSandbox) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the owner's key."""
    headers = {"authorization": f"Bearer {sandbox.token}"}
    transport = sandbox.transport()
    async with httpx.AsyncClient(transport=transport, base_url="http://cal.test/v2", headers=headers) as client:
        yield client


@pytest.fixture
async def control(sandbox: CalcomSandbox) -> AsyncIterator[httpx.AsyncClient]:
    """The operator's client."""
    transport = sandbox.transport()
    async with httpx.AsyncClient(transport=transport, base_url="http://cal.test/_sandbox") as client:
        yield client


@pytest.fixture
def coach(client: httpx.AsyncClient, clock: Clock) -> Coach:
    """Shorthands for making things."""
    return Coach(client, clock, random.Random(1))


async def subscribe(coach: Coach, **more: Any) -> Json:
    """Ask for everything that happens to bookings."""
    triggers = (
        "CREATED",
        "RESCHEDULED",
        "REQUESTED",
        "CANCELLED",
        "REJECTED",
        "NO_SHOW_UPDATED",
        "PAYMENT_INITIATED",
        "PAID",
    )
    body: Json = {"subscriberUrl": "http://us.test/hook", "secret": SECRET}
    return await coach.webhook(**body | {"triggers": [f"BOOKING_{what}" for what in triggers]} | more)


def instant(coach: Coach, wall: str) -> datetime:
    """A wall time of the open day."""
    return datetime.fromisoformat(coach.at(wall))


def message(response: httpx.Response) -> str:
    """What a refusal says."""
    return str(response.json()["error"]["message"])


# the version header, keys


@pytest.mark.parametrize("path", ["slots", "bookings", "event-types", "schedules"])
@pytest.mark.parametrize("version", ["", "2024-04-15", "nonsense"])
async def test_a_forgotten_or_unknown_version_finds_no_route(coach: Coach, path: str, version: str) -> None:
    response = await coach.call("GET", path, version=version)
    assert response.status_code == 404
    assert message(response) == f"Cannot GET /v2/{path}"


async def test_both_versions_of_bookings_are_answered(coach: Coach) -> None:
    uid = (await coach.booked(await coach.event_type(), "10:00"))["uid"]
    for version in ("2024-08-13", "2026-02-25"):
        assert (await coach.call("GET", f"bookings/{uid}", version=version)).status_code == 200


async def test_an_expired_key_is_refused_even_where_none_is_needed(sandbox: CalcomSandbox, coach: Coach) -> None:
    uid = (await coach.booked(await coach.event_type(), "10:00"))["uid"]
    sandbox.expire_key()
    for path in ("me", f"bookings/{uid}"):
        response = await coach.call("GET", path)
        assert response.status_code == 401
        assert message(response) == "CustomThrottlerGuard - Invalid API Key"
    assert (await coach.call("GET", f"bookings/{uid}", anonymous=True)).status_code == 200
    sandbox.renew_key()
    assert (await coach.call("GET", "me")).status_code == 200


async def test_a_key_is_replaced_by_one_that_ends_in_thirty_days(
    clock: Clock, client: httpx.AsyncClient, coach: Coach
) -> None:
    fresh = (await coach.call("POST", "api-keys/refresh", {})).json()["data"]["apiKey"]
    assert (await coach.call("GET", "me")).status_code == 401
    client.headers["authorization"] = f"Bearer {fresh}"
    assert (await coach.call("GET", "me")).status_code == 200
    clock.advance(timedelta(days=30))
    assert (await coach.call("GET", "me")).status_code == 401


async def test_a_browser_may_ask_from_any_origin(client: httpx.AsyncClient) -> None:
    preflight = await client.options("slots", headers={"origin": "https://elsewhere.test"})
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "cal-api-version" in preflight.headers["access-control-allow-headers"]


# limits


async def test_the_hundred_and_twenty_first_request_of_a_minute_begins_a_block(clock: Clock, coach: Coach) -> None:
    answers = [await coach.call("GET", "me") for _ in range(120)]
    assert {answer.status_code for answer in answers} == {200}
    assert answers[-1].headers["x-ratelimit-remaining-default"] == "0"
    clock.advance(timedelta(seconds=50))
    blocked = await coach.call("GET", "me")
    assert blocked.status_code == 429
    assert blocked.json()["error"]["code"] == "ThrottlerException"
    assert "retry-after" not in blocked.headers
    clock.advance(timedelta(seconds=59))
    assert (await coach.call("GET", "me")).status_code == 429
    clock.advance(timedelta(seconds=1))
    assert (await coach.call("GET", "me")).status_code == 200


async def test_who_sends_no_key_has_an_allowance_of_their_own(sandbox: CalcomSandbox, coach: Coach) -> None:
    sandbox.switches.rate_limit_per_minute = 1
    assert [(await coach.call("GET", "me")).status_code for _ in range(2)] == [200, 429]
    assert (await coach.call("GET", "event-types", anonymous=True)).status_code == 200


async def test_the_reset_is_told_in_seconds_or_as_unix_time(sandbox: CalcomSandbox, coach: Coach) -> None:
    assert (await coach.call("GET", "me")).headers["x-ratelimit-reset-default"] == "60"
    sandbox.switches.rate_reset = "unix"
    at = (await coach.call("GET", "me")).headers["x-ratelimit-reset-default"]
    assert int(at) == int(FRIDAY.timestamp()) + 60


async def test_a_block_may_tell_when_to_come_back(sandbox: CalcomSandbox, coach: Coach) -> None:
    sandbox.switches.update({"retry_after_header": True, "rate_limit_per_minute": 1})
    first, blocked = await coach.call("GET", "me"), await coach.call("GET", "me")
    assert "retry-after" not in first.headers
    assert blocked.headers["retry-after"] == "60"


async def test_a_request_beyond_the_limit_has_no_effect(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    sandbox.switches.rate_limit_per_minute = 1
    assert (await coach.reserve(kind, "10:00")).status_code == 429
    assert sandbox.state.reservations == {}


# faults


@pytest.mark.parametrize(
    ("fault", "status", "happens"),
    [
        (Fault("error_before"), 500, False),
        (Fault("error_after"), 500, True),
        (Fault("error_after", status=503), 503, True),
        (Fault("html_body"), 502, False),
        (Fault("rate_limited"), 429, False),
        (Fault("refuse", status=401), 401, False),
    ],
)
async def test_a_fault_strikes_the_next_call_before_or_after_its_effect(
    sandbox: CalcomSandbox, coach: Coach, fault: Fault, status: int, happens: bool
) -> None:
    kind = await coach.event_type()
    sandbox.faults.append(fault)
    assert (await coach.book(kind, "10:00")).status_code == status
    assert bool(sandbox.state.bookings) is happens
    assert sandbox.faults == []


@pytest.mark.parametrize(
    ("kind", "error", "happens"),
    [
        ("drop_before", httpx.ReadError, False),
        ("drop_after", httpx.ReadError, True),
        ("hang", httpx.ReadTimeout, False),
        ("hang_after", httpx.ReadTimeout, True),
    ],
)
async def test_a_reply_can_be_lost_with_the_effect_or_without(
    sandbox: CalcomSandbox, coach: Coach, kind: Any, error: type[Exception], happens: bool
) -> None:
    event_type = await coach.event_type()
    sandbox.faults.append(Fault(kind, method="POST", path="/bookings"))
    with pytest.raises(error):
        await coach.book(event_type, "10:00")
    assert bool(sandbox.state.bookings) is happens
    assert sandbox.calls[-1].status is None


async def test_bodies_of_faults_are_as_broken_as_real_ones(sandbox: CalcomSandbox, coach: Coach) -> None:
    sandbox.faults += [Fault("error_before"), Fault("html_body"), Fault("truncated_json")]
    bare, page, cut = [await coach.call("GET", "me") for _ in range(3)]
    assert bare.json() == {"statusCode": 500, "message": "Internal server error"}
    assert "<h1>502" in page.text
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        cut.json()


async def test_a_plain_asgi_transport_sees_a_dropped_connection_as_its_own_error(sandbox: CalcomSandbox) -> None:
    sandbox.faults.append(Fault("drop_before"))
    transport = httpx.ASGITransport(app=sandbox.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://cal.test") as plain:
        with pytest.raises(ConnectionDropped):
            await plain.get("/v2/me")


async def test_over_a_socket_the_connection_is_cut_or_silent(sandbox: CalcomSandbox) -> None:
    sandbox.faults += [Fault("drop_before"), Fault("hang")]
    headers = {"authorization": f"Bearer {sandbox.token}"}
    async with serve_app(sandbox.app, port=0) as url, httpx.AsyncClient(base_url=url, headers=headers) as real:
        with pytest.raises(httpx.RemoteProtocolError):
            await real.get("/v2/me")
        with pytest.raises(httpx.ReadTimeout):
            await real.get("/v2/me", timeout=0.2)
        assert (await real.get("/v2/me")).status_code == 200


# bodies


async def test_a_body_must_be_a_json_object(client: httpx.AsyncClient, coach: Coach) -> None:
    headers = {"cal-api-version": "2024-08-13", "content-type": "application/json"}
    for content in (b"{", b"[]"):
        assert (await client.post("bookings", content=content, headers=headers)).status_code == 400
    as_form = await client.post(
        "bookings", data={"start": coach.at("10:00")}, headers={"cal-api-version": "2024-08-13"}
    )
    errors = as_form.json()["error"]["details"]["errors"]
    assert [error["property"] for error in errors] == ["start", "attendee"]


@pytest.mark.parametrize("start", ["2026-12-01T10:00:00+01:00", "2026-12-01T10:00:00", "2026-12-01", 1764579600])
async def test_a_start_that_is_not_utc_is_refused(coach: Coach, start: Any) -> None:
    response = await coach.book(await coach.event_type(), "10:00", start=start)
    assert response.status_code == 400
    assert response.json()["error"]["details"]["errors"][0]["property"] == "start"


async def test_a_filter_that_the_list_does_not_know_is_ignored(coach: Coach) -> None:
    await coach.booked(await coach.event_type(), "10:00", metadata={"holdfast_id": "bk_1"})
    assert len(await coach.get("bookings", metadata="bk_2", holdfast_id="bk_2")) == 1


# reservations


async def race(coach: Coach, *calls: Callable[[], Any]) -> list[int]:
    """Make calls at once and return the statuses."""
    answers = await asyncio.gather(*(call() for call in calls))
    return sorted(answer.status_code for answer in answers)


@pytest.mark.parametrize("parties", [0, 3])
async def test_parallel_reservations_of_one_time_all_succeed_in_the_gap(
    sandbox: CalcomSandbox, coach: Coach, parties: int
) -> None:
    kind = await coach.event_type()
    reserve = [lambda: coach.reserve(kind, "10:00")] * 3
    sandbox.switches.update({"race_mode": "gap", "race_parties": parties})
    assert await race(coach, *reserve) == [201, 201, 201]
    sandbox.state.reservations.clear()
    sandbox.switches.race_mode = "atomic"
    assert await race(coach, *reserve) == [201, 422, 422]


async def test_a_reservation_lapses_by_the_clock_and_is_shown_until_a_listing_cleans_up(
    clock: Clock, coach: Coach
) -> None:
    kind = await coach.event_type()
    path = f"slots/reservations/{(await coach.reserved(kind, '10:00', reservationDuration=60))['reservationUid']}"
    clock.advance(timedelta(minutes=59))
    assert "10:00" not in await coach.starts(kind)
    clock.advance(timedelta(minutes=1))
    assert (await coach.get(path))["slotStart"] == instant(coach, "10:00").strftime("%Y-%m-%dT%H:%M:%S.000Z")
    assert "10:00" in await coach.starts(kind)
    assert await coach.get(path) is None


async def test_a_lapsed_reservation_is_in_nobodys_way(clock: Clock, coach: Coach) -> None:
    kind, other = await coach.event_type(), await coach.event_type()
    await coach.reserved(kind, "10:00")
    clock.advance(timedelta(minutes=5))
    assert "10:00" in await coach.starts(other)
    await coach.reserved(kind, "10:00")


async def test_a_stranger_with_a_key_reserves_for_five_minutes_and_no_longer(
    sandbox: CalcomSandbox, client: httpx.AsyncClient, coach: Coach
) -> None:
    kind = await coach.event_type()
    sandbox.add_user(OTTO, "cal_otto")
    client.headers["authorization"] = "Bearer cal_otto"
    assert (await coach.reserve(kind, "10:00", reservationDuration=10)).status_code == 403
    assert (await coach.reserve(kind, "10:00")).status_code == 201


async def test_reservations_may_have_a_longest_life(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    await coach.reserved(kind, "09:00", reservationDuration=100_000)
    sandbox.switches.reservation_cap_minutes = 60
    assert (await coach.reserve(kind, "10:00", reservationDuration=61)).status_code == 400
    await coach.reserved(kind, "10:00", reservationDuration=60)


async def test_a_stranger_books_what_we_reserved(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    await coach.reserved(kind, "10:00", reservationDuration=60)
    assert sandbox.book_as_stranger(kind, instant(coach, "10:00"))["status"] == "accepted"
    assert (await coach.book(kind, "10:00")).status_code == 400


async def test_a_create_may_be_made_to_look_at_reservations(clock: Clock, sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    made = await coach.reserved(kind, "10:00", reservationDuration=60)
    sandbox.switches.reservation_enforced = True
    clock.advance(timedelta(minutes=10))
    refused = await coach.book(kind, "10:00")
    assert refused.status_code == 409
    assert "3000 seconds" in message(refused)
    await coach.call("DELETE", f"slots/reservations/{made['reservationUid']}")
    await coach.booked(kind, "10:00")


# create


async def test_one_of_five_bookings_of_one_time_succeeds_when_the_check_is_atomic(coach: Coach) -> None:
    kind = await coach.event_type()
    assert await race(coach, *[lambda: coach.book(kind, "10:00")] * 5) == [201, 400, 400, 400, 400]


async def test_exact_twins_meet_the_unique_key_in_the_gap(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind, twin = await coach.event_type(), await coach.event_type()
    sandbox.switches.race_mode = "gap"
    assert await race(coach, lambda: coach.book(kind, "10:00"), lambda: coach.book(twin, "10:00")) == [201, 409]
    assert len(sandbox.state.bookings) == 1


async def test_overlaps_that_are_no_twins_both_succeed_in_the_gap(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind, longer = await coach.event_type(), await coach.event_type(lengthInMinutes=60)
    sandbox.switches.update({"race_mode": "gap", "race_parties": 2})
    assert await race(coach, lambda: coach.book(kind, "10:00"), lambda: coach.book(longer, "10:00")) == [201, 201]


async def test_the_key_of_a_cancelled_booking_is_free_again(coach: Coach) -> None:
    kind = await coach.event_type()
    first = await coach.booked(kind, "10:00")
    await coach.cancel(first["uid"], **CANCELLED)
    again = await coach.booked(kind, "10:00")
    assert again["uid"] != first["uid"]


async def test_taken_is_a_400_or_a_409(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    await coach.booked(kind, "10:00")
    assert message(await coach.book(kind, "10:00")) == (
        "User either already has booking at this time or is not available"
    )
    sandbox.switches.taken_status = 409
    assert (await coach.book(kind, "10:00")).status_code == 409


async def test_a_blocked_attendee_is_told_so_or_deceived(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    sandbox.block_attendee(ATTENDEE["email"].upper())
    assert (await coach.book(kind, "10:00")).status_code == 403
    sandbox.switches.decoy = True
    decoy = (await coach.book(kind, "10:00")).json()["data"]
    assert (decoy["id"], decoy["status"]) == (0, "accepted")
    assert sandbox.state.bookings == {}
    assert (await coach.call("GET", f"bookings/{decoy['uid']}")).status_code == 404


async def test_a_price_makes_bookings_pending_and_confirming_asks_for_no_money(
    sandbox: CalcomSandbox, receiver: Receiver, coach: Coach
) -> None:
    kind = await coach.event_type()
    await subscribe(coach)
    assert sandbox.set_price(kind, 5000)["price"] == 5000
    made = await coach.booked(kind, "10:00")
    assert made["status"] == "pending"
    assert not {"price", "paid"} & set(made)
    assert (await coach.call("POST", f"bookings/{made['uid']}/confirm")).json()["data"]["status"] == "accepted"
    await sandbox.deliver_due()
    assert receiver.triggers == ["BOOKING_PAYMENT_INITIATED", "BOOKING_CREATED"]
    sandbox.set_price(kind, 0)
    assert (await coach.booked(kind, "11:00"))["status"] == "accepted"


async def test_confirmation_can_be_asked_for_short_notice_alone(clock: Clock, coach: Coach) -> None:
    policy = CONFIRMED_BY_HAND | {"type": "time", "noticeThreshold": {"unit": "hours", "count": 24}}
    kind = await coach.event_type(confirmationPolicy=policy)
    assert (await coach.booked(kind, "10:00"))["status"] == "accepted"
    clock.set(instant(coach, "10:00") - timedelta(hours=12))
    assert (await coach.booked(kind, "11:00"))["status"] == "pending"


async def test_pending_bookings_block_their_own_type_where_it_says_so(coach: Coach) -> None:
    policy = CONFIRMED_BY_HAND | {"blockUnconfirmedBookingsInBooker": True}
    kind, other = await coach.event_type(confirmationPolicy=policy), await coach.event_type()
    await coach.booked(kind, "10:00")
    assert "10:00" not in await coach.starts(kind)
    assert "10:00" in await coach.starts(other)


async def test_a_confirmation_does_not_look_at_what_else_is_at_that_time(coach: Coach) -> None:
    waiting, other = await coach.event_type(confirmationPolicy=CONFIRMED_BY_HAND), await coach.event_type()
    pending = await coach.booked(waiting, "10:00")
    await coach.booked(other, "10:00")
    confirmed = await coach.call("POST", f"bookings/{pending['uid']}/confirm")
    assert confirmed.json()["data"]["status"] == "accepted"


async def test_a_cancelled_booking_is_confirmed_only_where_it_is_switched_so(
    sandbox: CalcomSandbox, coach: Coach
) -> None:
    made = await coach.booked(await coach.event_type(), "10:00")
    await coach.cancel(made["uid"], **CANCELLED)
    refused = await coach.call("POST", f"bookings/{made['uid']}/confirm")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "TRPCError")
    sandbox.switches.confirm_from_cancelled = "resurrects"
    assert (await coach.call("POST", f"bookings/{made['uid']}/confirm")).json()["data"]["status"] == "accepted"


async def test_another_user_manages_nothing_of_ours(
    sandbox: CalcomSandbox, client: httpx.AsyncClient, coach: Coach
) -> None:
    kind = await coach.event_type(confirmationPolicy=CONFIRMED_BY_HAND, bookingRequiresAuthentication=True)
    made = await coach.booked(kind, "10:00")
    schedule = await coach.schedule()
    sandbox.add_user(OTTO, "cal_otto")
    client.headers["authorization"] = "Bearer cal_otto"
    assert (await coach.call("POST", f"bookings/{made['uid']}/confirm")).status_code == 403
    assert (await coach.call("GET", f"event-types/{kind}")).status_code == 404
    assert (await coach.call("GET", f"schedules/{schedule}")).status_code == 403
    assert (await coach.book(kind, "11:00")).status_code == 403
    assert await coach.get("bookings") == []


async def test_a_public_page_may_stay_open_when_the_api_is_closed(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type(bookingRequiresAuthentication=True)
    sandbox.book_as_stranger(kind, instant(coach, "10:00"))
    sandbox.switches.page_requires_authentication = True
    with pytest.raises(BadControl, match="401"):
        sandbox.book_as_stranger(kind, instant(coach, "11:00"))


async def test_a_managed_parent_has_neither_slots_nor_bookings(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    sandbox.set_managed_parent(kind, True)
    params = {"eventTypeId": kind, "start": coach.at("00:00"), "end": coach.at("23:30")}
    assert (await coach.call("GET", "slots", params=params)).status_code == 400
    assert "parent managed event type" in message(await coach.book(kind, "10:00"))


async def test_an_email_that_must_be_verified_needs_the_code(coach: Coach) -> None:
    kind = await coach.event_type(requiresBookerEmailVerification=True)
    assert (await coach.book(kind, "10:00")).status_code == 400
    await coach.booked(kind, "10:00", emailVerificationCode="123456")


async def test_so_many_bookings_a_day_and_no_more(coach: Coach) -> None:
    kind = await coach.event_type(bookingLimitsCount={"day": 1})
    made = await coach.booked(kind, "10:00")
    assert await coach.starts(kind) == []
    assert (await coach.book(kind, "14:00")).status_code == 400
    assert (await coach.move(made["uid"], "14:00")).status_code == 201


async def test_a_type_of_variable_length_is_booked_in_the_length_that_was_asked_for(coach: Coach) -> None:
    kind = await coach.event_type(lengthInMinutesOptions=[30, 90])
    assert "16:00" not in await coach.starts(kind, duration=90)
    assert (await coach.booked(kind, "10:00", lengthInMinutes=90))["duration"] == 90
    assert (await coach.book(kind, "14:00", lengthInMinutes=45)).status_code == 400


async def test_a_phone_number_stands_for_an_email_only_where_the_type_says_so(coach: Coach) -> None:
    texting = {"name": "Ada Example", "timeZone": "Europe/Stockholm", "phoneNumber": "+46701234567"}
    plain = await coach.event_type()
    refused = await coach.book(plain, "10:00", attendee=texting)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "BAD_REQUEST")
    assert message(refused) == "responses - {email}error_required_field"
    fields: list[Json] = [
        {"type": "email", "required": False},
        {"type": "phone", "slug": "attendeePhoneNumber", "required": True},
    ]
    by_phone = await coach.event_type(bookingFields=fields)
    made = await coach.booked(by_phone, "10:00", attendee=texting)
    assert made["attendees"][0]["phoneNumber"] == "+46701234567"
    assert (await coach.book(by_phone, "11:00")).status_code == 400


async def test_a_place_that_the_attendee_names_must_be_named(coach: Coach) -> None:
    kind = await coach.event_type(locations=[{"type": "attendeePhone"}])
    assert (await coach.book(kind, "10:00")).status_code == 400
    made = await coach.booked(kind, "10:00", location={"type": "attendeePhone", "phone": "+46701234567"})
    assert made["location"] == "+46701234567"


async def test_answers_are_held_to_their_kind(coach: Coach) -> None:
    fields: list[Json] = [
        {"type": "number", "slug": "age", "label": "Age"},
        {"type": "select", "slug": "level", "label": "Level", "options": ["new", "old"]},
    ]
    kind = await coach.event_type(bookingFields=fields)
    assert (await coach.book(kind, "10:00", bookingFieldsResponses={"age": "forty"})).status_code == 400
    assert (await coach.book(kind, "10:00", bookingFieldsResponses={"level": "odd"})).status_code == 400
    await coach.booked(kind, "10:00", bookingFieldsResponses={"age": 40, "level": "new"})


# seats


async def test_seats_are_shared_until_they_are_gone(coach: Coach) -> None:
    seats = {"seatsPerTimeSlot": 2, "showAttendeeInfo": True, "showAvailabilityCount": True}
    kind = await coach.event_type(seats=seats)
    first = await coach.booked(kind, "10:00")
    second = await coach.booked(kind, "10:00", attendee=ATTENDEE | {"email": "bo@example.com"})
    assert second["uid"] == first["uid"]
    assert (await coach.book(kind, "10:00", attendee=ATTENDEE | {"email": "cy@example.com"})).status_code == 409
    assert (await coach.reserve(kind, "10:00")).status_code == 422
    slots = (await coach.slots(kind))[coach.day.isoformat()]
    assert "10:00" not in [one["start"][11:16] for one in slots]
    assert slots[0]["seatsRemaining"] == 2


async def test_a_seat_is_given_up_and_the_last_one_ends_the_booking(coach: Coach) -> None:
    seats = {"seatsPerTimeSlot": 2, "showAttendeeInfo": True, "showAvailabilityCount": True}
    kind = await coach.event_type(seats=seats)
    await coach.booked(kind, "10:00")
    made = await coach.booked(kind, "10:00", attendee=ATTENDEE | {"email": "bo@example.com"})
    one, two = (each["seatUid"] for each in made["attendees"])
    left = (await coach.cancel(made["uid"], seatUid=one)).json()["data"]
    assert (left["status"], len(left["attendees"])) == ("accepted", 1)
    assert (await coach.cancel(made["uid"], seatUid=one)).status_code == 400
    assert (await coach.cancel(made["uid"], seatUid=two)).json()["data"]["status"] == "cancelled"
    older = await coach.read(made["uid"])
    newer = await coach.call("GET", f"bookings/{made['uid']}", version="2026-02-25")
    assert older["attendees"] == []
    assert len(newer.json()["data"]["attendees"]) == 1


# moves, cancellations


async def test_a_move_by_the_attendee_waits_for_the_owner_and_one_by_the_owner_does_not(
    sandbox: CalcomSandbox, coach: Coach
) -> None:
    kind = await coach.event_type()
    mine, theirs = await coach.booked(kind, "10:00"), await coach.booked(kind, "11:00")
    sandbox.set_confirmation(kind, True)
    assert sandbox.move_as_owner(mine["uid"], instant(coach, "14:00"))["status"] == "accepted"
    assert sandbox.move_as_attendee(theirs["uid"], instant(coach, "15:00"))["status"] == "pending"


async def test_a_move_tells_who_moved_it_on_both_halves(sandbox: CalcomSandbox, coach: Coach) -> None:
    made = await coach.booked(await coach.event_type(), "10:00")
    new = sandbox.move_as_attendee(made["uid"], instant(coach, "14:00"), "Rain")
    assert new["rescheduledByEmail"] == ATTENDEE["email"]
    assert new["reschedulingReason"] == "Rain"
    old = await coach.read(made["uid"])
    assert old["rescheduledByEmail"] == ATTENDEE["email"]
    assert old["cancelledByEmail"] is None
    assert "rescheduledToUid" not in new


async def test_what_was_paid_at_cal_com_stays_paid_after_a_move(
    sandbox: CalcomSandbox, receiver: Receiver, coach: Coach
) -> None:
    kind = await coach.event_type()
    free = await coach.booked(kind, "10:00")
    sandbox.set_price(kind, 5000)
    await subscribe(coach)
    paid = sandbox.pay_at_calcom((await coach.booked(kind, "11:00"))["uid"])
    assert paid["status"] == "accepted"
    assert (await coach.move(free["uid"], "14:00")).json()["data"]["status"] == "pending"
    assert (await coach.move(paid["uid"], "15:00")).json()["data"]["status"] == "accepted"
    await sandbox.deliver_due()
    assert receiver.triggers[:3] == ["BOOKING_PAYMENT_INITIATED", "BOOKING_PAID", "BOOKING_CREATED"]


async def test_moving_can_be_disabled_for_attendees_wholly_or_close_to_the_start(
    clock: Clock, sandbox: CalcomSandbox, coach: Coach
) -> None:
    kind = await coach.event_type()
    made = await coach.booked(kind, "10:00")
    sandbox.set_rescheduling(kind, False)
    with pytest.raises(BadControl, match="403"):
        sandbox.move_as_attendee(made["uid"], instant(coach, "11:00"))
    sandbox.set_rescheduling(kind, True, minutes_before=240)
    clock.set(instant(coach, "08:30"))
    with pytest.raises(BadControl, match="403"):
        sandbox.move_as_attendee(made["uid"], instant(coach, "11:00"))
    moved = (await coach.move(made["uid"], "11:00")).json()["data"]
    sandbox.switches.disabled_rescheduling_binds_owner = True
    assert (await coach.move(moved["uid"], "12:00")).status_code == 403


async def test_a_cancelled_booking_is_moved_only_where_its_type_allows_it(coach: Coach) -> None:
    kind = await coach.event_type(allowReschedulingCancelledBookings=True)
    made = await coach.booked(kind, "10:00")
    await coach.cancel(made["uid"], **CANCELLED)
    assert (await coach.move(made["uid"], "14:00")).status_code == 201


async def test_a_host_who_asks_for_a_new_time_leaves_no_successor_until_the_attendee_picks_one(
    sandbox: CalcomSandbox, receiver: Receiver, coach: Coach
) -> None:
    made = await coach.booked(await coach.event_type(), "10:00", metadata={"holdfast_id": "bk_1"})
    await subscribe(coach)
    sandbox.ask_for_new_time(made["uid"])
    read = await coach.read(made["uid"])
    assert (read["status"], read["cancelledByEmail"]) == ("cancelled", sandbox.owner.email)
    assert "rescheduledToUid" not in read
    assert (await coach.move(made["uid"], "14:00")).status_code == 400
    picked = sandbox.move_as_attendee(made["uid"], instant(coach, "14:00"))
    assert (await coach.read(made["uid"]))["rescheduledToUid"] == picked["uid"]
    assert picked["metadata"] == {"holdfast_id": "bk_1"}
    await sandbox.deliver_due()
    assert receiver.triggers == ["BOOKING_CANCELLED", "BOOKING_RESCHEDULED"]
    assert receiver.events[0]["payload"]["requestReschedule"] is True


async def test_a_move_decided_in_a_race_does_not_bring_back_a_cancelled_booking(
    sandbox: CalcomSandbox, coach: Coach
) -> None:
    made = await coach.booked(await coach.event_type(), "10:00")
    sandbox.switches.race_mode = "gap"
    moved, cancelled = await asyncio.gather(coach.move(made["uid"], "14:00"), coach.cancel(made["uid"], **CANCELLED))
    assert (moved.status_code, cancelled.status_code) == (400, 200)
    assert len(sandbox.state.bookings) == 1


async def test_who_cancelled_is_told_by_address(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    by_link, by_owner = await coach.booked(kind, "10:00"), await coach.booked(kind, "11:00")
    by_nobody = await coach.booked(kind, "12:00")
    assert sandbox.cancel_as_attendee(by_link["uid"])["cancelledByEmail"] == ATTENDEE["email"]
    assert sandbox.cancel_as_owner(by_owner["uid"])["cancelledByEmail"] == sandbox.owner.email
    anonymous = await coach.call("POST", f"bookings/{by_nobody['uid']}/cancel", {}, anonymous=True)
    assert anonymous.json()["data"]["cancelledByEmail"] is None


async def test_what_is_over_is_not_cancelled_and_absence_can_be_marked(
    clock: Clock, sandbox: CalcomSandbox, receiver: Receiver, coach: Coach
) -> None:
    made = await coach.booked(await coach.event_type(), "10:00")
    await subscribe(coach)
    clock.set(instant(coach, "10:31"))
    assert (await coach.cancel(made["uid"], **CANCELLED)).status_code == 400
    body = {"attendees": [{"email": ATTENDEE["email"], "absent": True}]}
    marked = (await coach.call("POST", f"bookings/{made['uid']}/mark-absent", body)).json()["data"]
    assert marked["attendees"][0]["absent"] is True
    assert marked["absentHost"] is False
    await sandbox.deliver_due()
    assert receiver.triggers == ["BOOKING_NO_SHOW_UPDATED"]


async def test_disabled_cancelling_stops_the_links_in_the_mail_too(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    made = await coach.booked(kind, "10:00")
    sandbox.set_cancelling(kind, False)
    for cancel in (sandbox.cancel_as_attendee, sandbox.cancel_as_owner):
        with pytest.raises(BadControl, match="does not allow cancellations"):
            cancel(made["uid"])
    sandbox.set_cancelling(kind, True)
    sandbox.cancel_as_owner(made["uid"])


# the list


async def test_the_list_can_be_behind_and_a_single_read_is_not(
    clock: Clock, sandbox: CalcomSandbox, coach: Coach
) -> None:
    kind = await coach.event_type()
    sandbox.switches.list_lag_seconds = 10
    made = await coach.booked(kind, "10:00")
    assert await coach.get("bookings") == []
    assert (await coach.read(made["uid"]))["status"] == "accepted"
    clock.advance(timedelta(seconds=10))
    assert [one["status"] for one in await coach.get("bookings")] == ["accepted"]
    await coach.cancel(made["uid"], **CANCELLED)
    assert [one["status"] for one in await coach.get("bookings")] == ["accepted"]
    clock.advance(timedelta(seconds=10))
    assert [one["status"] for one in await coach.get("bookings")] == ["cancelled"]


async def test_every_change_is_found_by_when_it_was_made(clock: Clock, sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    moved, stays = await coach.booked(kind, "10:00"), await coach.booked(kind, "11:00")
    clock.advance(timedelta(minutes=1))
    since = clock().strftime("%Y-%m-%dT%H:%M:%SZ")
    new = sandbox.move_as_owner(moved["uid"], instant(coach, "14:00"))
    changed = await coach.get("bookings", afterUpdatedAt=since, sortUpdatedAt="asc")
    assert {one["uid"] for one in changed} == {moved["uid"], new["uid"]}
    assert stays["uid"] not in {one["uid"] for one in changed}


@pytest.mark.parametrize(
    "query",
    [{"take": 0}, {"take": 251}, {"skip": -1}, {"status": "gone"}, {"sortStart": "up"}, {"afterStart": "noon"}],
    ids=lambda query: next(iter(query)),
)
async def test_a_list_with_a_wrong_parameter_is_refused(coach: Coach, query: Json) -> None:
    assert (await coach.call("GET", "bookings", params=query)).status_code == 400


async def test_event_types_without_a_name_are_none_or_ones_own(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    assert await coach.get("event-types") == []
    sandbox.switches.event_types_without_username = "own"
    assert [one["id"] for one in await coach.get("event-types")] == [kind]


async def test_the_bookings_of_a_deleted_event_type_stay(coach: Coach) -> None:
    kind = await coach.event_type()
    made = await coach.booked(kind, "10:00")
    assert (await coach.call("DELETE", f"event-types/{kind}")).status_code == 200
    read = await coach.read(made["uid"])
    assert (read["status"], read["eventType"]) == ("accepted", None)


async def test_without_its_default_a_schedule_takes_its_place(sandbox: CalcomSandbox, coach: Coach) -> None:
    default = (await coach.get("schedules/default"))["id"]
    other = await coach.schedule()
    assert (await coach.call("DELETE", f"schedules/{default}")).status_code == 200
    assert (await coach.get("me"))["defaultScheduleId"] == other


# slots


async def test_slots_can_be_wrong_as_they_have_been_there(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    narrow = {"start": coach.at("09:00"), "end": coach.at("10:00")}
    assert await coach.starts(kind, **narrow) == ["09:00", "09:30", "10:00"]
    sandbox.switches.slots_quirk = "outside_range"
    assert "16:30" in await coach.starts(kind, **narrow)
    sandbox.switches.slots_quirk = "empty"
    assert await coach.slots(kind) == {}


async def test_an_end_at_midnight_means_the_day_that_begins_then(coach: Coach) -> None:
    kind = await coach.event_type(lengthInMinutes=480)
    day = coach.day.isoformat()
    assert day in await coach.slots(kind, start=f"{day}T00:00:00Z", end=f"{day}T00:00:00Z", timeZone="UTC")


async def test_the_grid_begins_anew_after_each_busy_time(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type(lengthInMinutes=60)
    sandbox.add_calendar_block(instant(coach, "10:00"), instant(coach, "10:10"))
    assert (await coach.starts(kind))[:3] == ["09:00", "11:00", "12:00"]
    often = await coach.event_type(lengthInMinutes=60, slotInterval=15)
    assert (await coach.starts(often))[:3] == ["09:00", "10:15", "10:30"]


async def test_the_owners_calendar_hides_times_and_leaves_bookings_alone(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type()
    made = await coach.booked(kind, "10:00")
    block = sandbox.add_calendar_block(instant(coach, "10:00"), instant(coach, "12:00"))
    assert (await coach.read(made["uid"]))["status"] == "accepted"
    assert "11:30" not in await coach.starts(kind)
    assert (await coach.book(kind, "11:00")).status_code == 400
    sandbox.remove_calendar_block(block)
    assert "11:30" in await coach.starts(kind)


async def test_two_hosts_are_in_nobodys_way(sandbox: CalcomSandbox, client: httpx.AsyncClient, coach: Coach) -> None:
    kind = await coach.event_type()
    await coach.booked(kind, "10:00")
    await coach.reserved(kind, "11:00")
    sandbox.add_user(OTTO, "cal_otto")
    client.headers["authorization"] = "Bearer cal_otto"
    otto = Coach(client, lambda: FRIDAY, random.Random(1))
    his = await otto.event_type()
    assert {"10:00", "11:00"} <= set(await otto.starts(his))
    await otto.booked(his, "10:00")


async def test_changed_hours_count_at_once(sandbox: CalcomSandbox, coach: Coach) -> None:
    kind = await coach.event_type(scheduleId=None)
    day = coach.day.isoformat()
    sandbox.change_hours(
        [], overrides=[{"date": day, "startTime": "18:00", "endTime": "19:00"}], time_zone=coach.zone.key
    )
    assert await coach.starts(kind) == ["18:00", "18:30"]
    with pytest.raises(BadControl):
        sandbox.change_hours([{"days": ["Someday"], "startTime": "09:00", "endTime": "17:00"}])


async def test_a_window_counts_working_days_or_names_its_dates(coach: Coach) -> None:
    day = coach.day
    named = await coach.event_type(bookingWindow={"type": "range", "value": [day.isoformat(), day.isoformat()]})
    before = await coach.event_type(
        bookingWindow={"type": "range", "value": ["2026-11-20", (day - timedelta(days=1)).isoformat()]}
    )
    soon = await coach.event_type(bookingWindow={"type": "businessDays", "value": 5})
    assert await coach.starts(named) != []
    assert await coach.starts(before) == await coach.starts(soon) == []


# webhooks


async def test_a_webhook_is_signed_over_its_raw_body(sandbox: CalcomSandbox, receiver: Receiver, coach: Coach) -> None:
    kind = await coach.event_type()
    await subscribe(coach)
    made = await coach.booked(kind, "10:00", metadata={"holdfast_id": "bk_1"})
    assert await sandbox.deliver_due() == 1
    [(headers, body)] = receiver.got
    assert headers["x-cal-signature-256"] == hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["x-cal-webhook-version"] == "2021-10-20"
    [event] = receiver.events
    assert (event["triggerEvent"], event["createdAt"]) == ("BOOKING_CREATED", "2026-11-20T08:00:00.000Z")
    payload = event["payload"]
    assert (payload["uid"], payload["bookingId"]) == (made["uid"], made["id"])
    assert (payload["status"], payload["eventTypeId"], payload["length"]) == ("ACCEPTED", kind, 30)
    assert payload["metadata"] == {"holdfast_id": "bk_1"}
    assert payload["startTime"] == coach.at("10:00")
    assert payload["organizer"]["email"] == sandbox.owner.email
    assert payload["attendees"][0]["email"] == ATTENDEE["email"]


async def test_without_a_secret_the_signature_says_so(sandbox: CalcomSandbox, receiver: Receiver, coach: Coach) -> None:
    kind = await coach.event_type()
    await subscribe(coach, secret=None)
    await coach.booked(kind, "10:00")
    await sandbox.deliver_due()
    assert receiver.got[0][0]["x-cal-signature-256"] == "no-secret-provided"


@pytest.mark.parametrize("status", [500, 302])
async def test_a_webhook_is_a_single_shot(
    clock: Clock, sandbox: CalcomSandbox, receiver: Receiver, coach: Coach, status: int
) -> None:
    kind = await coach.event_type()
    await subscribe(coach)
    receiver.status = status
    await coach.booked(kind, "10:00")
    assert await sandbox.deliver_due() == 1
    clock.advance(timedelta(days=1))
    assert await sandbox.deliver_due() == 0
    assert len(receiver.got) == 1


async def test_every_step_of_a_booking_is_told(sandbox: CalcomSandbox, receiver: Receiver, coach: Coach) -> None:
    kind = await coach.event_type(confirmationPolicy=CONFIRMED_BY_HAND)
    await subscribe(coach)
    confirmed, declined = await coach.booked(kind, "10:00"), await coach.booked(kind, "11:00")
    sandbox.confirm(confirmed["uid"])
    sandbox.decline(declined["uid"], "Away")
    moved = sandbox.move_as_owner(confirmed["uid"], instant(coach, "14:00"))
    sandbox.cancel_as_owner(moved["uid"], "Ill")
    await sandbox.deliver_due()
    assert receiver.triggers == [
        "BOOKING_REQUESTED",
        "BOOKING_REQUESTED",
        "BOOKING_CREATED",
        "BOOKING_REJECTED",
        "BOOKING_RESCHEDULED",
        "BOOKING_CANCELLED",
    ]
    requested, _, _, rejected, rescheduled, cancelled = (event["payload"] for event in receiver.events)
    assert (requested["status"], rejected["status"]) == ("PENDING", "REJECTED")
    assert (rescheduled["uid"], rescheduled["rescheduleUid"]) == (moved["uid"], confirmed["uid"])
    assert (cancelled["cancellationReason"], cancelled["cancelledBy"]) == ("Ill", sandbox.owner.email)
    assert cancelled["requestReschedule"] is False


@pytest.mark.parametrize(
    ("mode", "arrive"),
    [
        ("once", ["BOOKING_CREATED", "BOOKING_CANCELLED"]),
        ("twice", ["BOOKING_CREATED", "BOOKING_CREATED", "BOOKING_CANCELLED", "BOOKING_CANCELLED"]),
        ("reversed", ["BOOKING_CANCELLED", "BOOKING_CREATED"]),
        ("never", []),
        ("delayed", []),
    ],
)
async def test_webhooks_come_once_twice_reversed_late_or_never(
    clock: Clock, sandbox: CalcomSandbox, receiver: Receiver, coach: Coach, mode: Any, arrive: list[str]
) -> None:
    kind = await coach.event_type()
    await subscribe(coach)
    sandbox.switches.webhook_delivery = mode
    await coach.cancel((await coach.booked(kind, "10:00"))["uid"], **CANCELLED)
    await sandbox.deliver_due()
    assert receiver.triggers == arrive
    clock.advance(timedelta(minutes=10))
    await sandbox.deliver_due()
    assert len(receiver.got) == (2 if mode == "delayed" else len(arrive))


async def test_the_next_webhooks_can_be_lost(sandbox: CalcomSandbox, receiver: Receiver, coach: Coach) -> None:
    kind = await coach.event_type()
    await subscribe(coach)
    sandbox.switches.webhook_lose = 1
    await coach.cancel((await coach.booked(kind, "10:00"))["uid"], **CANCELLED)
    await sandbox.deliver_due()
    assert receiver.triggers == ["BOOKING_CANCELLED"]
    assert sandbox.switches.webhook_lose == 0


async def test_known_defects_of_webhooks_can_be_switched_on(
    sandbox: CalcomSandbox, receiver: Receiver, coach: Coach
) -> None:
    kind = await coach.event_type()
    await subscribe(coach)
    sandbox.switches.update({"reschedule_webhook": "BOOKING_REQUESTED", "cancel_webhook_metadata": False})
    made = await coach.booked(kind, "10:00", metadata={"holdfast_id": "bk_1"})
    await coach.cancel((await coach.move(made["uid"], "14:00")).json()["data"]["uid"], **CANCELLED)
    await sandbox.deliver_due()
    assert receiver.triggers == ["BOOKING_CREATED", "BOOKING_REQUESTED", "BOOKING_CANCELLED"]
    assert receiver.events[1]["payload"]["rescheduleUid"] == made["uid"]
    assert "metadata" not in receiver.events[2]["payload"]


async def test_only_who_asked_is_told(sandbox: CalcomSandbox, receiver: Receiver, coach: Coach) -> None:
    kind, other = await coach.event_type(), await coach.event_type()
    body = {"active": True, "subscriberUrl": "http://us.test/type", "triggers": ["BOOKING_CREATED"]}
    await coach.make(f"event-types/{kind}/webhooks", body)
    off = await subscribe(coach)
    await coach.call("PATCH", f"webhooks/{off['id']}", {"active": False})
    await coach.booked(other, "10:00")
    assert await sandbox.deliver_due() == 0
    made = await coach.booked(kind, "11:00")
    await coach.cancel(made["uid"], **CANCELLED)
    assert await sandbox.deliver_due() == 1


async def test_a_template_of_ones_own_changes_the_whole_body(
    sandbox: CalcomSandbox, receiver: Receiver, coach: Coach
) -> None:
    kind = await coach.event_type()
    await subscribe(coach, payloadTemplate='{"who": "{{attendees.0.name}}", "what": "{{triggerEvent}}"}')
    await coach.booked(kind, "10:00")
    await sandbox.deliver_due()
    assert receiver.events == [{"who": "Ada Example", "what": "BOOKING_CREATED"}]


async def test_over_a_socket_deliveries_run_beside_the_server(
    sandbox: CalcomSandbox, receiver: Receiver, coach: Coach
) -> None:
    kind = await coach.event_type()
    await subscribe(coach)
    await coach.booked(kind, "10:00")
    running = asyncio.create_task(sandbox.run_deliveries())
    async with asyncio.timeout(5):
        await receiver.arrived.wait()
    running.cancel()
    assert receiver.triggers == ["BOOKING_CREATED"]


# the operator


async def test_switches_are_read_and_set_over_http(sandbox: CalcomSandbox, control: httpx.AsyncClient) -> None:
    changes = {"race_mode": "gap", "reservation_cap_minutes": 60, "taken_status": 409, "decoy": True}
    assert (await control.patch("switches", json=changes)).status_code == 200
    shown = (await control.get("switches")).json()
    assert {name: shown[name] for name in changes} == changes
    sandbox.reset()
    assert sandbox.switches.race_mode == "atomic"


@pytest.mark.parametrize(
    "wrong",
    [
        {"race_mode": "fast"},
        {"taken_status": 422},
        {"decoy": 1},
        {"reservation_cap_minutes": 0},
        {"list_lag_seconds": None},
        {"list_lag_seconds": True},
        {"no_such": 1},
        [],
    ],
    ids=str,
)
async def test_a_switch_that_makes_no_sense_is_refused_and_nothing_is_turned(
    sandbox: CalcomSandbox, control: httpx.AsyncClient, wrong: Any
) -> None:
    body = {"webhook_lose": 3, **wrong} if isinstance(wrong, dict) else wrong
    assert (await control.patch("switches", json=body)).status_code == 400
    assert sandbox.switches.webhook_lose == 0


async def test_faults_clock_and_calls_are_there_over_http(
    clock: Clock, coach: Coach, control: httpx.AsyncClient
) -> None:
    await control.post("faults", json={"kind": "error_before", "path": "/me$"})
    assert (await coach.call("GET", "me")).status_code == 500
    await control.put("clock", json={"advance_seconds": 60})
    assert clock() == FRIDAY + timedelta(minutes=1)
    assert [call["status"] for call in (await control.get("calls")).json()] == [500]


async def test_a_reset_account_is_new_and_gives_the_same_ids_again(
    sandbox: CalcomSandbox, coach: Coach, control: httpx.AsyncClient
) -> None:
    first = await coach.booked(await coach.event_type(scheduleId=None), "10:00", start="2026-11-23T10:00:00Z")
    await control.post("reset")
    assert (sandbox.calls, sandbox.state.bookings) == ([], {})
    await coach.make("schedules", {"name": "Other", "timeZone": "UTC", "isDefault": False})
    again = await coach.booked(await coach.event_type(scheduleId=None), "10:00", start="2026-11-23T10:00:00Z")
    assert (again["uid"], again["id"]) == (first["uid"], first["id"])


async def test_every_act_can_be_done_over_http(
    sandbox: CalcomSandbox, coach: Coach, control: httpx.AsyncClient
) -> None:
    kind = await coach.event_type(scheduleId=None, slug="call")

    async def act(name: str, /, **body: Any) -> Any:
        done.add(name)
        response = await control.post(f"acts/{name}", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    done: set[str] = set()
    hours = [{"days": ["Monday", "Tuesday"], "startTime": "08:00", "endTime": "20:00"}]
    assert (await act("change_hours", availability=hours, time_zone="UTC"))["availability"] == hours
    first = await act("book_as_stranger", event_type="call", start="2026-11-23T10:00:00Z", name="Eve")
    assert first["attendees"][0]["name"] == "Eve"
    moved = await act("move_as_attendee", uid=first["uid"], start="2026-11-23T11:00:00Z")
    moved = await act("move_as_owner", uid=moved["uid"], start="2026-11-23T13:00:00+01:00", reason="Later")
    await act("ask_for_new_time", uid=moved["uid"])
    second = await act("book_as_stranger", event_type=kind, start="2026-11-23T10:00:00Z")
    assert (await act("cancel_as_attendee", uid=second["uid"]))["status"] == "cancelled"
    third = await act("book_as_stranger", event_type=kind, start="2026-11-23T10:00:00Z")
    assert (await act("cancel_as_owner", uid=third["uid"], reason="Ill"))["cancellationReason"] == "Ill"
    assert (await act("set_confirmation", event_type=kind, on=True))["confirmationPolicy"]["type"] == "always"
    pending = await act("book_as_stranger", event_type=kind, start="2026-11-23T10:00:00Z")
    assert (await act("decline", uid=pending["uid"]))["status"] == "rejected"
    pending = await act("book_as_stranger", event_type=kind, start="2026-11-23T10:00:00Z")
    assert (await act("confirm", uid=pending["uid"]))["status"] == "accepted"
    block = await act("add_calendar_block", start="2026-11-24T10:00:00Z", end="2026-11-24T11:00:00Z")
    await act("remove_calendar_block", block_id=block)
    assert (await act("set_price", event_type=kind, price=100))["price"] == 100
    await act("set_confirmation", event_type=kind, on=False)
    unpaid = await act("book_as_stranger", event_type=kind, start="2026-11-24T10:00:00Z")
    assert (await act("pay_at_calcom", uid=unpaid["uid"]))["status"] == "accepted"
    assert (await act("set_cancelling", event_type=kind, allowed=False))["disableCancelling"] == {"disabled": True}
    await act("set_rescheduling", event_type=kind, allowed=False)
    await act("set_managed_parent", event_type=kind, on=True)
    await act("block_attendee", email="eve@example.test")
    await act("expire_key")
    assert (await coach.call("GET", "me")).status_code == 401
    await act("renew_key")
    assert done == set(BY_NAME)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("nothing", {}),
        ("cancel_as_owner", {}),
        ("cancel_as_owner", {"uid": "nobody"}),
        ("book_as_stranger", {"event_type": 1, "start": "2026-11-23T10:00:00Z"}),
        ("book_as_stranger", {"event_type": "call", "start": "2026-11-23T10:00:00"}),
        ("book_as_stranger", {"event_type": "call", "start": "2026-11-22T03:00:00Z"}),
        ("add_calendar_block", {"start": "2026-11-24T11:00:00Z", "end": "2026-11-24T10:00:00Z"}),
        ("set_confirmation", {"event_type": "call", "on": "perhaps"}),
        ("expire_key", {"token": "cal_nobody"}),
    ],
)
async def test_an_act_that_cannot_be_is_refused_with_the_reason(
    coach: Coach, control: httpx.AsyncClient, name: str, body: Json
) -> None:
    await coach.event_type(scheduleId=None, slug="call")
    response = await control.post(f"acts/{name}", json=body)
    assert response.status_code == 400
    assert response.json()["message"]


async def test_the_page_shows_what_there_is_and_its_forms_work(
    sandbox: CalcomSandbox, coach: Coach, control: httpx.AsyncClient
) -> None:
    kind = await coach.event_type(title="Discovery call")
    await subscribe(coach)
    await coach.reserved(kind, "10:00")
    booked = await control.post("acts/book_as_stranger", data={"event_type": str(kind), "start": coach.at("11:00")})
    assert (booked.status_code, booked.headers["location"]) == (303, "/_sandbox/")
    await control.post(
        "forms/switches", data={"race_mode": "gap", "taken_status": "409", "reservation_cap_minutes": ""}
    )
    await control.post(
        "forms/faults", data={"kind": "hang", "method": "", "path": "/slots", "times": "2", "status": "500"}
    )
    assert (sandbox.switches.race_mode, sandbox.switches.taken_status) == ("gap", 409)
    assert (sandbox.faults[0].kind, sandbox.faults[0].times) == ("hang", 2)
    page = await control.get("/")
    assert "script-src" not in page.headers["content-security-policy"]
    for text in ("Discovery call", "Sam Stranger", "http://us.test/hook", "BOOKING_CREATED", "<code>hang</code>"):
        assert text in page.text
    refused = await control.post("acts/cancel_as_owner", data={"uid": "nobody"})
    assert refused.status_code == 400
    assert "there is no booking &#39;nobody&#39;" in refused.text
    await control.post("forms/clear_faults", data={"kind": "hang"})
    assert sandbox.faults == []
    assert (await control.post("deliver")).json() == {"sent": 1}
    assert [one["answers"] for one in (await control.get("deliveries")).json()] == [[200]]
    assert len((await control.get("bookings")).json()) == len((await control.get("reservations")).json()) == 1
    await control.post("forms/reset", data={"sure": "yes"})
    assert "Discovery call" not in (await control.get("/")).text


# the seed


@pytest.fixture
async def collins_coaching(client: httpx.AsyncClient) -> CoachIds:
    """The demo's coach."""
    return await seed_coach(client, webhook_url="http://us.test/hook")


async def test_the_demo_coach_is_worth_looking_at(coach: Coach, collins_coaching: CoachIds) -> None:
    listed = await coach.get("event-types", username=collins_coaching.username)
    assert {one["title"]: one["id"] for one in listed} == collins_coaching.event_types
    assert {one["price"] for one in listed} == {0}
    monday = {"start": "2026-11-23", "end": "2026-11-23", "timeZone": "Europe/London"}
    calls = await coach.starts(collins_coaching.event_types["Discovery call"], **monday)
    sessions = await coach.starts(collins_coaching.event_types["Coaching session"], **monday)
    assert calls[:3] == ["09:00", "09:20", "09:40"]
    assert sessions == ["09:00", "09:30", "10:00", "10:30", "11:00", "11:30", *_half_hours("13:30", "16:30")]
    assert (await coach.get(f"webhooks/{collins_coaching.webhook}"))["secret"]


async def test_the_demo_coach_is_away_on_the_day_off(coach: Coach, collins_coaching: CoachIds) -> None:
    window = {"start": "2026-12-24", "end": "2026-12-25", "timeZone": "Europe/London"}
    assert set(await coach.slots(collins_coaching.event_types["Discovery call"], **window)) == {"2026-12-25"}


def _half_hours(first: str, last: str) -> list[str]:
    start, end = (int(text[:2]) * 60 + int(text[3:]) for text in (first, last))
    return [f"{minutes // 60:02}:{minutes % 60:02}" for minutes in range(start, end + 1, 30)]
