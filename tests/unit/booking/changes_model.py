"""What a confirmed booking may still become, as a model: cancelled, taken back, moved; every interleaving, crashes too.

The second half of `lifecycle_model`: the steps are those of the acts in app/booking (cancel, confirm, release, moves,
refunds) in their order, and the allowed changes are the product's own. Two or three processes run at once, each a
browser's request, a webhook or a worker. A call of a process takes effect when its step does, however late; anyone who
crashes holds no lease any more. `broken` must never hold; `unsettled` must not hold wherever nothing is left to do.

Money in quarters of the first price: 4 were paid; a cheaper time costs 2, a dearer one 6.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

from app.domain.booking import TRANSITIONS, Status
from app.domain.move import MOVE_TRANSITIONS, OPEN_MOVES, MoveState

PAID_FIRST = 4


class World(NamedTuple):
    """What may happen in one search."""

    percent: int = 50  # of the price, on cancellation
    undo: bool = False
    price: int = 0  # of the new time; 0: nobody moves
    late: bool = False  # a difference may be paid after its page was expired
    processes: int = 3
    never: bool = False  # from some moment on Hapio, or Stripe, refuses permanently or never answers
    crashes: bool = True  # of any process, at any step, any number of times


WORLDS = {
    "half comes back, or is taken back": World(50, undo=True),
    "nothing comes back, or is taken back": World(0, undo=True),
    "same price": World(50, price=4),
    "cheaper": World(100, price=2),
    "dearer": World(100, price=6, processes=2),
    "dearer, paid late": World(50, price=6, late=True, processes=2),
    "canceled, and never answered": World(50, undo=True, processes=2, never=True),
    "moved, and never answered": World(50, price=6, processes=2, never=True, crashes=False),
}
#: What is left out, and the world in which that shows.
MUTANTS = {
    "release-before-agreed": ("give the old time back before Hapio has given the new one", "same price"),
    "cancel-ignores-move": ("cancel although a move is being made", "same price"),
    "cancel-without-lease": (
        "tell Hapio of a cancellation while another process does",
        "half comes back, or is taken back",
    ),
    "undo-before-told": ("take a cancellation back that Hapio has not heard of", "half comes back, or is taken back"),
    "restore-without-lease": (
        "ask Hapio for the time again while another process does",
        "half comes back, or is taken back",
    ),
    "undo-too-late": (
        "take a cancellation back although its refund has been tried",
        "half comes back, or is taken back",
    ),
    "refund-while-undone": ("pay a refund whose cancellation is being taken back", "half comes back, or is taken back"),
    "refund-not-withdrawn": (
        "leave the refund due when the cancellation was taken back",
        "half comes back, or is taken back",
    ),
    "refund-under-fresh-key": ("ask Stripe under a new key at each try", "half comes back, or is taken back"),
    "carry-without-lease": ("ask Hapio to move while another process does", "same price"),
    "move-unpaid": ("move before the difference is paid", "dearer"),
    "ignore-open-page": ("end the move although another process has given its page out", "dearer"),
    "difference-read-once": ("give the difference back by what was read before the claim", "dearer"),
    "keep-late-difference": ("leave money alone that came for a move that had ended", "dearer, paid late"),
    "draw-from-first": ("draw every refund from the first payment, beyond what it brought", "dearer"),
    "no-own-retry": ("leave to the browser's request what it did not finish", "same price"),
    "forget-old-time": ("do not note that the old reservation is to be let go when the move is done", "dearer"),
    "release-not-due": (
        "do not note that a canceled booking's reservation is to be let go",
        "half comes back, or is taken back",
    ),
    "tell-nobody": ("do not tell the owner what has waited for too long", "moved, and never answered"),
    "move-past-start": ("go on asking for a new time that has begun", "moved, and never answered"),
    "drop-the-difference": ("call a booking off without the difference of its move", "moved, and never answered"),
}


class State(NamedTuple):
    """Our rows, Hapio, Stripe and the world at one moment."""

    # -- our rows
    status: Status = Status.CONFIRMED
    place: str = "old"  # the reservation that the booking points at
    ours: str = "x"  # its reference: which of Hapio's bookings it is
    price: int = PAID_FIRST
    revision: int = 0
    called_off: bool = False  # canceled_at
    told: bool = False  # the reservation is cancelled at Hapio; until then it is due to be let go
    undoable: bool = False  # undo_until has not passed
    back: int = 0  # what the cancellation gives back
    move: MoveState | None = None
    lock: bool = False  # the new reservation, while the move has not come to its end: its reference is "y"
    unsure: bool = False  # of the new reservation
    left: bool = False  # the old reservation, which the booking has left, still has the reference "x"
    move_paid: bool = False
    page: str = ""  # the difference's row: "", written, open, expired, captured
    # refunds of the cancellation ("cancel"), of a cheaper time ("cheaper"), of a difference in vain ("vain"):
    # "", wait (until it can no longer be undone), frozen (being undone), due, tried, paid, withdrawn
    cancel: str = ""
    cheaper: str = ""
    vain: str = ""
    # -- Hapio
    x: str = "old"  # old, new, or with " canceled" behind; gone
    y: str = "none"  # none, temporary, final, cancelled, gone; always of the new time
    other_old: bool = False  # someone else has that time
    other_new: bool = False
    # -- Stripe
    session: str = "none"  # none, open, expired, complete
    made: tuple[int, int, int] = (0, 0, 0)  # refunds of each kind
    # -- the world
    url_given: bool = False
    event: bool = False
    late: bool = False  # the deadline of paying has passed
    begun: bool = False  # so have the visit's start and the new time's
    dead: str = ""  # who never answers again: hapio, stripe
    warned: bool = False  # the owner knows, and an alarm is on
    work: tuple[str, ...] = ()  # what each process does next


KINDS = ("cancel", "cheaper", "vain")
ENDED = (MoveState.DONE, MoveState.REFUSED, MoveState.EXPIRED)


def claim(s: State, from_: Collection[Status], to: Status, **also: Any) -> State | None:
    """The one writer of status. None means that someone else won."""
    for status in from_:
        assert to in TRANSITIONS[status], f"{status} → {to}"
    return s._replace(status=to, **also) if s.status in from_ else None


def claim_move(s: State, from_: Collection[MoveState | None], to: MoveState, **also: Any) -> State | None:
    """The one writer of a move's state."""
    for state in from_:
        assert to in MOVE_TRANSITIONS[state], f"{state} → {to}"
    return s._replace(move=to, **also) if s.move in from_ else None


