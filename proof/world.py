"""The world of one run: the providers' sandboxes, the mailbox, the file, and the processes over it, under one clock."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from random import Random
from shutil import copyfile
from typing import Any
from urllib.parse import SplitResult

import httpx

from app.errors import DatabaseUnusable, MailError, StorageError
from app.main import Seams
from app.parts import Parts
from app.settings import Settings
from app.store.backup import back_up
from app.store.sqlite_file import database_path
from proof.disk import Disk, opener
from proof.loop import VirtualClock, VirtualLoop
from proof.network import Network, Wire
from proof.process import Gone, Pause, Process
from proof.story import NEVER_ENDING, RESTORED, Spell, Story
from sandbox.faults import Fault as SchedulerFault
from sandbox.stripe import Fault as StripeFault
from sandbox.stripe import StripeSandbox
from tests.support.once import COMPILED, empty_database, share_statements
from tests.support.receivers import Receivers
from tests.support.sides import HapioSide, Side, open_side
from tests.support.stack import MONDAY, NO_PRICES, PRICES, PUBLIC_URL, TIERS, WIDGET, Sites, make_settings
from tests.support.stripe_transport import TransportHTTPClient

#: Seconds between two looks of the providers at the webhooks that they still have to send.
_DELIVERIES = (2.0, 7.0, 30.0, 90.0)
#: Seconds after which an operator's system starts a process again that could not start.
_START_AGAIN = 5.0
#: How long a worker's pause grows, in seconds, as a share of the time since anybody did anything; and how long at most.
_IDLE, _LONGEST_PAUSE = 0.5, 900.0


@dataclass(frozen=True)
class Told:
    """A line of what happened, for people."""

    at: float
    what: str


@dataclass(frozen=True)
class Mail:
    """A mail that came. Its bytes are looked at elsewhere: to write and read them takes longer than to book."""

    message: EmailMessage

    def header(self, name: str) -> str:
        """What a header says; empty where it is missing."""
        return str(self.message[name] or "")


class World:
    """Opened by `open_world`. `lines` is what happened; `wrong` is what can be seen to be wrong at once."""

    # Eight parameters: the sides of a world, and where it keeps its file.
    def __init__(
        self,
        story: Story,
        loop: VirtualLoop,
        clock: VirtualClock,
        side: Side,
        stripe: StripeSandbox,
        hooks: Hooks,
        settings: Settings,
        network: Network,
    ) -> None:
        self.story, self.loop, self.clock = story, loop, clock
        self.side, self.stripe, self.settings, self.network = side, stripe, settings, network
        self.mails: list[Mail] = []
        self.random = Random(f"world {story.seed}")
        self.lines: list[Told] = []
        self.wrong: list[str] = []
        self.killed: Counter[tuple[str, str]] = Counter()
        self.sites, self.receivers = Sites(), Receivers()
        self.disk = Disk()
        self.clock_step = timedelta(0)
        self.processes = [Process(self, f"process {number + 1}", self.disk) for number in range(story.processes)]
        self.spells: set[str] = set()
        #: Those spells that are never over.
        self.lasting: set[str] = set()
        self.over = False
        #: Whether an old copy of the database was put back, so that it knows less than everybody else.
        self.restored = False
        #: None where the database is no file.
        self.file = database_path(settings.database_url) if settings.database_url.startswith("sqlite:") else None
        self._stirred_at = 0.0
        self._napping: list[asyncio.Future[None]] = []
        hooks.world = self

    # -- what the processes are given ------------------------------------------------------------------------

    def now(self) -> Any:
        """The clock of the machine that the processes run on: the world's, unless it was set wrong."""
        return self.clock() + self.clock_step

    async def sleep(self, seconds: float) -> None:
        """Wait. A worker's pause is the story's while people act, and anything up to that after somebody did. The
        longer nobody does anything, the longer it is: it may be as late as that with whatever is due, and a step that
        has nothing to do costs as much as one that has."""
        if not isinstance(seconds, Pause):
            await asyncio.sleep(seconds)
            return
        nap: asyncio.Future[None] = self.loop.create_future()
        self._napping.append(nap)
        done, _ = await asyncio.wait({nap}, timeout=max(seconds, min(self._idle * _IDLE, _LONGEST_PAUSE)))
        if done:
            await asyncio.sleep(self.random.uniform(0, seconds))

    async def rest(self, seconds: float) -> None:
        """The pause of what nobody waits for: the longer nobody does anything, the longer it is."""
        await asyncio.sleep(max(seconds, min(self._idle * _IDLE, _LONGEST_PAUSE)))

    @property
    def _idle(self) -> float:
        """Seconds since anybody did anything."""
        return self.loop.time() - self._stirred_at

    def stir(self) -> None:
        """Somebody does something."""
        self._stirred_at = self.loop.time()
        napping, self._napping = self._napping, []
        for one in napping:
            if not one.done():
                one.set_result(None)

    def seams(self, process: Process, *, shared: bool) -> Seams:
        """A process's ways to the outside."""
        name = self.side.name
        wire = Wire(process, self.network, name, self.side.transport(), self.side.faults, SchedulerFault, self._changed)
        stripe = Wire(
            process, self.network, "stripe", self.stripe.transport(), self.stripe.faults, StripeFault, self._changed
        )
        return Seams(
            now=self.now,
            random=Random(f"{self.story.seed} {process.name} {process.lives}"),
            sleep=self.sleep,
            rest=self.rest,
            scheduler_transports={name: wire},
            stripe_http=TransportHTTPClient(stripe),
            site_transport=self.sites,
            webhook_transport=self.receivers,
            resolve=self.sites.resolve,
            compiled_templates=COMPILED,
            connect=opener(process),  # type: ignore[arg-type]  # a kind of Connection
            give_mail=self._mail_server(process),
            shared=shared,
        )

    @property
    def binds(self) -> bool:
        """Whether what the scheduler has locked is ours."""
        return self.side.name == "hapio"

    def never_answers(self, part: str) -> bool:
        """Whether this part of the world was out of order for days."""
        return any(NEVER_ENDING[one.what] == part for one in self.story.never_ends)

    def opened(self, parts: Parts) -> None:
        """A process is up: its statements are those that an earlier one compiled."""
        share_statements(parts.store.engine.sync_engine)

    def _mail_server(self, process: Process) -> Callable[..., Any]:
        async def give(message: EmailMessage, _: SplitResult, *, sender: str) -> None:
            await process.step("mail", "send")
            if "mail refused for now" in self.spells:
                raise MailError("smtp: refused, 451", permanent=False)
            to_customer = "owner@" not in str(message["To"])
            if "mail refused for good" in self.spells and to_customer:
                raise MailError("smtp: recipient refused, 550", permanent=True)
            self.mails.append(Mail(message))
            await process.step("mail", "sent")
            if "mail cut" in self.spells:
                raise MailError("smtp: no answer", permanent=False, may_have_arrived=True)

        return give

    def pause_at(self, where: str, what: str) -> float:
        """How long a step takes. The network has pauses of its own."""
        if self.network.calm or where != "database":
            return 0.0
        return self.random.uniform(0.0002, 0.02) if what == "wait" else 0.0

    # -- what happens ----------------------------------------------------------------------------------------

    def note(self, what: str) -> None:
        """A line of what happened."""
        self.lines.append(Told(round(self.loop.time(), 3), what))

    def struck(self, what: str) -> None:
        """Something goes wrong now."""
        self.network.struck.append((self.loop.time(), what))

    def someone(self) -> Process:
        """A process that is up, as a proxy would choose. Raises Gone."""
        up = [one for one in self.processes if one.alive and one.app is not None]
        if not up:
            raise Gone
        return up[0] if len(up) == 1 else self.random.choice(up)

    async def die(self, process: Process) -> None:
        """A process is killed, and comes back when its story says."""
        await process.kill()
        death = self._deaths[process].pop(0) if self._deaths.get(process) else None
        await asyncio.sleep(death.back if death else 1.0)
        if not self.over:
            await self.up(process)

    async def up(self, process: Process) -> None:
        """A process is started, again and again where it cannot."""
        deaths = self._deaths.get(process)
        process.dies_at = deaths[0].step if deaths and not deaths[0].once else 0
        while not self.over:
            try:
                await process.start(worker_every=self.story.worker_every, shared=len(self.processes) > 1)
            except Gone:
                return  # killed while it was starting: whoever did that starts it again
            except (DatabaseUnusable, StorageError):
                await process.kill()
                await asyncio.sleep(_START_AGAIN)
                continue
            self.note(f"{process.name} is up")
            return

    def begins(self, act: str) -> None:
        """Somebody begins it, which some faults wait for."""
        self.network.begun.add(act)
        for process, deaths in self._deaths.items():
            if deaths and deaths[0].once == act:
                process.dies_at = process.steps + deaths[0].step

    def plan_deaths(self) -> None:
        """As the story has them."""
        self._deaths = {
            process: [one for one in self.story.deaths if one.process == number]
            for number, process in enumerate(self.processes)
        }

    def _changed(self) -> None:
        """A provider was asked something: it may have webhooks to send."""
        self.network.launch(self._deliver_soon())

    async def _deliver_soon(self) -> None:
        await asyncio.sleep(self.network.pause(0.1))
        await self.deliver()

    async def deliver(self) -> None:
        """The providers send the webhooks that are due."""
        if "webhooks off" in self.spells:
            return
        await self.stripe.deliver_due()
        await self.side.deliver()

    async def keep_delivering(self) -> None:
        """Webhooks that were refused are sent again."""
        number = 0
        while not self.over:
            await asyncio.sleep(_DELIVERIES[min(number, len(_DELIVERIES) - 1)])
            number += 1
            await self.deliver()

    async def cast(self, spell: Spell) -> None:
        """Something is out of order for a time."""
        await asyncio.sleep(spell.since)
        if spell.what == RESTORED:
            await self._put_back(spell.lasts)
            return
        self.note(f"{spell.what} begins")
        self.struck(spell.what)
        self.spells.add(spell.what)
        self.apply_spells()
        await asyncio.sleep(spell.lasts)
        self.spells = (self.spells - {spell.what}) | self.lasting
        self.apply_spells()
        self.note(f"{spell.what} ends")
        self.stir()

    async def _put_back(self, later: float) -> None:
        """Copy the database as the nightly backup does, and much later let everything stop, and begin from the copy."""
        assert self.file
        copy = back_up(self.file, self.file.parent / "backups", at=self.clock())
        self.note("the database is copied")
        await asyncio.sleep(later)
        if self.over:
            return
        up = [one for one in self.processes if one.alive]
        for process in up:
            await process.kill()
        for log in self.file.parent.glob(f"{self.file.name}-*"):
            log.unlink()
        copyfile(copy, self.file)
        self.restored = True
        self.note("the copy is put back")
        for process in up:
            await self.up(process)

    def apply_spells(self) -> None:
        """Let disk, clock and providers be as the spells that are on have it."""
        self.disk.full = "disk full" in self.spells
        self.clock_step = timedelta(0)
        if "clock ahead" in self.spells:
            self.clock_step = timedelta(minutes=7)
        elif "clock behind" in self.spells:
            self.clock_step = timedelta(minutes=-7)
        for name in ("scheduler", "stripe"):
            provider = self.side.name if name == "scheduler" else name
            self.network.gone[provider] = f"{name} gone" in self.spells
            self.network.silent[provider] = f"{name} silent" in self.spells
        if self.side.name == "hapio":
            self.side.switches({"monthly_quota": 0 if "quota used up" in self.spells else None})


