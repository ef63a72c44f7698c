"""A story: who does what when, and what goes wrong meanwhile. It is data, made from a seed, so that it can be told in
words, made shorter, kept, and played again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from random import Random
from typing import Any

from proof.network import FATES, Fate, Trouble
from tests.support.sides import NAMES, WORST

#: What a visitor may do, with how often it is chosen, and what an owner, a stranger and the money's side may do.
AFTER_HOLD: Mapping[str, int] = {
    "pay": 60,
    "pay in two tabs": 4,
    "go to pay and walk away": 8,
    "pay after the deadline": 8,
    "decline, then pay": 6,
    "pay another amount": 3,
    "give up": 6,
    "go to pay and come back to give up": 4,
    "give up in one tab and go on in another": 5,
    "pay in the seconds when the time runs out": 6,
    "pay when the visit has begun": 2,
    "pay and call it off at once": 6,
    "correct the address and pay in both tabs": 4,
    "walk away": 4,
}
AFTER_PAID: Mapping[str, int] = {
    "look": 20,
    "cancel": 22,
    "cancel and take it back": 12,
    "move": 16,
    "move to a dearer service": 12,
    "move to a dearer service and walk away": 5,
    "move to a cheaper service": 6,
    "cancel and move in two tabs": 5,
    "take it back twice": 2,
    "choose another time": 10,
    "ask for the money": 4,
}
OTHERS: Mapping[str, int] = {
    "owner cancels": 10,
    "owner moves": 8,
    "owner gives half back": 6,
    "owner cancels at the scheduler": 10,
    "owner moves at the scheduler": 8,
    "customer cancels at the scheduler": 5,
    "stranger takes the time": 14,
    "desk books": 8,
    "desk books by link": 5,
    "refund in the dashboard": 7,
    "part refund in the dashboard": 5,
    "dispute": 4,
    "forged webhook": 4,
    "everybody looks": 4,
}
SERVICES = ("portrait", "headshot", "planning")
#: Where a story's times lie, by the number of a free time: today, where a cancellation gives back little or nothing, in
#: some days, where it gives back all, or next month.
A_MONTH_ON = 1000
WHEN = (0, 0, 30, 60, A_MONTH_ON)
#: The database is put back as it was: `since` is when it was copied, `lasts` how much later that copy replaces it.
RESTORED = "an old copy of the database is put back at its end"


#: What may be out of order for good, by the part of the world that it takes away.
NEVER_ENDING: Mapping[str, str] = {
    "scheduler gone": "scheduler",
    "scheduler silent": "scheduler",
    "scheduler refuses": "scheduler",
    "quota used up": "scheduler",
    "stripe gone": "stripe",
    "stripe silent": "stripe",
    "stripe refuses": "stripe",
    "refunds refused": "refunds",
    "refunds fail": "refunds",
    "balance too low": "refunds",
    "mail refused for now": "mail",
    "mail refused for good": "mail",
    "mail cut": "mail",
    "webhooks off": "webhooks",
    "disk full": "disk",
}
#: One story in so many has faults that never stop.
_ONE_IN = 8


@dataclass(frozen=True)
class Act:
    """One thing that somebody does, so many seconds after what they did before."""

    after: float
    what: str
    #: With how many clicks at once.
    times: int = 1
    #: Which free time, service and person are wanted.
    nth: int = 0
    service: str = "portrait"
    anyone: bool = True
    #: Whose booking it is about, where it is not their own.
    whose: int = 0


@dataclass(frozen=True)
class Actor:
    """Somebody with a list of acts, done one after the other."""

    name: str
    acts: tuple[Act, ...]


@dataclass(frozen=True)
class Death:
    """A process dies at its step of that number, and is back so many seconds later."""

    process: int
    step: int
    back: float


@dataclass(frozen=True)
class Spell:
    """A time, in seconds from the beginning, in which something is out of order."""

    what: str
    since: float
    lasts: float


@dataclass(frozen=True)
class Broken:
    """From so many seconds after the beginning on, this is out of order, and nobody mends it."""

    what: str
    since: float


@dataclass(frozen=True)
class Story:
    """All of one run."""

    seed: int
    scheduler: str = "hapio"
    database: str = "sqlite"
    widget: tuple[str, ...] = ()
    processes: int = 1
    worker_every: float = 20.0
    actors: tuple[Actor, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    deaths: tuple[Death, ...] = ()
    spells: tuple[Spell, ...] = ()
    stripe: Mapping[str, Any] = field(default_factory=dict)
    switches: Mapping[str, Any] = field(default_factory=dict)
    never_ends: tuple[Broken, ...] = ()
    #: Whether every service can be booked until it begins.
    no_notice: bool = False

    @property
    def changed_there(self) -> bool:
        """Whether its people change bookings at the scheduler."""
        return any("at the scheduler" in act.what for actor in self.actors for act in actor.acts)

    def dump(self) -> str:
        """As text that `load` reads."""
        return json.dumps(asdict(self), indent=1)


def load(text: str) -> Story:
    """The story that `dump` wrote."""
    raw = json.loads(text)
    actors = tuple(Actor(one["name"], tuple(Act(**act) for act in one["acts"])) for one in raw.pop("actors"))
    return Story(
        actors=actors,
        troubles=tuple(Trouble(**one) for one in raw.pop("troubles")),
        deaths=tuple(Death(**one) for one in raw.pop("deaths")),
        spells=tuple(Spell(**one) for one in raw.pop("spells")),
        widget=tuple(raw.pop("widget")),
        never_ends=tuple(Broken(**one) for one in raw.pop("never_ends", ())),
        **raw,
    )


# -- made from a seed --------------------------------------------------------------------------------------------


def make(seed: int, scheduler: str = "", database: str = "sqlite") -> Story:
    """The story of this seed. `scheduler` empty: the seed decides that as well."""
    story = _that_ends(seed, scheduler, database)
    chance = Random(f"never {seed}")
    return break_for_good(story, chance) if chance.random() * _ONE_IN < 1 else story


def break_for_good(story: Story, chance: Random) -> Story:
    """The same story, in which one or two things go out of order about when somebody does something, for good."""
    whats = [what for what in NEVER_ENDING if what != "quota used up" or story.scheduler == "hapio"]
    if chance.random() < 0.15:
        return _moved_while_it_is_gone(chance, story)
    if chance.random() < 0.4:
        return _gone_when_it_is_needed(chance, story)
    broken: dict[str, Broken] = {}  # one of each part
    for _ in range(chance.choice((1, 1, 1, 2))):
        actor = chance.choice(story.actors)
        many = chance.randint(1, len(actor.acts))
        since = sum(act.after for act in actor.acts[:many]) + chance.choice((-1.0, 0.1, 1.0, 5.0, 60.0, 640.0))
        what = chance.choice(whats)
        broken[NEVER_ENDING[what]] = Broken(what, round(max(0.0, since), 2))
    return replace(story, never_ends=tuple(broken.values()))


def _moved_while_it_is_gone(chance: Random, story: Story) -> Story:
    """The scheduler goes for good when the difference of a move is being paid: shortly after the customer has gone to
    Stripe for it, which depends on how long they took with the price itself."""
    move = Act(900.0, "move to a dearer service", nth=A_MONTH_ON + 2)
    actor = _alone("pay", move, nth=A_MONTH_ON, service="headshot")
    since = chance.choice((910.0, 910.0, 950.0, 1500.0))
    return replace(
        story, actors=(actor,), troubles=(), deaths=(), spells=(), never_ends=(Broken("scheduler gone", since),)
    )


#: What somebody does who holds a time, what is out of order for good from then on, and when about that is.
_NEEDED: Sequence[tuple[tuple[Act, ...], tuple[str, ...], float]] = (
    ((Act(60.0, "pay"),), ("scheduler gone", "scheduler silent", "scheduler refuses"), 30.0),
    ((Act(60.0, "walk away"),), ("scheduler gone", "scheduler silent", "scheduler refuses"), 30.0),
    ((Act(60.0, "pay"), Act(800.0, "cancel")), ("scheduler gone", "scheduler silent", "scheduler refuses"), 780.0),
    ((Act(60.0, "go to pay and walk away"),), ("stripe gone", "stripe silent", "stripe refuses"), 90.0),
    ((Act(5.0, "pay after the deadline"),), ("stripe gone", "stripe refuses"), 3000.0),
    ((Act(60.0, "pay"),), ("stripe gone",), 75.0),
    ((Act(60.0, "pay"), Act(800.0, "cancel")), ("stripe silent", "refunds refused", "refunds fail"), 700.0),
    ((Act(60.0, "pay"), Act(800.0, "cancel")), ("balance too low",), 700.0),
    ((Act(60.0, "pay"),), ("mail cut", "mail refused for now", "mail refused for good"), 0.0),
)


def _gone_when_it_is_needed(chance: Random, story: Story) -> Story:
    """One visitor, and what they need next goes for good."""
    acts, whats, since = chance.choice(_NEEDED)
    visitor = Actor("visitor 1", (Act(0.0, "hold", nth=60), *acts))
    broken = Broken(chance.choice(whats), round(since * chance.uniform(0.95, 1.05), 2))
    stripe = {**story.stripe, "deliver": "on", "allow_late_payment": True}
    return replace(
        story,
        actors=(visitor,),
        troubles=(),
        deaths=(),
        spells=(),
        stripe=stripe,
        never_ends=(broken,),
        no_notice=False,
    )


def _that_ends(seed: int, scheduler: str, database: str) -> Story:
    chance = Random(f"story {seed}")
    scheduler = scheduler or (*NAMES, WORST)[seed % 4]
    processes = 2 if chance.random() < 0.15 else 1
    visitors = chance.choice((1, 1, 1, 1, 1, 2, 2, 2, 3, 4))
    when = chance.choice(WHEN)
    actors = [_visitor(chance, number, when) for number in range(visitors)]
    actors += [_other(chance, number, visitors, when) for number in range(chance.choice((0, 0, 0, 1, 1, 2)))]
    story = Story(
        seed=seed,
        scheduler=scheduler,
        database=database,
        widget=_widget(chance),
        processes=processes,
        worker_every=chance.choice((15.0, 60.0, 200.0)),
        actors=tuple(actors),
        stripe=_stripe(chance),
        switches=_switches(chance, scheduler),
    )
    restored = chance.random() < 0.06
    if chance.random() < 0.35:
        return _choose_situation(chance)(chance, story)
    if chance.random() < 0.1:
        return story
    return replace(
        story,
        troubles=tuple(_trouble(chance, scheduler) for _ in range(chance.choice((0, 1, 1, 2, 3, 6)))),
        deaths=tuple(_death(chance, processes) for _ in range(chance.choice((0, 0, 1, 1, 2, 3)))),
        spells=(
            *(_spell(chance) for _ in range(chance.choice((0, 0, 0, 1, 1, 2)))),
            *(
                (Spell(RESTORED, chance.choice((20.0, 90.0, 700.0)), chance.choice((1.0, 60.0, 600.0))),)
                if restored and database == "sqlite"  # there it is a file
                else ()
            ),
        ),
    )


def _pause(chance: Random) -> float:
    """Seconds between two clicks: mostly at once, often minutes, at times longer than any deadline."""
    return round(
        chance.choice((0.0, 0.05, 0.3, 1, 5, 20, 60, 200, 599, 601, 900, 1859, 1861, 2400)) * chance.uniform(0.9, 1.1),
        2,
    )


def _visitor(chance: Random, number: int, when: int) -> Actor:
    service = chance.choices(SERVICES, (5, 4, 1))[0]
    acts = [
        Act(
            after=chance.choice((0.0, 0.01, 1.0, 40.0, 700.0)) + number * chance.choice((0.0, 0.1, 30.0)),
            what="hold",
            times=chance.choice((1, 1, 1, 2)),
            nth=when + chance.choice((0, 0, 0, 0, 1, 20)),
            service=service,
            anyone=chance.random() < 0.6,
        ),
        Act(
            after=_pause(chance),
            what=_choose(chance, AFTER_HOLD),
            times=chance.choice((1, 1, 1, 1, 2)),
            service=service,
        ),
    ]
    for _ in range(chance.choice((0, 1, 1, 2))):
        act = Act(after=_pause(chance), what=_choose(chance, AFTER_PAID), times=chance.choice((1, 1, 1, 2)))
        acts.append(replace(act, nth=when + chance.choice((0, 1, 2, 21, 41)), service=service))
    return Actor(f"visitor {number + 1}", tuple(acts))


def _other(chance: Random, number: int, visitors: int, when: int) -> Actor:
    acts = tuple(
        Act(
            after=_pause(chance),
            what=_choose(chance, OTHERS),
            whose=chance.randrange(visitors),
            nth=when + chance.choice((0, 0, 1, 20)),
        )
        for _ in range(chance.choice((1, 1, 2, 3)))
    )
    return Actor(f"other {number + 1}", acts)


def _widget(chance: Random) -> tuple[str, ...]:
    lines = []
    if chance.random() < 0.35:
        lines.append('capture = "manual"')
    if chance.random() < 0.2:
        lines.append("verify_lock = true")
    if chance.random() < 0.3:
        lines.append("undo_minutes = 0")
    if chance.random() < 0.3:
        lines.append("payment_minutes = 10")
    lines.append(f"choose_hours = {chance.choice((0, 2, 24))}")
    late = ", until_hours = 2" if chance.random() < 0.4 else ""
    lines.append(f"reschedule = {{ other_service = true{late} }}")
    return tuple(lines)


def _stripe(chance: Random) -> Mapping[str, Any]:
    chosen: dict[str, Any] = {"allow_late_payment": chance.random() < 0.6}
    if chance.random() < 0.25:
        chosen["deliver"] = "off"
    elif chance.random() < 0.5:
        chosen |= {
            "double": chance.random() < 0.4,
            "reorder": chance.random() < 0.4,
            "lose": chance.choice((0, 0, 1, 3)),
        }
        chosen["delay_seconds"] = chance.choice((0, 0, 30, 1200))
    if chance.random() < 0.2:
        chosen["refund_mode"] = chance.choice(("pending", "fail_later", "insufficient_funds"))
    return chosen


def _switches(chance: Random, scheduler: str) -> Mapping[str, Any]:
    if scheduler == "hapio" and chance.random() < 0.3:
        return {"race_mode": "non_atomic"}
    return {}


def _trouble(chance: Random, scheduler: str) -> Trouble:
    provider = chance.choice(("stripe", scheduler if scheduler != WORST else "calendly"))
    fates: tuple[Fate, ...] = FATES
    return Trouble(
        provider=provider,
        fate=chance.choice(fates),
        method=chance.choice(("", "POST", "POST", "PATCH", "DELETE", "GET")),
        nth=chance.choice((1, 1, 2, 2, 3, 4, 6)),
        since=chance.choice((0.0, 0.0, 1.0, 60.0, 600.0)),
        times=chance.choice((1, 1, 1, 2, 5, 40)),
    )


def _death(chance: Random, processes: int) -> Death:
    return Death(chance.randrange(processes), chance.randint(1, 260), chance.choice((0.1, 2.0, 30.0, 700.0, 4000.0)))


def _spell(chance: Random) -> Spell:
    what = chance.choice(
        (
            "disk full",
            "mail refused for now",
            "mail refused for good",
            "mail cut",
            "webhooks off",
            "clock ahead",
            "clock behind",
            "scheduler gone",
            "stripe gone",
            "quota used up",
        )
    )
    return Spell(what, chance.choice((0.0, 0.5, 5.0, 60.0, 650.0)), chance.choice((2.0, 60.0, 900.0, 5000.0)))


# -- situations: what takes several things at the right moment, as they come together in the end where many book -----


def _alone(act: str, *more: Act, nth: int = 0, service: str = "portrait", after: float = 1.0) -> Actor:
    """A visitor who holds a time and then does that."""
    hold = Act(0.0, "hold", nth=nth, service=service)
    return Actor("visitor 1", (hold, Act(after, act, service=service), *more))


def _the_time_runs_out(chance: Random, story: Story) -> Story:
    """Stripe's page is open when the time to pay is over, and others want that time."""
    first = _alone("pay in the seconds when the time runs out", nth=chance.choice(WHEN))
    other = Act(chance.choice((640.0, 700.0, 900.0)), "hold", nth=first.acts[0].nth, anyone=chance.random() < 0.5)
    second = Actor("visitor 2", (other, Act(1.0, "pay")))
    return replace(
        story, actors=(first, second), widget=(*_without(story.widget, "payment_minutes"), "payment_minutes = 10")
    )