def new_time_free(s: State) -> bool:
    """Whether Hapio would take another booking of the new time."""
    return s.x != "new" and s.y not in ("temporary", "final") and not s.other_new


def captured(s: State) -> int:
    """What Stripe has taken."""
    return PAID_FIRST + (2 if s.session == "complete" else 0)


def drawn(s: State, kind: str, mutant: str) -> tuple[int, int]:
    """What a refund takes from the first payment and from the difference: the newest first."""
    if kind == "vain":
        return 0, 2
    amount = s.back if kind == "cancel" else 2
    if kind == "cheaper" or mutant == "draw-from-first":
        return amount, 0
    newest = min(amount, 2 if s.move_paid and not s.vain else 0)
    return amount - newest, newest


def given_back(s: State, mutant: str) -> tuple[int, int]:
    """What went out of each payment."""
    totals = [0, 0]
    for kind, times in zip(KINDS, s.made, strict=True):
        for i, amount in enumerate(drawn(s, kind, mutant)):
            totals[i] += amount * times
    return totals[0], totals[1]


def leased(s: State, what: str, mutant: str) -> bool:
    """Whether a process is between taking the lease and giving it up."""
    return mutant != f"{what}-without-lease" and any(pc.startswith(f"{what}!") for pc in s.work)


#: Which steps ask whom, and what follows where no answer ever comes, if anything does.
ASKS = {
    "cancel!call": "hapio",
    "restore!call": "hapio",
    "lock.post": "hapio",
    "carry!call": "hapio",
    "drop.call": "hapio",
    "sweep.delete": "hapio",
    "page.create": "stripe",
    "page.undo": "stripe",
    "end.session": "stripe",
    "take.read": "stripe",
    "refund.ask": "stripe",
}
SILENT = {"lock.post": "lock.lost", "page.create": "end.claim"}


