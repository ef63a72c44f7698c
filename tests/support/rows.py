"""Reads the tables."""

from app.domain.booking import Booking
from app.domain.move import Move
from app.store.rows import (
    select_bookings,
    select_moves,
    to_booking,
    to_move,
)
from tests.support.stack import Stack


async def rows(stack: Stack) -> list[Booking]:
    async with stack.parts.store.engine.connect() as connection:
        return [to_booking(row) for row in (await connection.execute(select_bookings())).mappings()]


async def all_moves(stack: Stack) -> list[Move]:
    async with stack.parts.store.engine.connect() as connection:
        return [to_move(row) for row in (await connection.execute(select_moves())).mappings()]
