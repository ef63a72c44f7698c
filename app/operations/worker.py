"""The worker: does what is due, looks for what no webhook has reported, sends mails.

It alone brings every booking to its end, even if all webhooks are off and no visitor returns from Stripe's page. Each
step is safe to repeat, so a crash or a second worker costs only the repetition.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.booking.acts import Acts
from app.booking.adopt import LOOK_BACK
from app.booking.overdue import Overdue
from app.booking.take_payment import UNPAID
from app.booking.tools import Tools
from app.domain.booking import Booking
from app.domain.event import StoredEvent
from app.domain.hours_change import HoursChange
from app.domain.move import Move
from app.domain.outbox import OutboxMail
from app.domain.payment import Payment, StrayPayment
from app.domain.refund import Refund
from app.domain.reservation import Reservation
from app.errors import MailError, SchedulerError, StorageBusy, StorageFull, StorageReadOnly, StripeError
from app.mail import Mailer
from app.operations.calendly_connections import CalendlyConnections
from app.operations.webhook_inbox import Inbox
from app.operations.working_hours import WorkingHours

log = structlog.get_logger()

#: The scheduler is swept rarely, since every call counts against the month: at start, daily, and after a lost answer.
SWEEP_SCHEDULER_EVERY = timedelta(days=1)
#: So long after the scheduler created a temporary booking, our call that made it has certainly ended.
SCHEDULER_STRAY_AGE = timedelta(minutes=15)
#: Reading from Stripe is free; a payment that no webhook reported waits this long at most.
SWEEP_STRIPE_EVERY = timedelta(minutes=10)
#: An open Session is read again after 1, 2, 4, … minutes.
FIRST_LOOK = timedelta(minutes=1)
#: A mail server that does not answer costs SMTP_SECONDS for each mail: refunds and releases must not wait long for it,
#: and the last mail's lease must not run out before it is sent.
MAILS_AT_ONCE = 5
MAIL_LEASE = timedelta(minutes=2)
#: RFC 5321 4.5.4.1 asks a sender for four days of attempts at least, because mail servers can be down over a weekend.
MAIL_PATIENCE = timedelta(days=4)
#: After our own outage every mail is late; each still gets this many attempts.
LEAST_MAIL_TRIES = 14
MAX_BACK_OFF = timedelta(hours=1)
#: The longest pause where the last attempt may have delivered the mail: each further one may be another copy.
MAX_MAIL_BACK_OFF = timedelta(days=1)
#: How often overdue things are looked for: they are reported after minutes, and a few reads a minute cost nothing.
LOOK_FOR_OVERDUE_EVERY = timedelta(minutes=1)
#: Each beat is a write; `/readyz` waits for several of them before it calls the worker late.
BEAT_EVERY = timedelta(seconds=10)
#: A worker that has not beaten for so long is gone.
GONE_AFTER = timedelta(minutes=1)
#: How often old rows are looked for; the first time so long after a start.
PRUNE_EVERY = timedelta(hours=6)
#: For how long one process's sweep counts for all processes; shorter than the interval of any sweep.
TURN = timedelta(minutes=9)
#: While the database refuses, `run` pauses for up to so many of its usual pauses.
LONGEST_PAUSE = 10

Item = TypeVar("Item")
#: Errors that the next step would meet as well.
_EVERYBODYS = (StorageBusy, StorageFull, StorageReadOnly)
#: Things that can be due and have an id that may be logged.
_ROWS = (Booking, HoursChange, Move, OutboxMail, Payment, Refund, Reservation)


class Worker:
    """Runs `tick` again and again. `sleep` waits seconds; `now` gives aware UTC datetimes. `alone` says
    that no other worker may run over this database; `keep_done` is for how long done events and mails are kept."""

    # Nine parameters: whose queues it empties, and what tests use instead of waiting.
    def __init__(
        self,
        tools: Tools,
        acts: Acts,
        mailer: Mailer,
        *,
        inbox: Inbox,
        connections: CalendlyConnections,
        working_hours: WorkingHours,
        sleep: Callable[[float], Awaitable[None]],
        alone: bool,
        keep_done: timedelta,
    ) -> None:
        self._alone = alone
        self._acts = acts
        self._inbox = inbox
        self._refunds = tools.refunds
        self._strays = tools.strays
        self._notifications = tools.notifications
        self._overdue = Overdue(store=tools.store, notifications=tools.notifications)
        self._connections = connections
        self._working_hours = working_hours
        self._store = tools.store
        self._mailer = mailer
        self._now = now = tools.now
        self._sleep = sleep
        self._metrics = tools.metrics
        self._stopping = False
        self._beaten_at: datetime | None = None
        self._seen_at = now()
        self._next_scheduler_sweep = now()
        self._next_stripe_sweep = now()
        self._next_reconciling = now()
        self._next_overdue_look = now()
        self._next_pruning = now() + PRUNE_EVERY
        self._keep_done = keep_done

    async def run(self, every: float = 1.0) -> None:
        """Tick until cancelled, or told to stop."""
        failed = 0
        while not self._stopping:
            try:
                await self.tick()
                failed = 0
            except Exception as error:  # a database that is busy once must not stop the worker permanently
                failed += 1
                log.error("tick failed", exc_info=error)
                self._metrics.put_off("tick", error)
            if not self._stopping:
                await self._sleep(every * min(2**failed, LONGEST_PAUSE))

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping

    def stop(self) -> None:
        """End `run` after the step under way; what else is due is still due after the next start."""
        self._stopping = True

    async def tick(self) -> None:
        """Do everything that is due now, money and time before mail. Raises StorageError where nothing can be written;
        what else goes wrong is logged, and the rest goes on."""
        if self._beaten_at is None:
            await self._end_turns_of_the_gone()
        # Before the first beat, and before a refund goes out.
        await self._each(self._acts.undone_since.to_look_at, self._acts.undone_since.look, _leave)
        due = await self._anything_due()
        if due:
            await self._each(self._store.overdue, self._expire, self._put_off)
            await self._each(self._store.offers_due, self._acts.late_money.lapse, self._put_off)
            await self._each(self._store.payments_to_look_at, self._look, _leave)
        await self._sweep()
        if due or await self._anything_due():
            await self._work_off()
        await self._tell_overdue()
        await self._prune(self._now())
        if self._mailer.enabled and await self._anything_due():
            await self._each(self._mails, self._send, self._put_off_mail)
            await self._each(self._store.untold_strays, self._strays.tell, self._put_off_stray)
            await self._each(self._connections.to_tell, self._connections.tell, self._connections.tell_later)
        await self._beat()

    async def _work_off(self) -> None:
        await self._each(self._store.events_due, self._take_event, self._inbox.put_off)
        await self._each(self._store.paid, self._acts.confirm.confirm, self._put_off)
        await self._each(self._store.moves_due, self._acts.reschedule.follow_move, self._put_off_move)
        await self._each(self._store.reservations_due, self._acts.release.due, self._put_off_reservation)
        await self._each(self._store.refunds_due, self._refunds.pay, _leave)
        await self._each(self._store.hours_due, self._working_hours.due, self._working_hours.put_off)

    async def _anything_due(self) -> bool:
        """Whether any queue has something due: in most ticks one query instead of ten. If this query fails, each queue
        is asked, so that one that cannot be read does not stop the others."""
        try:
            return await self._store.anything_due()
        except _EVERYBODYS:
            raise
        except SQLAlchemyError as error:
            log.error("what is due cannot be read", act="anything_due", exc_info=error)
            return True

    async def _mails(self) -> Sequence[OutboxMail]:
        return await self._store.take_mail(lease=MAIL_LEASE, most=MAILS_AT_ONCE)

    async def _beat(self) -> None:
        now = self._now()
        # Apart in either direction: the clock may be set back.
        if self._beaten_at is None or abs(now - self._beaten_at) >= BEAT_EVERY:
            self._beaten_at = now
            await self._store.beat()

    async def _each(
        self,
        due: Callable[[], Awaitable[Sequence[Item]]],
        act: Callable[[Item], Awaitable[object]],
        put_off: Callable[[Item, Exception], Awaitable[None]],
    ) -> None:
        name = act.__name__.lstrip("_")
        try:
            items = await due()
        except _EVERYBODYS:
            raise
        except Exception as error:  # one row that cannot be read must not stop the steps after this one
            log.error("what is due cannot be read", act=name, exc_info=error)
            self._metrics.put_off(name, error)
            return
        for item in items:
            if self._stopping:
                return
            await self._one(name, item, act, put_off)
            await self._beat()

    async def _one(
        self,
        name: str,
        item: Item,
        act: Callable[[Item], Awaitable[object]],
        put_off: Callable[[Item, Exception], Awaitable[None]],
    ) -> None:
        named = {"id": item.id} if isinstance(item, _ROWS) else {}
        try:
            await act(item)
            return
        except _EVERYBODYS:
            raise
        except (SchedulerError, StripeError) as error:
            reason: Exception = error
            log.warning("put off", act=name, error=type(error).__name__, code=error.code, **named)
        except MailError as error:
            reason = error
            log.warning("put off", act=name, error=type(error).__name__, reason=str(error), **named)
        except Exception as error:  # one faulty booking must not stop the clock for all others
            reason = error
            log.error("failed", act=name, exc_info=error, **named)
        self._metrics.put_off(name, reason)
        try:
            await put_off(item, reason)
        except _EVERYBODYS:
            raise
        except Exception as error:  # it is due again at once, which is better than nothing being due any more
            log.error("not put off", act=name, exc_info=error, **named)

    async def _expire(self, booking: Booking) -> None:
        left = await self._acts.settle.expire(booking)
        if left.status in UNPAID and left.deadline <= self._now():
            await self._put_off(left)  # Stripe's last word is not spoken yet

    async def _put_off(self, booking: Booking, _error: Exception | None = None) -> None:
        await self._store.put_off(booking.id, until=self._now() + _back_off(booking.tries))

    async def _put_off_move(self, move: Move, _error: Exception) -> None:
        await self._store.put_off_move(move.id, until=self._now() + _back_off(move.tries))

    async def _put_off_reservation(self, reservation: Reservation, _error: Exception) -> None:
        until = self._now() + _back_off(reservation.tries)
        await self._store.put_off_reservation(reservation.id, until=until)

    async def _look(self, payment: Payment) -> None:
        await self._store.look_again(payment.id, at=self._now() + FIRST_LOOK * 2 ** min(payment.looks + 1, 6))
        await self._acts.settle.booking(payment.booking_id)

    async def _take_event(self, stored: StoredEvent) -> None:
        error = await self._inbox.attempt(stored)
        if error:
            self._metrics.put_off("take_event", error)

    async def _send(self, mail: OutboxMail) -> None:
        letter = await self._notifications.letter(mail)
        if letter is None:
            await self._store.record_mail(mail.id, error="no longer true")
            return
        await self._mailer.send(letter)
        log.info("mail sent", mail=mail.id, kind=str(mail.kind), booking=mail.booking_id)
        await self._store.record_mail(mail.id)

    async def _put_off_mail(self, mail: OutboxMail, error: Exception) -> None:
        """Try again later, ever more rarely; give up what was refused permanently, or for `MAIL_PATIENCE`."""
        reason = error.reason if isinstance(error, MailError) else type(error).__name__
        told = {"kind": mail.kind, "booking": mail.booking_id, "tries": mail.tries, "reason": reason}
        late = mail.tries >= LEAST_MAIL_TRIES and self._now() - mail.due_at >= MAIL_PATIENCE
        if late or (isinstance(error, MailError) and error.permanent):
            log.error("mail given up", **told)
            owner = await self._notifications.given_up(mail, reason)
            await self._store.record_mail(mail.id, error=reason, mails=owner)
            return
        log.warning("mail put off", **told)
        lost = isinstance(error, MailError) and error.may_have_arrived
        pause = _back_off(mail.tries, longest=MAX_MAIL_BACK_OFF if lost else MAX_BACK_OFF)
        await self._store.record_mail(mail.id, error=reason, again_at=self._now() + pause)

    async def _put_off_stray(self, stray: StrayPayment, error: Exception) -> None:
        for_good = isinstance(error, MailError) and error.permanent  # the staff page says it still
        pause = _back_off(stray.tries, longest=MAX_MAIL_BACK_OFF if for_good else MAX_BACK_OFF)
        await self._store.put_off_stray(stray.session_id, until=self._now() + pause)

    async def _sweep(self) -> None:
        now = self._now()
        self._follow_clock(now)
        if now >= self._next_scheduler_sweep:
            self._next_scheduler_sweep = now + SWEEP_SCHEDULER_EVERY
            if await self._turn("sweep_scheduler", TURN):
                await self._one(
                    "sweep_scheduler",
                    now - SCHEDULER_STRAY_AGE,
                    self._acts.sweep.sweep_scheduler,
                    self._sweep_scheduler_soon,
                )
        if now >= self._next_stripe_sweep:
            self._next_stripe_sweep = now + SWEEP_STRIPE_EVERY
            if await self._turn("sweep_stripe", TURN):
                await self._one("sweep_stripe", now - LOOK_BACK, self._acts.sweep.sweep_stripe, _leave)
                await self._one("fetch_missed", now, self._fetch_missed, _leave)
        if now >= self._next_reconciling:
            # Should it fail, it is repeated with a pause; how far it has come is in a row.
            self._next_reconciling = now + MAX_BACK_OFF
            # Where it is kept for longer, others only look into the rows that say when it is time.
            if await self._turn("reconcile", TURN, longest=MAX_BACK_OFF):
                await self._one("reconcile", now, self._reconcile, _leave)
                if not self._alone:
                    await self._store.keep_turn("reconcile", until=self._next_reconciling - TURN)

    async def _turn(self, name: str, lasts: timedelta, *, longest: timedelta | None = None) -> bool:
        """Whether this process is the one to make certain calls now. If two begin at once, only one does."""
        return self._alone or await self._store.take_turn(name, until=self._now() + lasts, longest=longest)

    async def _end_turns_of_the_gone(self) -> None:
        """Where no worker is left that began before, nobody has the turn that may be kept for long: an older copy of
        the database may have been put back."""
        beat = await self._store.last_beat()
        if not self._alone and beat and self._now() - beat > GONE_AFTER:
            await self._store.keep_turn("reconcile", until=self._now())

    async def _prune(self, now: datetime) -> None:
        """Delete and count a batch in each tick until nothing is left; then pause for some hours."""
        if now < self._next_pruning or not await self._turn("prune", timedelta(seconds=30)):
            return
        if not await self._store.prune(now - self._keep_done) and not await self._store.tally_history():
            self._next_pruning = now + PRUNE_EVERY

    def _follow_clock(self, now: datetime) -> None:
        """If the clock was set back, what is planned comes as much sooner."""
        back = self._seen_at - now
        self._seen_at = now
        if back > BEAT_EVERY:
            self._next_scheduler_sweep -= back
            self._next_stripe_sweep -= back
            self._next_reconciling = now  # the rows say when it is time, and are ahead of the clock
            self._next_overdue_look -= back
            self._next_pruning -= back

    async def _tell_overdue(self) -> None:
        now = self._now()
        if now >= self._next_overdue_look:
            self._next_overdue_look = now + LOOK_FOR_OVERDUE_EVERY
            await self._one("look_for_overdue", now, self._look_for_overdue, _leave)

    async def _look_for_overdue(self, _now: datetime) -> None:
        await self._overdue.tell()

    async def _fetch_missed(self, _now: datetime) -> None:
        await self._inbox.fetch_missed()

    async def _reconcile(self, _now: datetime) -> None:
        self._next_reconciling = await self._acts.follow.reconcile()

    async def _sweep_scheduler_soon(self, _created_before: datetime, _error: Exception) -> None:
        self._next_scheduler_sweep = self._now() + MAX_BACK_OFF


async def _leave(_item: object, _error: Exception) -> None:
    """The next attempt was written down before this one."""


def _back_off(tries: int, *, longest: timedelta = MAX_BACK_OFF) -> timedelta:
    return min(timedelta(seconds=5 << min(tries, 16)), longest)