def step(s: State, pc: str, mutant: str, world: World) -> Iterator[tuple[State, str]]:
    """(state, next step) for every outcome of one step."""
    act, _, arg = pc.partition(":")
    steps = _CANCEL if act in _CANCEL else _MOVE
    if s.dead and ASKS.get(act) == s.dead:
        yield s, SILENT.get(act, "")
    else:
        yield from steps[act](s, arg, mutant, world)


Outcomes = Iterator[tuple[State, str]]


# -- cancel and take back ------------------------------------------------------------------------------------


def cancel_look(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    if s.status is Status.CONFIRMED and s.move is MoveState.HELD:
        yield s, "end.session"  # and then the customer asks again
    elif s.status is Status.CONFIRMED:
        yield s, f"cancel.claim:{s.revision}"
    else:
        yield s, ""


def cancel_claim(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    won = None
    if s.revision == int(arg) and (s.move is not MoveState.HELD or mutant == "cancel-ignores-move"):
        if s.move is MoveState.MOVING and mutant != "cancel-ignores-move":
            vain = "due" if s.move_paid and mutant != "drop-the-difference" else s.vain
            s = s._replace(move=MoveState.REFUSED, vain=vain)
        back = s.price * world.percent // 100
        won = claim(
            s,
            (Status.CONFIRMED,),
            Status.CANCELED,
            called_off=True,
            told=False,
            undoable=world.undo,
            back=back,
            cancel="wait" if back else "",
            revision=s.revision + 1,
        )
    yield (won, "cancel.lease") if won else (s, "")


def cancel_lease(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    due = s.status is Status.CANCELED and not s.told
    free = not leased(s, "cancel", mutant) and not (world.never and leased(s, "restore", mutant))
    yield s, "cancel!call" if due and free else ""


def cancel_call(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    done = s
    if s.ours == "y":
        done = s._replace(y="canceled" if s.y == "final" else s.y)
    elif s.x in ("old", "new"):
        done = s._replace(x=f"{s.x} canceled")
    yield done, "cancel!note"
    yield done, ""  # the answer is lost
    yield s, ""  # Hapio is unreachable


def cancel_note(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    yield s._replace(told=s.told or s.status is Status.CANCELED), ""


def undo_claim(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    heard = s.told or mutant == "undo-before-told"
    in_time = (s.undoable and s.cancel in ("", "wait")) or mutant == "undo-too-late"
    won = None
    if heard and in_time:
        frozen = "frozen" if s.cancel == "wait" and mutant != "refund-while-undone" else s.cancel
        won = claim(s, (Status.CANCELED,), Status.PAID, cancel=frozen)
    yield (won, "restore.lease") if won else (s, "")


def restore_lease(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    due = s.status is Status.PAID
    if due and s.begun:  # too late for the visit: it stays cancelled, and what Hapio has of it is asked for again
        yield s, "restore!unsure"
        return
    yield s, "restore!call" if due and not leased(s, "restore", mutant) else ""


def restore_call(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    yield s, ""  # Hapio is unreachable
    if s.x == "old canceled" and s.other_old:
        yield s, "restore!refused"
    else:
        yield s._replace(x="old"), "restore!claim"
        yield s._replace(x="old"), ""  # the answer is lost


def restore_claim(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    withdrawn = "due" if s.cancel and mutant == "refund-not-withdrawn" else "withdrawn" if s.cancel else ""
    if s.cancel not in ("frozen", "wait"):
        withdrawn = s.cancel
    back = claim(
        s,
        (Status.PAID,),
        Status.CONFIRMED,
        called_off=False,
        told=False,
        undoable=False,
        cancel=withdrawn,
        revision=s.revision + 1,
    )
    yield back or s, ""


def restore_refused(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    due = "due" if s.cancel == "frozen" else s.cancel
    yield claim(s, (Status.PAID,), Status.CANCELED, undoable=False, told=True, cancel=due) or s, ""


def restore_unsure(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    due = "due" if s.cancel == "frozen" else s.cancel
    yield claim(s, (Status.PAID,), Status.CANCELED, undoable=False, told=False, cancel=due) or s, ""


# -- refunds -------------------------------------------------------------------------------------------------


def refund_try(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    if _refund_due(s, arg):
        yield _stands(s, arg, "tried"), f"refund.ask:{arg}"
    else:
        yield s, ""


def refund_ask(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    yield s, ""  # Stripe is unreachable
    again = mutant == "refund-under-fresh-key"
    first, second, third = (
        (made + 1 if again else 1) if kind == arg else made for kind, made in zip(KINDS, s.made, strict=True)
    )
    asked = s._replace(made=(first, second, third))
    yield asked, f"refund.note:{arg}"
    yield asked, ""  # the answer is cut


def refund_note(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    yield _stands(s, arg, "paid"), ""


def _stands(s: State, kind: str, how: str) -> State:
    change: dict[str, Any] = {kind: how}
    return s._replace(**change)


def _refund_due(s: State, kind: str) -> bool:
    stands: str = getattr(s, kind)
    return stands in ("due", "tried") or (stands == "wait" and not s.undoable)


_CANCEL = {
    "cancel.look": cancel_look,
    "cancel.claim": cancel_claim,
    "cancel.lease": cancel_lease,
    "cancel!call": cancel_call,
    "cancel!note": cancel_note,
    "undo.claim": undo_claim,
    "restore.lease": restore_lease,
    "restore!call": restore_call,
    "restore!claim": restore_claim,
    "restore!refused": restore_refused,
    "restore!unsure": restore_unsure,
    "refund.try": refund_try,
    "refund.ask": refund_ask,
    "refund.note": refund_note,
}


# -- move ----------------------------------------------------------------------------------------------------


def move_insert(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    dearer = world.price > s.price and mutant != "move-unpaid"
    won = None
    if s.status is Status.CONFIRMED and s.revision == int(arg):
        won = claim_move(s, (None,), MoveState.HELD if dearer else MoveState.MOVING, unsure=dearer)
    yield (won, "lock.post" if dearer else "carry.lease") if won else (s, "")


def lock_post(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    if new_time_free(s):
        yield s._replace(y="temporary"), "lock.note"
        yield s._replace(y="temporary"), "lock.lost"
    else:
        yield s, "lock.refused"
    yield s, "lock.lost"


def lock_note(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    yield s._replace(lock=True, unsure=False), "page.write"


def lock_lost(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    yield claim_move(s, (MoveState.HELD,), MoveState.EXPIRED, unsure=True) or s, ""


def lock_refused(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    yield claim_move(s, (MoveState.HELD,), MoveState.REFUSED, unsure=False) or s, ""


def page_write(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    if s.move is MoveState.HELD and not s.page:
        yield s._replace(page="written"), "page.create"
    else:
        yield s, ""


def page_create(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    yield s._replace(session="open"), "page.note"
    yield s._replace(session="open"), "end.claim"  # the answer is lost
    yield s, "end.claim"


def page_note(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    if s.move is MoveState.HELD and s.page == "written":
        yield s._replace(page="open"), "page.give"
    else:
        yield s, "page.undo"


def page_give(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    yield s._replace(url_given=True), ""


def page_undo(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    yield s._replace(session="expired"), ""  # it was given to nobody


def end_session(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    if s.page != "open":
        yield s, "end.claim"
    elif s.session == "complete":
        yield s, "take.read"
    else:
        yield s._replace(session="expired"), "end.note"
    yield s, ""  # Stripe is unreachable: the next tick


def end_note(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    yield s._replace(page="expired" if s.page == "open" else s.page), "end.claim"


def end_claim(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    blocked = s.page == "open" and mutant != "ignore-open-page"
    won = None if blocked else claim_move(s, (MoveState.HELD,), MoveState.EXPIRED)
    yield (won, _drop(won)) if won else (s, "")


def take_read(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    yield s, f"take.claim:{'paid' if s.move_paid else ''}"


def take_claim(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    won = claim_move(s, (MoveState.HELD,), MoveState.MOVING, move_paid=True, page="captured", event=False)
    if won:
        yield won, "carry.lease"
    else:
        yield s, f"take.else:{arg}"


def take_else(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    used = arg if mutant == "difference-read-once" else s.move_paid
    if not used and mutant != "keep-late-difference":
        s = s._replace(vain=s.vain or "due")
    yield s._replace(page="captured", event=False), ""


def carry_lease(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    due = s.move is MoveState.MOVING and s.status is Status.CONFIRMED
    if due and s.begun and mutant != "move-past-start":
        yield s, "carry!refuse" if not leased(s, "carry", mutant) else ""
        return
    if due and s.dead == "stripe" and s.move_paid:  # Stripe is asked whether the difference is still there
        yield s, ""
        return
    yield s, "carry!call" if due and not leased(s, "carry", mutant) else ""


def carry_call(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    yield s, ""  # Hapio is unreachable
    if s.lock and s.y in ("temporary", "final"):
        yield s._replace(y="final"), "carry!done:y"
        yield s._replace(y="final"), ""  # the answer is lost
    elif s.x == "new":
        yield s, "carry!done:x"
    elif s.x == "old" and new_time_free(s):
        yield s._replace(x="new"), "carry!done:x"
        yield s._replace(x="new"), ""
    elif mutant == "release-before-agreed" and s.x == "old":
        yield s._replace(x="gone"), "carry!refuse"
    else:
        yield s, "carry!refuse"


def carry_done(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    done = None
    if s.status is Status.CONFIRMED:
        done = claim_move(
            s,
            (MoveState.MOVING,),
            MoveState.DONE,
            place="new",
            ours=arg,
            left=arg != s.ours and mutant != "forget-old-time",
            lock=False,
            unsure=False,
            price=world.price,
            cheaper="due" if world.price < s.price else "",
            revision=s.revision + 1,
        )
    yield (done, _drop(done)) if done else (s, "")


def carry_refuse(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    won = claim_move(s, (MoveState.MOVING,), MoveState.REFUSED)
    if won and won.move_paid:
        won = won._replace(vain="due")
    yield (won, _drop(won)) if won else (s, "")


def _drop(s: State) -> str:
    if s.move in ENDED and (s.lock or s.left or s.unsure):
        return f"drop.call:{'x' if s.left else 'y' if s.lock else ''}"
    return ""


def drop_call(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    yield s, ""  # Hapio is unreachable
    if arg == "x":
        s = s._replace(x="gone")
    elif s.y != "none":
        s = s._replace(y="gone")  # by its id, or found by its tag
    yield s, f"drop.note:{arg}"


def drop_note(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    if arg == ("x" if s.left else "y" if s.lock else ""):
        s = s._replace(lock=False, left=False, unsure=False)
    yield s, ""


def warn(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    yield s._replace(warned=True), ""


def sweep_delete(s: State, arg: str, mutant: str, world: World) -> Outcomes:
    yield s._replace(y="gone" if s.y == "temporary" else s.y), ""


_MOVE = {
    "move.insert": move_insert,
    "lock.post": lock_post,
    "lock.note": lock_note,
    "lock.lost": lock_lost,
    "lock.refused": lock_refused,
    "page.write": page_write,
    "page.create": page_create,
    "page.note": page_note,
    "page.give": page_give,
    "page.undo": page_undo,
    "end.session": end_session,
    "end.note": end_note,
    "end.claim": end_claim,
    "take.read": take_read,
    "take.claim": take_claim,
    "take.else": take_else,
    "carry.lease": carry_lease,
    "carry!call": carry_call,
    "carry!done": carry_done,
    "carry!refuse": carry_refuse,
    "drop.call": drop_call,
    "drop.note": drop_note,
    "sweep.delete": sweep_delete,
    "warn": warn,
}


# -- what happens --------------------------------------------------------------------------------------------


def jobs(s: State, mutant: str) -> Iterator[str]:
    """What a worker would find due."""
    for job in due(s, mutant):
        yield job
        if s.dead and not s.warned and mutant != "tell-nobody":
            yield "warn"


def due(s: State, mutant: str) -> Iterator[str]:
    """What is left to do."""
    if s.status is Status.CANCELED and not s.told and mutant != "release-not-due":
        yield "cancel.lease"
    if s.status is Status.PAID and mutant != "no-own-retry":
        yield "restore.lease"
    for kind in KINDS:
        if _refund_due(s, kind):
            yield f"refund.try:{kind}"
    if s.move is MoveState.MOVING and mutant != "no-own-retry":
        yield "carry.lease"
    if s.move is MoveState.HELD and s.late:
        yield "end.session"
    if drop := _drop(s):
        yield drop
    if s.session == "complete" and s.page != "captured":  # the webhook, a look at the page, the sweep of money
        yield "take.read"
    if s.move in ENDED and s.y == "temporary" and not s.lock:
        yield "sweep.delete"


def acts(s: State, world: World) -> Iterator[str]:
    """What the customer may ask for."""
    if s.status is Status.CONFIRMED and not s.begun and s.revision < (3 if world.undo else 2):
        yield "cancel.look"
        if world.price and s.move is None:
            yield f"move.insert:{s.revision}"
    if world.undo and s.status is Status.CANCELED:
        yield "undo.claim"  # too late, too: the page was left open
    if s.move is MoveState.HELD:
        yield "end.session"  # gives the difference up


def around(s: State, world: World) -> Iterator[State]:
    """What others do, and what time does."""
    if s.undoable:
        yield s._replace(undoable=False)
    if s.move is MoveState.HELD and not s.late:
        yield s._replace(late=True)
    if world.never and not s.begun:
        yield s._replace(begun=True, undoable=False)
    if world.never and not s.dead:
        yield s._replace(dead="hapio")
        yield s._replace(dead="stripe")
    if world.undo and not s.other_old and s.x != "old":
        yield s._replace(other_old=True)
    if world.price and (s.other_new or new_time_free(s)):
        yield s._replace(other_new=not s.other_new)
    if s.url_given and s.session in (("open", "expired") if world.late else ("open",)):
        yield s._replace(session="complete")


class Rows:
    """What follows from our rows, Hapio, Stripe and the world at one moment, no matter who is at work then.

    Most interleavings come to the same rows by other ways, so each such moment has a number, and what follows from it
    is found out once: a quarter of the time, and a fraction of the memory.
    """

    def __init__(self, mutant: str, world: World) -> None:
        self._mutant = mutant
        self._world = world
        self._numbers: dict[State, int] = {}
        self.states: list[State] = []
        self._around: dict[int, list[int]] = {}
        self._begun: dict[int, set[str]] = {}
        self._steps: dict[tuple[int, str, tuple[str, ...]], list[tuple[int, str]]] = {}

    def number(self, s: State) -> int:
        """Of a state in which nobody is at work."""
        assert not s.work
        number = self._numbers.setdefault(s, len(self.states))
        if number == len(self.states):
            self.states.append(s)
        return number

    def follows(self, rows: int, work: tuple[str, ...]) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Every (rows, what each process does next) that may follow."""
        for after in self._others(rows):
            yield after, work
        leases = tuple([pc for pc in work if "!" in pc])
        for pc in {*work}:
            rest = list(work)
            rest.remove(pc)
            for after, next_pc in self._step(rows, pc, leases):
                yield after, _with(rest, next_pc)
            if self._world.crashes:
                yield rows, tuple(rest)
        if len(work) < self._world.processes:
            for pc in self._begins(rows):
                yield rows, _with(work, pc)

    def _others(self, rows: int) -> list[int]:
        if rows not in self._around:
            self._around[rows] = [self.number(after) for after in around(self.states[rows], self._world)]
        return self._around[rows]

    def _begins(self, rows: int) -> set[str]:
        if rows not in self._begun:
            s = self.states[rows]
            self._begun[rows] = {*acts(s, self._world), *jobs(s, self._mutant)}
        return self._begun[rows]

    def _step(self, rows: int, pc: str, leases: tuple[str, ...]) -> list[tuple[int, str]]:
        # Of what others do, a step heeds their leases alone.
        key = (rows, pc, leases)
        if key not in self._steps:
            s = self.states[rows]._replace(work=leases)
            self._steps[key] = [
                (self.number(after._replace(work=())), next_pc)
                for after, next_pc in step(s, pc, self._mutant, self._world)
            ]
        return self._steps[key]


def _with(work: Iterable[str], pc: str) -> tuple[str, ...]:
    # Which process does what makes no difference, so they are kept in order: a fraction of the states.
    return tuple(sorted([*work, pc] if pc else work))


# -- the promises --------------------------------------------------------------------------------------------


def broken(s: State, mutant: str) -> str:
    """What must never be true, not even for a moment."""
    first, difference = given_back(s, mutant)
    if first > PAID_FIRST or difference > captured(s) - PAID_FIRST:
        return "more went back than a payment brought"
    if s.status is Status.CONFIRMED:
        if s.x not in ("old", "new") and s.y != "final":
            return "confirmed, but Hapio has no such booking"
        if s.made[0]:
            return "confirmed and refunded"
    if s.status is Status.CANCELED and s.move is MoveState.MOVING:
        return "called off and on the move"
    if s.move is MoveState.EXPIRED and s.page == "open" and s.session == "open" and s.url_given:
        return "the new time was given back while its difference can still be paid"
    if s.move is MoveState.DONE and s.price > PAID_FIRST and not s.move_paid:
        return "moved without its price"
    return ""


def unsettled(s: State, mutant: str) -> str:
    """What must not be true where no process runs and no job is due."""
    if s.status is Status.PAID or s.move in OPEN_MOVES:
        return "stuck"
    if s.y == "temporary":
        return "temporary booking leaked in Hapio"
    active = [*([s.x] if s.x in ("old", "new") else []), *(["new"] if s.y == "final" else [])]
    kept = captured(s) - sum(given_back(s, mutant))
    if s.status is Status.CONFIRMED:
        if active != [s.place]:
            return "Hapio has other times than the booking"
        return "" if kept == s.price else "kept something else than the price"
    if active:
        return "booking left in Hapio for a dead row"
    if "canceled" not in (s.y if s.ours == "y" else s.x):
        return "no record of the cancellation in Hapio"
    return "" if kept == s.price - s.back else "gave back something else than the terms say"


def nothing_helps(s: State, mutant: str, world: World) -> bool:
    """Whether whatever a worker may still try leads nowhere, followed to its end."""
    for job in jobs(s, mutant):
        pc = job
        while pc:
            (after, pc), *others = step(s, pc, mutant, world)
            tried = after._replace(cancel=s.cancel, cheaper=s.cheaper, vain=s.vain) == s
            if others or not tried:
                return False
    return True


class Outcome(NamedTuple):
    """What a search found: the first problem (or none), how many states, which changes were seen."""

    problem: str
    states: int
    changes: frozenset[tuple[Status, Status]]
    moves: frozenset[tuple[MoveState | None, MoveState | None]]
    endings: frozenset[tuple[Status, MoveState | None, int]]


@cache
def search(mutant: str, world: str) -> Outcome:
    """Visit every interleaving, breadth first."""
    there = WORLDS[world]
    known = Rows(mutant, there)
    start: tuple[int, tuple[str, ...]] = (known.number(State()), ())
    queue, seen = deque([start]), {start}
    changes: set[tuple[Status, Status]] = set()
    moves: set[tuple[MoveState | None, MoveState | None]] = set()
    endings: set[tuple[Status, MoveState | None, int]] = set()
    never_true: dict[int, str] = {}
    problem = ""
    while queue and not problem:
        rows, work = queue.popleft()
        s = known.states[rows]
        if rows not in never_true:
            never_true[rows] = broken(s, mutant)
        settled = not work and not s.undoable and not any(jobs(s, mutant)) and s.move is not MoveState.HELD
        if there.never:
            decided = s.begun and not s.undoable and (s.late or s.move is not MoveState.HELD)
            settled = decided and not work and nothing_helps(s, mutant, there)
        problem = never_true[rows] or (unsettled(s, mutant) if settled else "")
        if problem and settled and s.warned and s.status is not Status.PAID and s.move is not MoveState.MOVING:
            problem = ""  # the owner knows, and has a way out
        if settled:
            endings.add((s.status, s.move, captured(s) - sum(given_back(s, mutant))))
        for after in known.follows(rows, work):
            if after not in seen:
                seen.add(after)
                queue.append(after)
            if after[0] != rows:
                then = known.states[after[0]]
                if then.status is not s.status:
                    changes.add((s.status, then.status))
                if then.move is not s.move:
                    moves.add((s.move, then.move))
    return Outcome(problem, len(seen), frozenset(changes), frozenset(moves), frozenset(endings))
