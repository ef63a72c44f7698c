"""Switch a rule of the design off, and see whether the simulation notices: `make prove-rules`, or
`make prove-rules ONLY="slot-guard own-retry" RUNS=3000`.

Each rule is left out of a copy of the code by changing a few words of it; then stories are played there, in the order
of their seeds, until one breaks a promise. A rule that no story needs is either not needed, or not searched for: the
command fails and names it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
#: What a run needs of a checkout.
_PARTS = (
    "app",
    "proof",
    "sandbox",
    "tests/support",
    "tests/__init__.py",
    "templates",
    "static",
    "scripts",
    "pyproject.toml",
)


@dataclass(frozen=True)
class Edit:
    """These words of a file become others; they stand there once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Rule:
    """A rule of the design, and what leaves it out."""

    name: str
    says: str
    edits: tuple[Edit, ...]
    #: Where the rule matters only with one scheduler.
    scheduler: str = ""


RULES: Sequence[Rule] = (
    Rule(
        "one-writer",
        "A status changes only from the one that was read (rule 1).",
        (
            Edit(
                "app/store/bookings.py",
                "statement = _claim_of(tuple(change.from_))",
                "statement = _claim_of(tuple(Status))",
            ),
        ),
    ),
    Rule(
        "claim-first",
        "The end is claimed before the time is given away (rule 2).",
        (
            Edit(
                "app/booking/take_payment.py",
                "        ended = await self._store.claim(booking.id, change)\n        if ended is None:",
                "        await self._release.unclaimed(booking)\n"
                "        ended = await self._store.claim(booking.id, change)\n        if ended is None:",
            ),
            Edit(
                "app/booking/release.py",
                "    async def soon(self, booking: Booking) -> None:",
                "    async def unclaimed(self, booking: Booking) -> None:\n"
                "        await self._let_go(booking.reservation)\n\n"
                "    async def soon(self, booking: Booking) -> None:",
            ),
        ),
    ),
    Rule(
        "session-first",
        "Nothing is released before Stripe has said that its page is expired (rule 3).",
        (
            Edit(
                "app/booking/take_payment.py",
                "        booking = await self.expire_sessions(booking)\n        if booking.status is Status.PAID:",
                "        if booking.status is Status.PAID:",
            ),
            Edit(
                "app/booking/take_payment.py",
                "            due_by=self._now() + SESSION_MARGIN if reason is EndReason.DEADLINE else None,\n"
                "            without_open_session=True,",
                "            due_by=self._now() + SESSION_MARGIN if reason is EndReason.DEADLINE else None,",
            ),
            Edit(
                "app/booking/settle.py",
                "await self._adopt.catch_up(booking.id)\n        async with self._locks(booking.id):",
                "async with self._locks(booking.id):",
            ),
        ),
    ),
    Rule(
        "read-from-stripe",
        "Paid is what Stripe says when it is read, with the amount that was asked for (rule 4).",
        (
            Edit(
                "app/booking/take_payment.py",
                "if facts.state is not payment.state:",
                "if True:",
            ),
            Edit(
                "app/booking/take_payment.py",
                "if facts.state in {PaymentState.AUTHORIZED, PaymentState.CAPTURED}:",
                "if facts.state is not PaymentState.EXPIRED:",
            ),
            Edit(
                "app/booking/take_payment.py",
                "if not facts.pays(payment, livemode=self._tools.stripe.livemode):",
                "if facts is None:",
            ),
        ),
    ),
    Rule(
        "own-retry",
        "What is paid and not confirmed is due by its row, whatever becomes of the webhook (rule 5).",
        (
            Edit(
                "app/operations/worker.py",
                "await self._each(self._store.paid, self._acts.confirm.confirm, self._put_off)",
                "pass",
            ),
        ),
    ),
    Rule(
        "release-due",
        "A time that is to be given back is due by its row (rule 5).",
        (
            Edit(
                "app/operations/worker.py",
                "await self._each(self._store.reservations_due, self._acts.release.due, self._put_off_reservation)",
                "pass",
            ),
        ),
    ),
    Rule(
        "refund-due",
        "A refund that did not go out is due by its row (rule 5).",
        (
            Edit(
                "app/operations/worker.py",
                "await self._each(self._store.refunds_due, self._refunds.pay, _leave)",
                "pass",
            ),
        ),
    ),
    Rule(
        "look-for-money",
        "Money is looked for where no webhook came (promise 3).",
        (
            Edit(
                "app/operations/worker.py",
                "await self._each(self._store.payments_to_look_at, self._look, _leave)",
                "pass",
            ),
            Edit(
                "app/booking/sweep.py",
                "        if self._payments is None:\n            return swept",
                "        return swept",
            ),
        ),
    ),
    Rule(
        "never-revive",
        "A hold that has expired is never made final afterwards (rule 6).",
        (
            Edit(
                "app/booking/confirm.py",
                "lock = _Lock.GONE if booking.lost_time else await self._make_final(booking, payment)",
                "lock = _Lock.FINAL if booking.lost_time else await self._make_final(booking, payment)",
            ),
        ),
    ),
    Rule(
        "find-what-was-lost",
        "A create whose answer was lost is found by its tag (rule 7).",
        (
            Edit(
                "app/booking/release.py",
                "        if reservation.unsure:\n"
                "            await self._delete_tagged(reservation)\n        await self._store",
                "        await self._store",
            ),
            Edit(
                "app/booking/sweep.py",
                "        swept = 0\n        for stray in",
                "        return 0\n        swept = 0\n        for stray in",
            ),
        ),
    ),
    Rule(
        "slot-guard",
        "A time is taken in our rows before the scheduler is asked (rule 9).",
        (
            Edit(
                "app/store/slot_guard.py",
                "return sa.and_(~_off(asked), ~_crowded(asked)) if limited else ~_off(asked)",
                "return ~_off(asked)",
            ),
        ),
        "hapio",
    ),
    Rule(
        "same-refund",
        "A refund that is asked for again is the same refund (its key at Stripe).",
        (
            Edit(
                "app/payments/stripe_client.py",
                '{"idempotency_key": f"refund:{refund_id}"',
                '{"idempotency_key": f"refund:{refund_id}{self._now()}"',
            ),
            Edit(
                "app/booking/refunds.py",
                "        if facts:\n            await self._record(refund, facts)\n",
                "        return\n",
            ),
        ),
    ),
    Rule(
        "undo-in-time",
        "A cancellation is taken back only while none of its money has gone out.",
        (
            Edit("app/store/bookings.py", "bookings.c.undo_until > self._now(),\n            heard,", "heard,"),
            Edit(
                "app/store/bookings.py",
                'sa.or_(refunds.c.tries > 0, refunds.c.status != "requested")\n            ),',
                "sa.false()\n            ),",
            ),
        ),
    ),
    Rule(
        "cancel-minds-move",
        "A cancellation is of the booking as it was read, and knows its move.",
        (
            Edit(
                "app/booking/cancel.py",
                "            unchanged_since=booking.revision,\n            ends_move=move,\n",
                "",
            ),
        ),
    ),
    Rule(
        "hold-the-money",
        "Where the lock does not bind, money is only held until the calendar has agreed.",
        (
            Edit(
                "app/booking/checkout.py",
                "return widget.capture or (Capture.AUTOMATIC if binds else Capture.MANUAL)",
                "return widget.capture or Capture.AUTOMATIC",
            ),
        ),
        "calendly",
    ),
    Rule(
        "tell-unconfirmed",
        "Who has paid and is not confirmed, and the owner, hear of it.",
        (Edit("app/booking/overdue.py", "await self._store.unconfirmed_since(CONFIRM_WITHIN)", "()"),),
    ),
    Rule(
        "tell-unmoved",
        "A move that is not made is told.",
        (Edit("app/booking/overdue.py", "await self._store.unmoved_since(MOVE_WITHIN)", "()"),),
    ),
    Rule(
        "tell-unended",
        "What Stripe does not let end is told.",
        (Edit("app/booking/overdue.py", "await self._store.unended_since(END_WITHIN)", "()"),),
    ),
    Rule(
        "tell-unread",
        "A payment that Stripe does not explain is told.",
        (Edit("app/booking/overdue.py", "await self._store.unread_since(END_WITHIN)", "()"),),
    ),
    Rule(
        "tell-unreleased",
        "A time that nobody has, and that is not given back, is told.",
        (Edit("app/booking/overdue.py", "await self._store.unreleased_since(RELEASE_WITHIN)", "()"),),
    ),
    Rule(
        "tell-refunds",
        "A refund that does not go out is told.",
        (
            Edit(
                "app/booking/refunds.py",
                "problem=problem, mails=await self._trouble(refund, problem))",
                "problem=problem, mails=[])",
            ),
        ),
    ),
    Rule(
        "tell-given-up",
        "The owner hears of a customer who cannot be reached.",
        (Edit("app/operations/worker.py", "await self._notifications.given_up(mail, reason)", "[]"),),
    ),
    Rule(
        "show-late-mails",
        "The staff page says that mails wait.",
        (Edit("app/operations/alerts.py", "*([Alert(kind, many=late, why=why)] if late else []),", ""),),
    ),
    Rule(
        "show-events",
        "The staff page says that a provider's messages wait.",
        (
            Edit(
                "app/operations/alerts.py",
                "*([Alert(AlertKind.EVENTS_FAILING, many=failing)] if failing else []),",
                "",
            ),
        ),
    ),
    Rule(
        "few-copies",
        "A mail that may have arrived is sent ever more rarely.",
        (Edit("app/operations/worker.py", "MAX_MAIL_BACK_OFF if lost else MAX_BACK_OFF", "MAX_BACK_OFF"),),
    ),
    Rule(
        "not-ready",
        "A server that cannot write says that it is not ready.",
        (Edit("app/operations/health.py", 'ready = database == "ok" and not late', "ready = True"),),
    ),
)