def _too_late_for_that_time(chance: Random, story: Story) -> Story:
    """The money comes when somebody else has that time, and one of the times that are held instead is chosen, or
    none."""
    nth = chance.choice(WHEN)
    late = Act(1.0, "pay after the deadline")
    choice = Act(chance.choice((1.0, 60.0, 1000.0)), "choose another time", times=chance.choice((1, 2)))
    chosen = (choice,) if chance.random() < 0.75 else ()
    first = Actor("visitor 1", (Act(0.0, "hold", nth=nth, anyone=False), late, *chosen))
    second = Actor("visitor 2", (Act(chance.choice((640.0, 700.0)), "hold", nth=nth, anyone=False), Act(1.0, "pay")))
    widget = (*_without(_without(story.widget, "payment_minutes"), "choose_hours"), "payment_minutes = 10")
    return replace(
        story,
        actors=(first, second),
        widget=(*widget, f"choose_hours = {chance.choice((2, 24))}"),
        stripe={**story.stripe, "allow_late_payment": True},
    )


def _taken_while_they_pay(chance: Random, story: Story) -> Story:
    """Somebody else takes the time at the scheduler while its customer is at Stripe."""
    first = _alone("pay", nth=chance.choice(WHEN))
    first = replace(first, acts=(replace(first.acts[0], anyone=False), first.acts[1]))
    stranger = Actor("other 1", (Act(chance.choice((3.0, 5.0, 20.0)), "stranger takes the time"),))
    return replace(story, actors=(first, stranger))