class Hooks(httpx.AsyncBaseTransport):
    """Where the providers' webhooks arrive: at whichever process is up."""

    world: World

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Let it in."""
        try:
            process = self.world.someone()
            app = process.app
            assert app is not None
            self.world.stir()
            await request.aread()

            async def act(_: Parts) -> httpx.Response:
                return await httpx.ASGITransport(app=app).handle_async_request(request)

            return await process.run(act)
        except Gone:
            raise httpx.ReadError("nobody answers", request=request) from None


async def open_world(
    story: Story,
    folder: Path,
    loop: VirtualLoop,
    *,
    database_url: str = "",
    network: Network | None = None,
    prepare: Callable[[Side], Awaitable[Mapping[str, Any]]] | None = None,
) -> World:
    """The sandboxes, with nothing booked, and the file, with nothing in it. `network` has troubles of its own;
    `prepare` changes the scheduler's studio, and gives settings that go with it; `database_url` is that of a database
    with our tables, instead of the file."""
    clock = VirtualClock(MONDAY, loop)
    hooks = Hooks()
    client = httpx.AsyncClient(transport=hooks)
    side = await open_side(story.scheduler, clock, client, PUBLIC_URL)
    more = await prepare(side) if prepare else {}
    side.switches(dict(story.switches))
    if story.no_notice:
        side.sell_until_it_begins()
    (folder / "widgets.toml").write_text(
        WIDGET.format(
            **side.services,
            prices=NO_PRICES if isinstance(side, HapioSide) else PRICES,
            currency="sek",
            cancellation=TIERS,
            more="\n".join(story.widget),
        )
    )
    stripe = StripeSandbox(
        now=clock, seed=story.seed, webhook_client=client, webhook_url=f"{PUBLIC_URL}/api/webhooks/stripe"
    )
    for name, value in story.stripe.items():
        setattr(stripe.switches, name, value)
    if database_url:
        more = {**more, "database_url": database_url}
    else:
        (folder / "holdfast.sqlite3").write_bytes(await empty_database())
    settings = make_settings(folder, smtp_url="smtp://mail.example", **side.settings, **more)
    network = network or Network(Random(f"network {story.seed}"), story.troubles)
    world = World(story, loop, clock, side, stripe, hooks, settings, network)
    world.plan_deaths()
    return world
