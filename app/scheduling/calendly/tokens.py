"""What calls to Calendly are authorized by: a personal token, or the tokens of an owner who has agreed.

A refresh token works once (Calendly API v2, "Authentication"), so two refreshes with the same one would end the
connection. One process at a time has the lease of the row; the others go on with the old token, or wait for the new.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol

import anyio
import structlog

from app.domain.scheduler_tokens import Broken, SchedulerTokens
from app.errors import (
    SchedulerDown,
    SchedulerError,
    SchedulerFailed,
    SchedulerNotConnected,
    SchedulerUnauthorized,
    SchedulerUnreachable,
)
from app.protection.sealing import NotSealedHere, Sealer
from app.scheduling.calendly.oauth import CalendlyOAuth, Grant
from app.store.scheduler_tokens import SchedulerTokenRows

log = structlog.get_logger()

#: A token with less left than this is replaced while it still works.
EARLY: Final = timedelta(minutes=5)
#: A token with less left may end on its way.
_LEAST: Final = timedelta(seconds=30)
#: Longer than a refresh with its second try can take (see the time-outs in `oauth`). Anyone who dies with the lease
#: keeps the others out for as long.
LEASE: Final = timedelta(minutes=1)
#: A token that was refused so soon is not the trouble; asking for more would use up the eight requests a minute
#: (Calendly API v2, "Authentication").
_JUST_MADE: Final = timedelta(minutes=1)
#: How long to leave the tokens' address alone after it has failed.
_REST: Final = timedelta(seconds=10)
_WAIT: Final = 0.5
_LOOKS: Final = 20


class Access(Protocol):
    """What lets calls through."""

    async def account(self) -> str:
        """The URI of the account that it belongs to; empty where it is always the same. Raises SchedulerError."""

    async def headers(self) -> Mapping[str, str]:
        """What every call needs. Raises SchedulerError."""

    async def renew(self, refused: str) -> bool:
        """The header `refused` was answered with 401: whether there is another by now. Raises SchedulerError."""

    async def aclose(self) -> None:
        """Close the connections."""


class PersonalAccess:
    """A personal access token, which stays as it is."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def account(self) -> str:
        """A token's user never changes."""
        return ""

    async def headers(self) -> Mapping[str, str]:
        """What every call needs."""
        return _bearer(self._token)

    async def renew(self, refused: str) -> bool:
        """There is no other."""
        return False

    async def aclose(self) -> None:
        """There is nothing to close."""


class OwnerAccess:
    """The tokens of one owner, kept under the scheduler's `name`. SchedulerNotConnected: nobody has connected yet.
    SchedulerUnauthorized: someone has to connect again. SchedulerDown: no token could be had right now, and nothing
    was sent."""

    def __init__(
        self,
        name: str,
        *,
        store: SchedulerTokenRows,
        sealer: Sealer,
        oauth: CalendlyOAuth,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._name = name
        self._store = store
        self._sealer = sealer
        self._oauth = oauth
        self._now = now
        self._sleep = sleep
        self._rests_until: datetime | None = None

    async def account(self) -> str:
        """Whose tokens they are now: another account may be connected under the same name."""
        return (await self._row()).account

    async def headers(self) -> Mapping[str, str]:
        """What every call needs. The row is read each time, because another process may have changed it."""
        return _bearer(await self._token())

    async def renew(self, refused: str) -> bool:
        """Another token than the one that was refused; False where that one was made just now."""
        tokens = await self._row()
        if _bearer(self._opened(tokens.access))["Authorization"] != refused:
            return True
        if abs(self._now() - tokens.updated_at) < _JUST_MADE:
            return False
        await self._token(refused=refused)
        return True

    async def aclose(self) -> None:
        """Close the connections to the address of the tokens."""
        await self._oauth.aclose()

    async def _token(self, *, refused: str = "") -> str:
        for _ in range(_LOOKS):
            tokens = await self._row()
            access = self._opened(tokens.access)
            left = tokens.expires_at - self._now()
            good = left > _LEAST and _bearer(access)["Authorization"] != refused
            if good and left > EARLY:
                return access
            try:
                fresh = await self._refreshed()
            except SchedulerError as error:
                if not good:
                    raise
                log.warning("token not refreshed", scheduler=self._name, error=type(error).__name__)
                return access
            if fresh or good:
                return fresh or access
            await self._sleep(_WAIT)
        raise self._no_token()

    async def _row(self) -> SchedulerTokens:
        tokens = await self._store.scheduler_tokens(self._name)
        if tokens is None:
            raise SchedulerNotConnected(f"nobody has connected a Calendly account as {self._name}")
        if tokens.broken:
            raise self._connect_again(tokens.broken)
        return tokens

    async def _refreshed(self) -> str | None:
        """A new token; None where another process makes it, or where the account was connected again meanwhile."""
        if self._rests_until and self._rests_until - _REST <= self._now() < self._rests_until:
            raise self._no_token()
        leased = await self._store.lease_refresh(self._name, until=self._now() + LEASE)
        if leased is None:
            return None
        # A visitor who leaves cancels their request; the answer that is on its way has the only token that still works.
        fresh: str | None = None
        with anyio.CancelScope(shield=True):
            fresh = await self._refresh(leased)
        self._rests_until = None
        return fresh

    async def _refresh(self, leased: SchedulerTokens) -> str | None:
        try:
            grant = await self._exchange(leased)
        except SchedulerError as error:
            await self._store.end_lease(leased)
            if isinstance(error, SchedulerUnreachable | SchedulerFailed):
                self._rests_until = self._now() + _REST
                raise self._no_token() from error
            raise
        if grant is None:  # other tokens are there by now
            return None
        # Kept before it is used: from now on its refresh token is the only one.
        kept = await self._store.keep_refreshed(
            leased,
            access=self._sealer.seal(grant.access),
            refresh=self._sealer.seal(grant.refresh),
            expires_at=grant.expires_at,
        )
        return grant.access if kept else None

    async def _exchange(self, leased: SchedulerTokens) -> Grant | None:
        """New tokens. Where no answer comes, the same refresh token is tried once more: if the first request had no
        effect it still works, and if it had one the connection is lost either way. None where others are there."""
        refresh = self._opened(leased.refresh)
        lost = False
        try:
            grant = await self._oauth.refresh(refresh)
        except (SchedulerUnreachable, SchedulerFailed):
            lost = True
            grant = await self._oauth.refresh(refresh)
        if grant is None:
            reason = Broken.ANSWER_LOST if lost else Broken.REFUSED
            if await self._store.break_scheduler_tokens(leased, reason):
                log.error("connection broken", scheduler=self._name, reason=reason)
                raise self._connect_again(reason)
        return grant

    def _opened(self, sealed: str) -> str:
        try:
            return self._sealer.open(sealed)
        except NotSealedHere as error:
            # Not written into the row: the key may be missing here only, such as in a command with another .env.
            raise SchedulerUnauthorized(
                f"the tokens of {self._name} were sealed with a key that SECRET_KEYS does not have; connect again"
            ) from error

    def _connect_again(self, reason: Broken) -> SchedulerUnauthorized:
        return SchedulerUnauthorized(f"the Calendly account of {self._name} has to be connected again ({reason})")

    def _no_token(self) -> SchedulerDown:
        return SchedulerDown(f"no token for {self._name} right now; not sent", retry_after=_REST.total_seconds())


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