def _two_want_it(chance: Random, story: Story) -> Story:
    """Two ask for the same time with the same person at the same moment; at Hapio in a project that lets both in."""
    nth = chance.choice(WHEN)
    visitors = tuple(
        Actor(
            f"visitor {number + 1}",
            (Act(number * chance.choice((0.0, 0.01, 0.05)), "hold", nth=nth, anyone=False), Act(1.0, "pay")),
        )
        for number in range(2)
    )
    races = {"race_mode": "non_atomic", "race_parties": 2} if story.scheduler == "hapio" else {}
    return replace(story, actors=visitors, processes=chance.choice((1, 2)), switches={**story.switches, **races})


def _made_and_unheard(chance: Random, story: Story) -> Story:
    """The scheduler makes the booking and nobody hears of it, or it is made later; meanwhile it is called off."""
    act = Act(chance.choice((20.0, 90.0, 700.0)), chance.choice(("cancel", "owner cancels", "owner cancels")))
    actors: tuple[Actor, ...]
    if act.what == "cancel":
        actors = (_alone("pay", act, nth=chance.choice((30, 60))),)
    else:
        actors = (_alone("pay", nth=chance.choice((30, 60))), Actor("other 1", (replace(act, after=act.after + 5),)))
    provider = story.scheduler if story.scheduler != WORST else "calendly"
    unheard: Sequence[Fate] = ("lost after", "late", "late", "error after")
    since = chance.choice((0.0, 2.0))
    troubles = (
        Trouble(provider, chance.choice(unheard), "POST", since=since),
        Trouble(provider, "error before", "POST", nth=2, since=since, times=chance.choice((3, 8))),
    )
    return replace(story, actors=actors, troubles=troubles)


