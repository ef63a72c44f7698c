"""Situations: what takes several things at the right moment, as they come together in the end where many book."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from proof.network import FATES, Fate, Trouble
from proof.story import A_MONTH_ON, AFTER_PAID, RESTORED, WHEN, Act, Actor, Death, Spell, Story, choose
from tests.support.sides import WORST


def alone(act: str, *more: Act, nth: int = 0, service: str = "portrait", after: float = 1.0) -> Actor:
    """A visitor who holds a time and then does that."""
    hold = Act(0.0, "hold", nth=nth, service=service)
    return Actor("visitor 1", (hold, Act(after, act, service=service), *more))


def _the_time_runs_out(chance: Random, story: Story) -> Story:
    """Stripe's page is open when the time to pay is over, and others want that time."""
    first = alone("pay in the seconds when the time runs out", nth=chance.choice(WHEN))
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
    first = alone("pay", nth=chance.choice(WHEN))
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
        actors = (alone("pay", act, nth=chance.choice((30, 60))),)
    else:
        actors = (alone("pay", nth=chance.choice((30, 60))), Actor("other 1", (replace(act, after=act.after + 5),)))
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
    actors = [alone("pay", move, then, nth=A_MONTH_ON, service="headshot")]
    if then.what == "look":
        actors.append(Actor("other 1", (Act(chance.choice((1300.0, 2900.0)), "owner cancels"),)))
    gone = Spell("scheduler gone", chance.choice((910.0, 950.0, 1500.0)), chance.choice((1900.0, 5000.0)))
    return replace(story, actors=tuple(actors), spells=(gone,))


def _two_tabs(chance: Random, story: Story) -> Story:
    """One of them gives up what the other books."""
    service = chance.choice(("planning", "planning", "portrait"))
    actor = alone("give up in one tab and go on in another", nth=chance.choice(WHEN), service=service)
    return replace(story, actors=(actor,), processes=chance.choice((1, 2)))


def _called_off_at_once(chance: Random, story: Story) -> Story:
    """One process confirms what another one calls off."""
    act = chance.choice(("pay and call it off at once", "pay and call it off at once", "cancel and move in two tabs"))
    actor = alone("pay and call it off at once", nth=chance.choice(WHEN))
    if act != actor.acts[1].what:
        actor = alone("pay", Act(30.0, act, nth=chance.choice(WHEN) + 2), nth=chance.choice(WHEN))
    return replace(story, actors=(actor,), processes=2)


def _refunded_while_it_waits(chance: Random, story: Story) -> Story:
    """The scheduler is away after the payment, and the owner gives the money back in Stripe's dashboard."""
    widget = (*_without(story.widget, "capture"), 'capture = "automatic"')
    actor = alone("pay", nth=60)
    gone = Spell("scheduler gone", chance.choice((8.0, 8.0, 30.0)), chance.choice((1600.0, 5000.0)))
    back = Act(chance.choice((700.0, 800.0)), "refund in the dashboard")
    owner = Actor("other 1", (back, Act(900.0, "everybody looks")))
    return replace(story, actors=(actor, owner), widget=widget, spells=(gone,))


def _refunded_while_it_moves(chance: Random, story: Story) -> Story:
    """The same with the difference of a move."""
    actor = alone("pay", Act(900.0, "move to a dearer service", nth=61), nth=60, service="headshot")
    owner = Actor(
        "other 1", (Act(chance.choice((2900.0, 3000.0)), "refund in the dashboard"), Act(900.0, "everybody looks"))
    )
    gone = Spell("scheduler gone", chance.choice((910.0, 950.0, 1500.0)), chance.choice((3000.0, 6000.0)))
    return replace(story, actors=(actor, owner), spells=(gone,))


def _given_back_before(chance: Random, story: Story) -> Story:
    """Some of the money has gone back when the rest is to go back: by the owner here, under terms that give back a
    half, or in Stripe's dashboard, of which nobody has heard."""
    if chance.random() < 0.5:
        actor = alone("pay", Act(1500.0, "cancel"), nth=chance.choice((0, 0, 1)))
        owner = Actor("other 1", (Act(chance.choice((800.0, 1200.0)), "owner gives half back"),))
        return replace(story, actors=(actor, owner))
    actor = alone("pay", nth=chance.choice((30, 60)))
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
    actor = alone("pay", Act(900.0, "move", nth=0, service="headshot"), nth=60, service="headshot")
    gone = Spell("scheduler gone", chance.choice((880.0, 900.0)), chance.choice((7500.0, 9000.0)))
    later = Actor("other 1", (Act(9000.0, "everybody looks"),))
    return replace(story, actors=(actor, later), spells=(gone,), worker_every=15.0)


