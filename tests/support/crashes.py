"""Stories in which the process dies."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from app.errors import HoldfastError
from app.store.reservations import settle_due
from tests.support.agreement import all_reservations, assert_agreement, let_it_rest
from tests.support.stack import Crash, Doom, Stack, open_stack


async def crash_everywhere(
    tmp_path: Path,
    prepare: Callable[[Stack], Awaitable[Callable[[], Awaitable[object]]]],
    *,
    widget: str = "",
    webhooks: bool = True,
    scheduler: str = "hapio",
    database: str = "sqlite",
    every: int = 1,
) -> None:
    """Let the process die after the first effect, the second, … until the story has no more of them. With `every` 4
    after the first, the fifth, …: for a story that does the same several times."""
    died = 0
    while True:
        folder = tmp_path / str(died)
        folder.mkdir()
        doom = Doom()
        async with open_stack(
            folder, widget=widget, webhooks=webhooks, doom=doom, scheduler=scheduler, database=database
        ) as stack:
            story = await prepare(stack)
            doom.effects, doom.at = 0, died + 1
            # A visitor may meet an error page, as the dead process leaves it; what counts is how it ends.
            with suppress(Crash, HoldfastError):
                await story()
            fired = doom.fired
            doom.at = 0
            if fired:
                await stack.restart()
                await assert_what_is_due_is_written(stack)
            await let_it_rest(stack)
            await assert_agreement(stack)
        if not fired:
            break
        died += every
    assert died >= 4, "the story must have effects to die after"


async def assert_what_is_due_is_written(stack: Stack) -> None:
    """At whatever effect the process dies, the rows say what is due to the scheduler: no change leaves it for later."""
    before = await all_reservations(stack)
    async with stack.parts.store._write() as connection:
        for reservation in before:
            await settle_due(connection, reservation.booking_id, at=stack.clock())
    assert await all_reservations(stack) == before