def _cancelled_while_it_moves(chance: Random, story: Story) -> Story:
    """The difference of a move is paid, the scheduler is away, and the customer or the owner cancels meanwhile."""
    move = Act(900.0, "move to a dearer service", nth=A_MONTH_ON + 2)
    then = Act(chance.choice((5.0, 60.0, 700.0)), chance.choice(("cancel", "cancel", "look")))
    actors = [_alone("pay", move, then, nth=A_MONTH_ON, service="headshot")]
    if then.what == "look":
        actors.append(Actor("other 1", (Act(chance.choice((1300.0, 2900.0)), "owner cancels"),)))
    gone = Spell("scheduler gone", chance.choice((910.0, 950.0, 1500.0)), chance.choice((1900.0, 5000.0)))
    return replace(story, actors=tuple(actors), spells=(gone,))


def _two_tabs(chance: Random, story: Story) -> Story:
    """One of them gives up what the other books."""
    service = chance.choice(("planning", "planning", "portrait"))
    actor = _alone("give up in one tab and go on in another", nth=chance.choice(WHEN), service=service)
    return replace(story, actors=(actor,))


def _called_off_at_once(chance: Random, story: Story) -> Story:
    """One process confirms what another one calls off."""
    act = chance.choice(("pay and call it off at once", "pay and call it off at once", "cancel and move in two tabs"))
    actor = _alone("pay and call it off at once", nth=chance.choice(WHEN))
    if act != actor.acts[1].what:
        actor = _alone("pay", Act(30.0, act, nth=chance.choice(WHEN) + 2), nth=chance.choice(WHEN))
    return replace(story, actors=(actor,), processes=2)


