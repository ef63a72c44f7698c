"""Answers, files and texts as nobody should send them: what a provider's JSON becomes with one thing in it changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

import httpx
from structlog.testing import capture_logs

from app.domain.booking import Booking
from app.errors import HoldfastError
from tests.support.stack import Stack

#: In the place of any value.
NASTY: tuple[Any, ...] = (
    None,
    "",
    "x",
    "x" * 20_000,
    "\x00\u202e\ud800",
    "9" * 400,
    "P99999999999999Y",
    "PT99999999999999H",
    "-PT1H",
    "0001-01-01T00:00:00+12:00",
    "9999-12-31T23:59:59-12:00",
    "2026-11-24T10:00:00",
    "Nowhere/Town",
    "../../etc/passwd",
    "NaN",
    "1e999999",
    0,
    -1,
    1.5,
    10**12,
    10**30,
    -(10**18),
    float("nan"),
    float("inf"),
    True,
    [],
    {},
    [None],
    {"x": None},
    [[]] * 50,
)
#: In the place of the whole.
BODIES: tuple[bytes, ...] = (
    b"",
    b"null",
    b"[]",
    b"{}",
    b"0",
    b'"x"',
    b"NaN",
    b"<!doctype html><title>502</title>",
    b"\xff\xfe{\x00}\x00",
    b"\xef\xbb\xbf{}",
    b"[" * 5_000,
    b'{"data":' * 2_000,
    b"9" * 6_000,
    b'{"data":[' + b"{}," * 2_000 + b"{}]}",
)


def places_in(thing: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to every value."""
    items = thing.items() if isinstance(thing, dict) else enumerate(thing) if isinstance(thing, list) else ()
    for name, value in items:
        yield (*path, name)
        yield from places_in(value, (*path, name))


def spoil(body: bytes, random: Random) -> bytes:
    """The JSON with one value changed, left out or doubled; at times something else, or cut short."""
    if random.random() < 0.15:
        return random.choice((*BODIES, body[: len(body) // 2]))
    try:
        thing = copy.deepcopy(json.loads(body))
    except ValueError:
        return random.choice(BODIES)
    places = list(places_in(thing))
    if not places:
        return random.choice(BODIES)
    *way, last = random.choice(places)
    inside: Any = thing
    for step in way:
        inside = inside[step]
    what = random.randrange(8)
    if what == 0:
        del inside[last]
    elif what == 1 and isinstance(last, int):
        inside.append(inside[last])
    else:
        inside[last] = random.choice(NASTY)
    return json.dumps(thing, ensure_ascii=True).encode()


@dataclass
class Spoiler:
    """Spoils a provider's answers: one in so many while `often` is not zero. `sent` are the last of them: method, path,
    status and body."""

    random: Random
    often: int = 0
    spoiled: int = 0
    sent: list[tuple[str, str, int, bytes]] = field(default_factory=list)

    def __call__(self, request: httpx.Request, response: httpx.Response) -> httpx.Response:
        """What arrives in the place of an answer."""
        if not self.often or self.random.randrange(self.often):
            return response
        body = spoil(response.content, self.random)
        status = self.random.choice((*(response.status_code,) * 8, 200, 400, 404, 409, 422, 429, 500))
        self.spoiled += 1
        self.sent = [*self.sent[-7:], (request.method, request.url.path, status, body)]
        headers = [(name, value) for name, value in response.headers.items() if name != "content-length"]
        return httpx.Response(status, headers=headers, content=body, request=request)


async def live_through(stack: Stack, spoiler: Spoiler, rounds: int) -> list[str]:
    """So many visitors come, book, pay, move and cancel, and staff look, while the providers' answers are spoiled. What
    was answered with a 500, or raised what is no error of ours: a sentence each, with the answers before it."""
    found: list[str] = []
    stack.alter, random = spoiler, spoiler.random
    await stack.parts.store.add_sign_in("si_fuzz", "eva@studio.example", forget_before=stack.clock())
    await stack.parts.store.use_sign_in("si_fuzz")
    for number in range(rounds):
        spoiler.often = 0
        stack.clock.advance(timedelta(minutes=7))
        try:
            booking = await stack.confirmed() if number % 3 else await stack.hold(await stack.in_days(3))
        except (AssertionError, HoldfastError):  # what was spoiled before is still believed, or the day is full
            stack.clock.advance(timedelta(days=1))
            continue
        for _ in range(4):
            spoiler.often = random.choice((1, 2))
            acts = _acts(stack, booking)
            name = random.choice(sorted(acts))
            with capture_logs() as lines:
                try:
                    answer = await acts[name]()
                except HoldfastError:
                    continue
                except Exception as error:  # noqa: BLE001 - this is what is looked for
                    found.append(f"{name}: {error!r:.200} after {spoiler.sent[-2:]!r:.1500}")
                    continue
            raised = [
                line for line in lines if line.get("exc_info") and not isinstance(line["exc_info"], HoldfastError)
            ]
            if raised or (isinstance(answer, httpx.Response) and answer.status_code == 500):
                found.append(f"{name}: {answer} {raised!r:.400} after {spoiler.sent[-2:]!r:.1500}")
    spoiler.often, stack.alter = 0, None
    return found


def _acts(stack: Stack, booking: Booking) -> dict[str, Callable[[], Awaitable[object]]]:
    parts, get = stack.parts, stack.client.get
    token = parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    manage = parts.links.manage_token(booking.id, booking.link_version)
    staff = parts.links.staff_token("si_fuzz")

    async def look_again() -> object:
        stack.clock.advance(timedelta(hours=13))
        return await get("/w/studio")

    return {
        "look": look_again,
        "hold": lambda: stack.hold(booking.starts_at + timedelta(days=1)),
        "pay": lambda: parts.checkout.start(booking.id),
        "settle": lambda: parts.settle.booking(booking.id),
        "status": lambda: get(f"/b/{token}"),
        "manage": lambda: get(f"/manage/{manage}"),
        "reschedule": lambda: get(f"/manage/{manage}/reschedule"),
        "quote": lambda: parts.reschedule.quote(booking.id, starts_at=booking.starts_at + timedelta(hours=2)),
        "move": lambda: stack.move(booking, booking.starts_at + timedelta(hours=2)),
        "cancel": lambda: stack.cancel(booking),
        "tick": lambda: stack.tick(after=timedelta(minutes=11)),
        "sweep": lambda: stack.tick(after=timedelta(hours=25)),
        "desk": lambda: get(f"/staff/{staff}"),
        "hours": lambda: get(f"/staff/{staff}/hours"),
        "services": lambda: get(f"/staff/{staff}/services"),
        "booked": lambda: get(f"/staff/{staff}/bookings/{booking.id}"),
        "availability": lambda: get(
            f"/api/availability?serviceId={stack.portrait_id}&startDate=2026-12-01&endDate=2026-12-02"
        ),
    }