def _put_back(chance: Random, story: Story) -> Story:
    """A booking is paid, changed or ended after the copy of the database was made that is put back later."""
    more = (Act(60.0, choose(chance, AFTER_PAID), nth=62),) if chance.random() < 0.4 else ()
    act = chance.choice(("pay", "pay", "pay", "pay", "go to pay and walk away", "give up"))
    service = chance.choice(("portrait", "planning"))
    actor = alone(act, *more, nth=chance.choice(WHEN), service=service, after=10.0)
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


def _chosen_since(chance: Random, story: Story) -> Story:
    """The money came too late, and one of the other times is chosen after the copy was made that is put back later."""
    late = _too_late_for_that_time(chance, story)
    if story.database != "sqlite":  # there it is a file
        return late
    first, second = late.actors
    # They pay 620 to 4,000 s after they have held the time, and choose an hour later.
    choice = Act(3600.0, "choose another time", nth=chance.randrange(3))
    then = Actor("other 1", (Act(8500.0, "everybody looks"),))  # so that it does not end before
    lasts = chance.choice((3700.0, 4200.0))
    copied = chance.choice((4150.0, 4150.0, 3000.0))  # and what the copy knows then: the payment, or only the page
    return replace(
        late,
        actors=(replace(first, acts=(*first.acts[:2], choice)), second, then),
        widget=(*_without(late.widget, "choose_hours"), "choose_hours = 2"),
        spells=(Spell(RESTORED, copied, 4150.0 + lasts - copied),),
        stripe={"allow_late_payment": True},
    )


def _undone_when_refunded(chance: Random, story: Story) -> Story:
    """All of the money has gone back in Stripe's dashboard when the customer takes the cancellation back."""
    act = Act(900.0, "cancel, and take it back when all was refunded")
    actor = alone("pay", act, nth=chance.choice((1, 30, 60)))
    told = {} if chance.random() < 0.5 else {"deliver": "off"}
    widget = _without(story.widget, "undo_minutes")
    return replace(story, actors=(actor,), widget=widget, stripe={**story.stripe, **told})


def _difference_paid_too_late(chance: Random, story: Story) -> Story:
    """The difference of a move is paid when its visit has begun, before anybody has closed the page, or after."""
    move = Act(20.0, "move to a dearer service at the last minute and pay when it has begun", nth=0)
    actor = alone("pay", move, nth=60, service="headshot")
    stripe = {**story.stripe, "allow_late_payment": True}
    every = chance.choice((15.0, 200.0, 200.0))
    return replace(story, actors=(actor,), stripe=stripe, worker_every=every, no_notice=True)


def _refused_mail(chance: Random, story: Story) -> Story:
    """The customer's address takes no mail."""
    actor = alone("pay", Act(60.0, choose(chance, AFTER_PAID)), nth=chance.choice(WHEN))
    return replace(story, actors=(actor,), spells=(Spell("mail refused for good", 0.0, 5000.0),))


def _moved_cheaper(chance: Random, story: Story) -> Story:
    """A move to a lower price when a cancellation would give back a half."""
    actor = alone("pay", Act(20.0, "move to a cheaper service", nth=chance.choice((1, 30))))
    widget = (*_without(story.widget, "reschedule"), "reschedule = { other_service = true, until_hours = 2 }")
    return replace(story, actors=(actor,), widget=widget)


def _moved_on_and_cancelled(chance: Random, story: Story) -> Story:
    """A visit today of which half would come back is moved to next month, where all would, and then cancelled."""
    on = Act(20.0, "move", nth=A_MONTH_ON + 1)
    actor = alone("pay", on, Act(chance.choice((60.0, 900.0)), "cancel"), nth=chance.choice((1, 2, 3)))
    widget = (*_without(story.widget, "reschedule"), "reschedule = { other_service = true, until_hours = 2 }")
    return replace(story, actors=(actor,), widget=widget)


def _cancelled_while_disputed(chance: Random, story: Story) -> Story:
    """The customer's bank looks at the payment when the rest is to go back."""
    bank, when = Actor("other 1", (Act(900.0, "dispute"),)), chance.choice((30, 60))
    if chance.random() < 0.5:
        return replace(story, actors=(alone("pay", Act(1500.0, "cancel"), nth=when), bank))
    owner = Actor("other 2", (Act(1500.0, "owner cancels"),))
    return replace(story, actors=(alone("pay", nth=when), bank, owner))


