"""Further processes over the same database, and a wire on which calls arrive late."""

from collections.abc import Mapping
from pathlib import Path

import anyio
import httpx
from asgi_lifespan import LifespanManager

from app.main import Seams, create_app
from app.parts import Parts
from tests.support.stack import Stack, make_settings, no_wait
from tests.support.stripe_transport import TransportHTTPClient


class another_process:  # noqa: N801 — reads as a function where it is used
    """A second process of the product on the same scheduler and Stripe; its own database unless one is given, its own
    wire to the scheduler, too."""

    def __init__(
        self,
        stack: Stack,
        folder: Path,
        database: str = "",
        wire: httpx.AsyncBaseTransport | None = None,
        *,
        shared: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        url = database or f"sqlite:///{folder / 'other.sqlite3'}"
        chosen = {"smtp_url": stack.settings.smtp_url, "database_url": url, **stack.side.settings, **(settings or {})}
        seams = Seams(
            now=stack.clock,
            random=stack.random,
            sleep=no_wait,
            scheduler_transports={stack.side.name: wire or stack.side.transport()},
            stripe_http=TransportHTTPClient(stack.stripe.transport()),
            shared=shared,
        )
        self._app = create_app(make_settings(folder, **chosen), seams, run_worker=False)
        self._life = LifespanManager(self._app, startup_timeout=60)

    async def __aenter__(self) -> Parts:
        await self._life.__aenter__()
        parts: Parts = self._app.state.parts
        return parts

    async def __aexit__(self, *error: object) -> None:
        await self._life.__aexit__(None, None, None)


class SlowWire(httpx.AsyncBaseTransport):
    """Holds the first PATCH back until `go`, and then delivers it; `answers`: delivers it, and holds its answer."""

    def __init__(self, stack: Stack, *, answers: bool = False) -> None:
        self._inner = stack.hapio.transport()
        self._answers = answers
        self.sent, self.go = anyio.Event(), anyio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "PATCH" or self.sent.is_set():
            return await self._inner.handle_async_request(request)
        self.sent.set()
        if not self._answers:
            await self.go.wait()
        answer = await self._inner.handle_async_request(request)
        if self._answers:
            await self.go.wait()
        return answer
