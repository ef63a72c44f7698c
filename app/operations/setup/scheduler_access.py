"""The scheduler while it is being set up: its token, what it has, and making it so, with every refusal in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC
from types import TracebackType
from typing import Any, Final, Self

import httpx
from sqlalchemy.exc import SQLAlchemyError

from app.errors import (
    DatabaseUnusable,
    SchedulerError,
    SchedulerForbidden,
    SchedulerRateLimited,
    SchedulerUnauthorized,
    StorageError,
)
from app.operations.setup.world import SetupRefused, SetupWorld
from app.operations.setup_check.abilities import RUNNING, SETTING_UP, lacking
from app.scheduling.arrangement import Arrangement, Plan, Step
from app.scheduling.connect import PROVIDERS, connect
from app.scheduling.connected import World
from app.scheduling.port import Scheduler, SchedulerCall, Traits
from app.settings import Settings, opened
from app.store import Store

#: The setting that holds each scheduler's credential, and what its owner calls it.
CREDENTIALS: Final[Mapping[str, tuple[str, str]]] = {
    "hapio": ("HAPIO_API_TOKEN", "Hapio's API token"),
    "calcom": ("CALCOM_API_KEY", "Cal.com's API key"),
    "calendly": ("CALENDLY_TOKEN", "Calendly's personal access token"),
}
#: The setting that holds the secret of each scheduler's webhooks.
WEBHOOK_SECRETS: Final[Mapping[str, str]] = {
    "hapio": "HAPIO_WEBHOOK_SECRET",
    "calcom": "CALCOM_WEBHOOK_SECRET",
    "calendly": "CALENDLY_WEBHOOK_KEY",
}
#: A limit by the minute passes within one.
_PATIENCE: Final = 90.0
#: A wait that people are told of, in seconds.
_LONG_WAIT: Final = 2.0
_SECONDS: Final = httpx.Timeout(15, connect=8)


def scheduler_of(token: str) -> str:
    """Whose a token seems to be: Cal.com's keys begin with `cal_` (Cal.com docs), Calendly's tokens look like JSON Web
    Tokens, which is not documented, and Hapio's like neither. `--scheduler` corrects it."""
    if token.startswith("cal_"):
        return "calcom"
    return "calendly" if token.startswith("eyJ") else "hapio"