def _struck_while_it_moves(chance: Random, story: Story) -> Story:
    """A request of a move, or of its payment, goes wrong."""
    nth, move = chance.choice((30, 60)), chance.choice(("move", "move to a dearer service", "move to a dearer service"))
    actor = alone("pay", Act(20.0, move, nth=nth + 20, service="headshot"), nth=nth, service="headshot")
    scheduler = story.scheduler if story.scheduler != WORST else "calendly"
    trouble = Trouble(
        chance.choice(("stripe", scheduler)),
        chance.choice(FATES),
        nth=chance.choice((1, 2, 3, 4)),
        times=chance.choice((1, 1, 3)),
        once=move,
    )
    return replace(story, actors=(actor,), troubles=(trouble,), deaths=())


def _killed_while_it_chooses(chance: Random, story: Story) -> Story:
    """A process dies when one of the times is chosen that are offered for a late payment."""
    choice = Act(60.0, "choose another time")
    first = alone("pay after the deadline", choice, nth=chance.choice((30, 60)))
    stranger = Actor("other 1", (Act(700.0, "stranger takes the time"),))
    killed = Death(0, step=chance.randrange(1, 12), back=chance.choice((0.1, 60.0)), once=choice.what)
    widget = (*_without(_without(story.widget, "payment_minutes"), "choose_hours"), "payment_minutes = 10")
    return replace(
        story,
        actors=(first, stranger),
        processes=1,
        deaths=(killed,),
        widget=(*widget, "choose_hours = 2"),
        stripe={**story.stripe, "allow_late_payment": True},
    )


def _cancelled_with_a_refund(chance: Random, story: Story) -> Story:
    """A refund is due, and the process dies, or Stripe has troubles, about that time."""
    if chance.random() < 0.5:
        return _half_refunded_unheard(chance, story)
    actor = alone("pay", Act(60.0, chance.choice(("cancel", "owner cancels"))), nth=chance.choice((0, 0, 30, 60)))
    trouble = Trouble("stripe", chance.choice(FATES), "POST", nth=chance.choice((2, 3)), times=chance.choice((1, 2, 5)))
    return replace(story, actors=(actor,), troubles=(trouble,), deaths=(death(chance, 1),))


def _half_refunded_unheard(chance: Random, story: Story) -> Story:
    """A half goes back, and the answer is lost, so that it is asked for again: there would be another half to take."""
    actor = alone("pay", Act(1500.0, "cancel"), nth=chance.choice((0, 0, 1)))
    # The client asks again by itself, which is the same request; after some losses it is the worker that does.
    unheard: Sequence[Fate] = ("lost after", "error after", "late")
    trouble = Trouble("stripe", chance.choice(unheard), "POST", since=1490.0, times=chance.choice((3, 4, 6)))
    widget = (*_without(story.widget, "undo_minutes"), "undo_minutes = 0")
    return replace(
        story, actors=(actor,), troubles=(trouble,), widget=widget, stripe={**story.stripe, "deliver": "off"}
    )


def death(chance: Random, processes: int) -> Death:
    """A process is killed while it is in use, and is back at once, or up to an hour later."""
    return Death(chance.randrange(processes), chance.randint(1, 260), chance.choice((0.1, 2.0, 30.0, 700.0, 4000.0)))


#: With how often each is chosen.
_SITUATIONS: Sequence[tuple[Callable[[Random, Story], Story], int]] = (
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
    (_chosen_since, 3),
    (_undone_when_refunded, 3),
    (_difference_paid_too_late, 3),
    (_refused_mail, 2),
    (_moved_cheaper, 3),
    (_moved_on_and_cancelled, 3),
    (_cancelled_while_disputed, 3),
    (_struck_while_it_moves, 4),
    (_killed_while_it_chooses, 3),
    (_cancelled_with_a_refund, 9),
)


def choose_situation(chance: Random) -> Callable[[Random, Story], Story]:
    """What makes a story of this seed from one that has everything else."""
    return chance.choices([one for one, _ in _SITUATIONS], [often for _, often in _SITUATIONS])[0]


def _without(lines: tuple[str, ...], setting: str) -> tuple[str, ...]:
    return tuple(line for line in lines if not line.startswith(setting))