def _refunded_while_it_waits(chance: Random, story: Story) -> Story:
    """The scheduler is away after the payment, and the owner gives the money back in Stripe's dashboard."""
    widget = (*_without(story.widget, "capture"), 'capture = "automatic"')
    actor = _alone("pay", nth=60)
    gone = Spell("scheduler gone", chance.choice((8.0, 8.0, 30.0)), chance.choice((1600.0, 5000.0)))
    back = Act(chance.choice((700.0, 800.0)), "refund in the dashboard")
    owner = Actor("other 1", (back, Act(900.0, "everybody looks")))
    return replace(story, actors=(actor, owner), widget=widget, spells=(gone,))


def _refunded_while_it_moves(chance: Random, story: Story) -> Story:
    """The same with the difference of a move."""
    actor = _alone("pay", Act(5.0, "move to a dearer service", nth=61), nth=60, service="headshot")
    owner = Actor(
        "other 1", (Act(chance.choice((2900.0, 3000.0)), "refund in the dashboard"), Act(900.0, "everybody looks"))
    )
    trouble = Trouble("hapio", "error before", "PATCH", nth=2, times=40)
    return replace(story, actors=(actor, owner), troubles=(trouble,))


def _given_back_before(chance: Random, story: Story) -> Story:
    """Some of the money has gone back when the rest is to go back: by the owner here, under terms that give back a
    half, or in Stripe's dashboard, of which nobody has heard."""
    if chance.random() < 0.5:
        actor = _alone("pay", Act(1500.0, "cancel"), nth=chance.choice((0, 0, 1)))
        owner = Actor("other 1", (Act(chance.choice((800.0, 1200.0)), "owner gives half back"),))
        return replace(story, actors=(actor, owner))
    actor = _alone("pay", nth=chance.choice((30, 60)))
    in_dashboard = Act(800.0, "part refund in the dashboard")
    owner = Actor("other 1", (in_dashboard, Act(chance.choice((1.0, 20.0)), "owner cancels")))
    return replace(story, actors=(actor, owner), stripe={**story.stripe, "deliver": "off"})


