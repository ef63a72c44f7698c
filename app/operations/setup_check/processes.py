"""Several server processes: whether they count visitors together."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from app.errors import StorageError
from app.operations.neighbours import GONE_SECONDS
from app.operations.setup_check.finding import Finding, fail, ok, warn
from app.settings import Settings
from app.store import Store


async def look_at_processes(settings: Settings, store: Store | None, *, now: datetime) -> list[Finding]:
    """How many serve this database, and whether the Redis that they share answers. Nothing for one without Redis.
    `store` None is a database that cannot be asked."""
    if settings.redis_url is not None:
        return [await _redis(settings.redis_url.get_secret_value())]
    if store is None:  # a question would make the file
        return []
    try:
        count = await store.serving(now - timedelta(seconds=GONE_SECONDS))
    except (SQLAlchemyError, StorageError):
        return []  # what is wrong with the database was found before
    if count < 2:
        return []
    says = f"{count} server processes each count visitors for themselves: each lets in what one should"
    return [warn("processes", says, "Set REDIS_URL, so that limits and holds are counted together.")]


async def _redis(url: str) -> Finding:
    from app.protection.shared_counts import RedisCounts

    counts = RedisCounts(url)
    try:
        answers = await counts.answers()
    finally:
        await counts.aclose()
    parts = urlsplit(url)
    place = f"{parts.hostname}:{parts.port or 6379}"
    if not answers:
        fix = "Correct REDIS_URL, or start the server. Until then each process counts visitors for itself."
        return fail("processes", f"no Redis answers at {place}", fix)
    return ok("processes", f"Redis at {place} answers")
