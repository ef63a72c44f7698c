"""The index of a search by any part of a customer's name, address or phone number.

Neither SQLite nor PostgreSQL finds the middle of a text by an index without an extension. So each text that bookings
are searched by is a row here, once for all bookings that have it, and so is each of its parts: for every character the
next few, beginning there. Whatever a text has in it, one of its parts begins with; docs/dev/decisions/0194 has the
figures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.backend import Backend
from app.store.conflicts import insert_if_new
from app.store.database import Database
from app.store.tables import bookings, search_parts, search_texts

#: Characters of a part. What is asked for beyond them is looked for in the texts that the part leads to.
_LENGTH = 12
#: Between a part and the id of the text that it is of.
_END = b"\x1f"
#: Comes after every byte of UTF-8.
_LAST = b"\xff"
#: Parts that are read for one search. With more, so many bookings have it that the newest of them are found at once.
MOST_PARTS = 500


class SearchRows(Database):
    """The tables `search_texts` and `search_parts`."""

    async def _texts_with(self, needles: Sequence[str]) -> list[str] | None:
        """The texts that have one of the needles in them; None where there are too many."""
        ids: set[str] = set()
        for needle in needles:
            start = needle[:_LENGTH].encode()
            parts = await self._all(
                sa.select(search_parts.c.part)
                .where(search_parts.c.part >= start, search_parts.c.part < start + _LAST)
                .limit(MOST_PARTS + 1)
            )
            if len(parts) > MOST_PARTS:
                return None
            ids.update(row["part"].rpartition(_END)[2].decode() for row in parts)
        rows = await self._all(sa.select(search_texts.c.text).where(search_texts.c.id.in_(ids)))
        return [row["text"] for row in rows if any(needle in row["text"] for needle in needles)]


async def follow_search(backend: Backend, connection: AsyncConnection, before: str, after: str) -> None:
    """A booking has the text `after` where it had `before`; empty for none. The one before goes with the last booking
    that has it. Within a transaction that has locked whatever else it locks."""
    if before == after:
        return
    for text in sorted(filter(None, (before, after))):
        # Else one transaction might delete what another one has just found to be there.
        await backend.lock_name(connection, f"search {_id(text)}")
        if text == after:
            await _add(connection, text)
        else:
            await drop_texts(connection, [text])


async def drop_texts(connection: AsyncConnection, texts: Sequence[str]) -> int:
    """Delete those of these texts that no booking has; how many they were."""
    ids = {_id(text): text for text in texts}
    gone = await connection.execute(
        sa.delete(search_texts).where(search_texts.c.id.in_(ids), is_of_nobody()).returning(search_texts.c.id)
    )
    found = list(gone.scalars())
    for one in found:
        await connection.execute(sa.delete(search_parts).where(search_parts.c.part.in_(_parts(ids[one]))))
    return len(found)


def is_of_nobody() -> sa.ColumnElement[bool]:
    """Whether no booking has a text."""
    return ~sa.exists().where(bookings.c.customer_search == search_texts.c.text)


async def _add(connection: AsyncConnection, text: str) -> None:
    if await insert_if_new(connection, search_texts, {"id": _id(text), "text": text}):
        await connection.execute(sa.insert(search_parts), [{"part": part} for part in _parts(text)])


def _parts(text: str) -> set[bytes]:
    end = _END + _id(text).encode()
    return {text[at : at + _LENGTH].encode() + end for at in range(len(text))}


def _id(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
