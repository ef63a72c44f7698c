"""Write the database of a studio in the middle of its week as SQL, for the test that upgrades what a release left.

Run it when a release is made, and never again for that release:
    python -m scripts.dump_release > tests/unit/released/0001.sql
"""

import asyncio
import sqlite3
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from app.domain.booking import Actor
from app.domain.money import Money
from app.telemetry.logs import set_up_logs
from sandbox.hapio import Fault
from tests.support.stack import Stack, open_stack

WIDGET = "reschedule = { other_service = true }"


async def play(stack: Stack) -> None:
    """Everything that leaves a row of its own kind. Ends two days after it began."""
    await stack.confirmed(await stack.in_days(0), customer=stack.customer("Over Past"))
    expired = await stack.hold(await stack.in_days(1), customer=stack.customer("Expired Gone"))
    await stack.at_stripe(expired)
    stack.clock.advance(timedelta(days=2))
    await stack.until_quiet()

    returned = await stack.confirmed(await stack.in_days(3), customer=stack.customer("Returned Money"))
    await stack.cancel(returned)
    await stack.until_quiet()
    partly = await stack.confirmed(await stack.in_days(3), customer=stack.customer("Partly Back"))
    await stack.parts.owner_refunds.give_back(partly.id, Money(20000, "sek"))
    await stack.until_quiet()

    moved = await stack.confirmed(await stack.in_days(4), customer=stack.customer("Moved Once"))
    await stack.move(moved, await stack.in_days(5))
    dearer = await stack.confirmed(
        await stack.in_days(4, "headshot"), service="headshot", customer=stack.customer("Moving Dearer")
    )
    await stack.move(dearer, await stack.in_days(6), service="portrait")
    await stack.confirmed(await stack.in_days(6), customer=stack.customer("Confirmed Paid"))
    await stack.confirmed(
        await stack.in_days(6, "planning"), service="planning", customer=stack.customer("Free Confirmed")
    )
    undoable = await stack.confirmed(await stack.in_days(7), customer=stack.customer("Undoable Yet"))
    await stack.cancel(undoable)
    await stack.hold(await stack.in_days(8), customer=stack.customer("Held Only"))
    await stack.at_stripe(await stack.hold(await stack.in_days(8), customer=stack.customer("Awaiting Payment")))
    called_off = await stack.confirmed(await stack.in_days(9), customer=stack.customer("Called Off"))
    await stack.cancel(called_off, by=Actor.OWNER)

    await _by_program(stack)
    waiting = await stack.hold(await stack.in_days(9), customer=stack.customer("Paid Waiting"))
    stack.hapio.faults.append(Fault("error_before", method="PATCH", times=50))
    await stack.paid(waiting)
    stack.hapio.faults.clear()
    await stack.client.post("/staff", data={"email": "owner@studio.example"})


async def _by_program(stack: Stack) -> None:
    start = await stack.in_days(10)
    body = {
        "serviceId": stack.portrait_id,
        "start": start.isoformat(),
        "end": (start + timedelta(hours=1)).isoformat(),
        "customer": {"name": "Program Made", "email": "program@customer.example"},
    }
    key = str(UUID(int=1, version=4))
    answer = await stack.client.post("/api/bookings/lock", json=body, headers={"Idempotency-Key": key})
    answer.raise_for_status()


async def main() -> None:
    """Play, stop, and print."""
    set_up_logs("error")  # standard output is the dump's
    with TemporaryDirectory() as folder:
        async with open_stack(
            Path(folder), widget=WIDGET, settings={"staff_emails": ("owner@studio.example",)}
        ) as stack:
            stack.hapio.state.switches.rate_limit_per_minute = 10_000
            await play(stack)
            print(f"-- Made at {stack.clock().isoformat()} by scripts/dump_release.py; never to be changed.")
        with closing(sqlite3.connect(Path(folder) / "holdfast.sqlite3")) as connection:
            sys.stdout.writelines(f"{line}\n" for line in connection.iterdump())


if __name__ == "__main__":
    asyncio.run(main())