class SchedulerAccess:
    """Use it as a context, which closes its connections. Methods raise SetupRefused."""

    def __init__(self, name: str, settings: Settings, *, world: SetupWorld, tell: Callable[[str], None]) -> None:
        self._name = name
        self._provider = PROVIDERS[name]
        self._settings = settings
        self._world = world
        self._tell = tell
        self._calls = 0
        self._store = Store(settings.database_url, now=world.now)
        self._scheduler = self._connect()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._count_calls()
        await self._scheduler.aclose()
        await self._store.close()

    @property
    def traits(self) -> Traits:
        """The scheduler's."""
        return self._scheduler.traits

    async def check(self) -> None:
        """Each ability by itself, where the token has some, so that each that is missing has its name."""
        if self._name != "hapio":
            return
        self._tell(f"{self._provider}: asking for each ability of the token")
        url, headers = self._settings.hapio_base_url, {"Accept": "application/json"}
        headers["Authorization"] = f"Bearer {opened(self._settings.hapio_api_token)}"
        transport = self._world.wires.schedulers.get(self._name)
        async with httpx.AsyncClient(base_url=url, headers=headers, transport=transport, timeout=_SECONDS) as http:

            async def ask(method: str, path: str, body: dict[str, Any] | None) -> int:
                return await self._ask(http, method, path, body)

            try:
                status = await ask("GET", "/project", None)
                if status == 401:
                    raise SetupRefused("Hapio does not accept the token. Create one for this project in its portal.")
                if status >= 400:
                    raise SetupRefused(f"{url} answers {status}. Check HAPIO_BASE_URL; it ends in /v1.")
                missing = await lacking([*RUNNING, *SETTING_UP], ask)
            except httpx.HTTPError as error:
                raise self._silent(type(error).__name__) from error
        if missing:
            listed = "\n".join(f"  {ability}" for ability in missing)
            raise SetupRefused(
                f"The token lacks {len(missing)} of {len(RUNNING) + len(SETTING_UP)} abilities. Tick these in Hapio's "
                f"portal, and run this again:\n{listed}"
            )

    async def describe(self) -> Arrangement:
        """What there is."""
        self._tell(f"{self._provider}: reading what is there")
        with self._told():
            return await self._scheduler.describe()

    async def apply(self, plan: Plan) -> None:
        """Make it so, and tell of each step."""
        numbers = iter(range(1, len(plan.steps) + 1))

        def done(step: Step) -> None:
            self._tell(f"{self._provider}: {step} ({next(numbers)} of {len(plan.steps)})")

        with self._told():
            await self._scheduler.apply(plan, done)

    async def subscribe(self, url: str, secret: str) -> str:
        """Let it tell this address of changes; why it does not, in words, empty where all went well."""
        try:
            await self._scheduler.subscribe(url, secret)
        except SchedulerError as error:
            return f"{self._provider} does not let webhooks be made ({error}): changes there are noticed later."
        self._tell(f"{self._provider}: tells {url} of changes from now on")
        return ""

    def _connect(self) -> Scheduler:
        world = World(
            now=self._world.now,
            random=self._world.random,
            sleep=self._sleep,
            transports=self._world.wires.schedulers,
            called=self._called,
            tokens=self._store,
            patience=_PATIENCE,
        )
        return connect(self._settings, world)[self._name].scheduler

    async def _ask(self, http: httpx.AsyncClient, method: str, path: str, body: dict[str, Any] | None) -> int:
        """The answer's status. A limit by the minute is waited for, one by the month is not."""
        while True:
            self._calls += 1
            answer = await http.request(method, path, json=body)
            if answer.status_code != 429:
                return answer.status_code
            told = answer.headers.get("retry-after", "")
            wait = float(told) if told.isdecimal() else _PATIENCE
            if wait > _PATIENCE:
                raise SetupRefused(
                    f"{self._provider} answers 429: this month's calls are used up. Take a larger plan, or wait."
                )
            await self._sleep(wait)

    def _called(self, _name: str, _call: SchedulerCall) -> None:
        self._calls += 1

    async def _count_calls(self) -> None:
        """They count against the month as a server's do, where there is a server's database already. What is wrong with
        one, the set-up check tells."""
        counter = f"{self._name}_calls:{self._world.now().astimezone(UTC):%Y-%m}"
        with suppress(SQLAlchemyError, StorageError, DatabaseUnusable, OSError):
            if await self._store.backend.missing() is None:
                await self._store.must_be_current()
                await self._store.add_to_counter(counter, self._calls)

    async def _sleep(self, seconds: float) -> None:
        if seconds > _LONG_WAIT:
            self._tell(f"{self._provider}: waiting {round(seconds)} s, since it takes no more requests this minute")
        await self._world.sleep(seconds)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except SchedulerError as error:
            raise self._refused(error) from error

    def _refused(self, error: SchedulerError) -> SetupRefused:
        credential, _ = CREDENTIALS[self._name]
        match error:
            case SchedulerUnauthorized():
                return SetupRefused(f"{self._provider} does not accept {credential}. Copy it again.")
            case SchedulerForbidden():
                return SetupRefused(f"{self._provider} does not allow this with {credential}: {error}.")
            case SchedulerRateLimited():
                return SetupRefused(f"{self._provider} takes no more requests for now. Run this again in a while.")
        if error.http_status is None:
            return self._silent(type(error).__name__)
        return SetupRefused(f"{self._provider} refuses: {error}. What was done is kept; run this again.")

    def _silent(self, what: str) -> SetupRefused:
        return SetupRefused(
            f"{self._provider} does not answer ({what}). What was done is kept; check this machine's network, and run "
            f"this again."
        )
