"""What owners have changed of their services in the browser: one row a change, of which the newest counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.domain.service_version import FieldChange, ServiceVersion
from app.store.conflicts import insert_if_new
from app.store.database import Database
from app.store.prepared import Prepared
from app.store.tables import (
    Instant,
    Row,
    service_versions,
)


class ServiceVersionRows(Database):
    """The table `service_versions`."""

    async def service_versions_mark(self) -> tuple[int, datetime | None]:
        """Another value whenever anything was changed: how many changes there are, and when a scheduler was last told
        of one. Rows are never deleted."""
        [row] = await self._fetch(_MARK)
        return row["many"], row["told"]

    async def newest_service_versions(self) -> list[ServiceVersion]:
        """The change that counts, of every service and of every order."""
        return [_to_version(row) for row in await self._fetch(_NEWEST)]

    async def service_versions(self, widget: str, service_id: str, *, most: int) -> list[ServiceVersion]:
        """The latest changes of one service, newest first."""
        rows = await self._all(
            sa.select(service_versions)
            .where(service_versions.c.widget == widget, service_versions.c.service_id == service_id)
            .order_by(service_versions.c.version.desc())
            .limit(most)
        )
        return [_to_version(row) for row in rows]

    async def add_service_version(self, version: ServiceVersion) -> bool:
        """Keep a change; False where someone else has made one of that number."""
        row = {
            "id": f"{version.widget} {version.service_id} {version.version}",
            "widget": version.widget,
            "service_id": version.service_id,
            "version": version.version,
            "edit": dict(version.edit),
            "changes": [list(one) for one in version.changes],
            "changed_by": version.by,
            "changed_at": version.at,
        }
        async with self._write() as connection:
            return await insert_if_new(connection, service_versions, row)

    async def told_of_service(self, version: ServiceVersion, changes: Sequence[FieldChange]) -> None:
        """The scheduler has taken what is its to keep of this change, or refused it: what was changed after all."""
        async with self._write() as connection:
            await connection.execute(
                sa.update(service_versions)
                .where(
                    service_versions.c.widget == version.widget,
                    service_versions.c.service_id == version.service_id,
                    service_versions.c.version == version.version,
                )
                .values(told_at=self._now(), changes=[list(one) for one in changes])
            )


def _mark() -> sa.Select[Any]:
    told = sa.func.max(service_versions.c.told_at, type_=Instant)
    wanted: list[Any] = [sa.func.count().label("many"), told.label("told")]
    return sa.select(*wanted).select_from(service_versions)


def _newest() -> sa.Select[Any]:
    newest = (
        sa.select(
            service_versions.c.widget,
            service_versions.c.service_id,
            sa.func.max(service_versions.c.version).label("version"),
        )
        .group_by(service_versions.c.widget, service_versions.c.service_id)
        .subquery()
    )
    same = [service_versions.c[name] == newest.c[name] for name in ("widget", "service_id", "version")]
    return sa.select(service_versions).join(newest, sa.and_(*same))


_MARK = Prepared(_mark())
_NEWEST = Prepared(_newest())


def _to_version(row: Row) -> ServiceVersion:
    return ServiceVersion(
        widget=row["widget"],
        service_id=row["service_id"],
        version=row["version"],
        edit=row["edit"],
        changes=[(str(what), str(before), str(after)) for what, before, after in row["changes"]],
        by=row["changed_by"],
        at=row["changed_at"],
        told_at=row["told_at"],
    )