def _at_the_last_minute(chance: Random, story: Story) -> Story:
    """A visit that begins before it is paid, or before the scheduler has answered."""
    hold = Act(0.0, "hold at the last minute", service=chance.choice(("portrait", "headshot")))
    act = chance.choice(("pay when the visit has begun", "pay when the visit has begun", "pay"))
    visitor = Actor("visitor 1", (hold, Act(1.0, act)))
    return replace(story, actors=(visitor,), worker_every=15.0, no_notice=True)


def _moved_too_late(chance: Random, story: Story) -> Story:
    """The scheduler does not answer to a move until the new time has begun."""
    actor = _alone("pay", Act(20.0, "move", nth=0, service="headshot"), nth=60, service="headshot")
    trouble = Trouble("hapio", "error before", "PATCH", nth=2, times=40)
    later = Actor("other 1", (Act(chance.choice((7500.0, 9000.0)), "everybody looks"),))
    return replace(story, actors=(actor, later), troubles=(trouble,), worker_every=15.0)


def _put_back(chance: Random, story: Story) -> Story:
    """A booking is paid, changed or ended after the copy of the database was made that is put back later."""
    more = (Act(60.0, _choose(chance, AFTER_PAID), nth=62),) if chance.random() < 0.4 else ()
    act = chance.choice(("pay", "pay", "pay", "pay", "go to pay and walk away", "give up"))
    service = chance.choice(("portrait", "planning"))
    actor = _alone(act, *more, nth=chance.choice(WHEN), service=service, after=10.0)
    if chance.random() < 0.3:  # the copy does not know the booking at all
        hold, then = actor.acts[:2]
        hold = replace(hold, after=20.0, service="portrait")
        actor = replace(actor, acts=(hold, replace(then, what="pay", service="portrait"), *more))
    spells = (Spell(RESTORED, chance.choice((5.0, 5.0, 12.0)), chance.choice((60.0, 600.0, 1000.0))),)
    told = {} if chance.random() < 0.5 else {"deliver": "off"}
    if story.database != "sqlite":  # there it is a file
        return story
    later = Actor("other 1", (Act(1050.0, "everybody looks"),))  # so that it does not end before
    return replace(story, actors=(actor, later), spells=spells, stripe={**story.stripe, **told})