def leave_out(rule: Rule, tree: Path) -> None:
    """Change the code below `tree` so that it does without the rule. Raises ValueError where its words are gone."""
    for edit in rule.edits:
        file = tree / edit.file
        text = file.read_text()
        if text.count(edit.old) != 1:
            raise ValueError(f"{rule.name}: {edit.file} has these words {text.count(edit.old)} times: {edit.old!r}")
        file.write_text(text.replace(edit.old, edit.new))


def copy_code(to: Path, root: Path = ROOT) -> None:
    """What a run needs."""
    for name in _PARTS:
        source, target = root / name, to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        elif source.exists():
            shutil.copyfile(source, target)
    tests = to / "tests" / "__init__.py"
    tests.touch()


def first_seed(tree: Path, *, runs: int, scheduler: str, seed: int = 0) -> tuple[int, str] | None:
    """The first story that breaks a promise with the code below `tree`, and what it says; None where none does."""
    words = [sys.executable, "-m", "proof.first_failure", "--runs", str(runs), "--seed", str(seed)]
    words += ["--scheduler", scheduler] if scheduler else []
    done = subprocess.run(words, cwd=tree, check=False, capture_output=True, text=True)  # noqa: S603 - our own program
    found = re.search(r"^seed (\d+): (.*)$", done.stdout, re.MULTILINE)
    if found:
        return int(found[1]), found[2]
    if not done.returncode:
        return None
    begun = re.findall(r"^playing (\d+)$", done.stdout, re.MULTILINE)
    if not begun:
        raise RuntimeError(done.stderr[-2000:])
    return int(begun[-1]), "the run did not come to its end"


def main() -> int:
    """0 where each rule was caught."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("only", nargs="*")
    asked = parser.parse_args()
    rules = [rule for rule in RULES if not asked.only or rule.name in asked.only]
    with ThreadPoolExecutor(asked.jobs) as pool:
        caught = list(pool.map(lambda rule: _try(rule, asked.runs), rules))
    return int(not all(caught))


def _try(rule: Rule, runs: int) -> bool:
    with TemporaryDirectory() as folder:
        tree = Path(folder)
        copy_code(tree)
        leave_out(rule, tree)
        found = first_seed(tree, runs=runs, scheduler=rule.scheduler)
        while found and first_seed(ROOT, runs=1, scheduler=rule.scheduler, seed=found[0]):
            # That story breaks a promise with the rule, too: it says nothing about the rule.
            following = found[0] + 1
            found = first_seed(tree, runs=runs - following, scheduler=rule.scheduler, seed=following)
    if found is None:
        print(f"{rule.name:20} not caught in {runs} runs", flush=True)
        return False
    seed, sentence = found
    print(f"{rule.name:20} caught by seed {seed}, in {seed + 1} runs: {sentence[:100]}", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