def _refused_mail(chance: Random, story: Story) -> Story:
    """The customer's address takes no mail."""
    actor = _alone("pay", Act(60.0, _choose(chance, AFTER_PAID)), nth=chance.choice(WHEN))
    return replace(story, actors=(actor,), spells=(Spell("mail refused for good", 0.0, 5000.0),))


def _moved_cheaper(chance: Random, story: Story) -> Story:
    """A move to a lower price when a cancellation would give back a half."""
    actor = _alone("pay", Act(20.0, "move to a cheaper service", nth=chance.choice((1, 30))))
    widget = (*_without(story.widget, "reschedule"), "reschedule = { other_service = true, until_hours = 2 }")
    return replace(story, actors=(actor,), widget=widget)


def _cancelled_with_a_refund(chance: Random, story: Story) -> Story:
    """A refund is due, and the process dies, or Stripe has troubles, about that time."""
    if chance.random() < 0.5:
        return _half_refunded_unheard(chance, story)
    actor = _alone("pay", Act(60.0, chance.choice(("cancel", "owner cancels"))), nth=chance.choice((0, 0, 30, 60)))
    trouble = Trouble("stripe", chance.choice(FATES), "POST", nth=chance.choice((2, 3)), times=chance.choice((1, 2, 5)))
    return replace(story, actors=(actor,), troubles=(trouble,), deaths=(_death(chance, 1),))


def _half_refunded_unheard(chance: Random, story: Story) -> Story:
    """A half goes back, and the answer is lost, so that it is asked for again: there would be another half to take."""
    actor = _alone("pay", Act(1500.0, "cancel"), nth=chance.choice((0, 0, 1)))
    # The client asks again by itself, which is the same request; after some losses it is the worker that does.
    unheard: Sequence[Fate] = ("lost after", "error after", "late")
    trouble = Trouble("stripe", chance.choice(unheard), "POST", since=1490.0, times=chance.choice((3, 4, 6)))
    widget = (*_without(story.widget, "undo_minutes"), "undo_minutes = 0")
    return replace(
        story, actors=(actor,), troubles=(trouble,), widget=widget, stripe={**story.stripe, "deliver": "off"}
    )


#: With how often each is chosen.
SITUATIONS: Sequence[tuple[Callable[[Random, Story], Story], int]] = (
    (_the_time_runs_out, 3),
    (_too_late_for_that_time, 3),
    (_taken_while_they_pay, 3),
    (_two_want_it, 3),
    (_made_and_unheard, 4),
    (_cancelled_while_it_moves, 4),
    (_two_tabs, 7),
    (_called_off_at_once, 6),
    (_refunded_while_it_waits, 3),
    (_refunded_while_it_moves, 3),
    (_given_back_before, 5),
    (_at_the_last_minute, 6),
    (_moved_too_late, 3),
    (_put_back, 6),
    (_refused_mail, 2),
    (_moved_cheaper, 3),
    (_cancelled_with_a_refund, 9),
)


def _choose_situation(chance: Random) -> Callable[[Random, Story], Story]:
    return chance.choices([one for one, _ in SITUATIONS], [often for _, often in SITUATIONS])[0]


def _without(lines: tuple[str, ...], setting: str) -> tuple[str, ...]:
    return tuple(line for line in lines if not line.startswith(setting))


def _choose(chance: Random, weights: Mapping[str, int]) -> str:
    return chance.choices(list(weights), list(weights.values()))[0]


# -- in words ----------------------------------------------------------------------------------------------------


def in_words(story: Story) -> str:
    """The story as somebody would tell it."""
    lines = [f"Seed {story.seed}: {story.scheduler} on {story.database}, {', '.join(story.widget)}"]
    if story.processes > 1:
        lines.append(f"{story.processes} processes; the worker looks every {story.worker_every:g} s.")
    if story.no_notice:
        lines.append("Every service can be booked until it begins.")
    lines += [f"Stripe's side: {name} is {value}." for name, value in story.stripe.items()]
    lines += [f"The scheduler's side: {name} is {value}." for name, value in story.switches.items()]
    for actor in story.actors:
        lines.append(f"{actor.name}:")
        lines += [f"  after {act.after:g} s: {_act_in_words(act)}" for act in actor.acts]
    for trouble in story.troubles:
        of = f"{trouble.method or 'request'} to {trouble.provider}"
        more = "" if trouble.times == 1 else f", {trouble.times} times in a row"
        lines.append(f"From {trouble.since:g} s on, {of} number {trouble.nth}: {trouble.fate}{more}.")
    lines += [
        f"Process {one.process + 1} dies at its step {one.step}, and is back {one.back:g} s later."
        for one in story.deaths
    ]
    lines += [f"From {one.since:g} s on, for {one.lasts:g} s: {one.what}." for one in story.spells]
    lines += [f"From {one.since:g} s on, for days: {one.what}." for one in story.never_ends]
    return "\n".join(lines)


def _act_in_words(act: Act) -> str:
    words = act.what
    if act.what.startswith("hold"):
        words = f"{act.what} free time {act.nth + 1} of the {act.service}{'' if act.anyone else ' with one person'}"
    elif act.what.startswith("move"):
        words = f"{act.what}, to free time {act.nth + 1}"
    elif act.whose or act.what in OTHERS:
        words = f"{act.what} (visitor {act.whose + 1}'s)"
    return f"{words}{f', {act.times} clicks at once' if act.times > 1 else ''}"
