"""Faults that never stop: each kind is told, and a search without its alarm is not deceived."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from proof import alarms
from proof.alarms import CLOSE, CONFIRM, EVENT, MAIL, MOVE, PAID, REFUND, RELEASE, UNDER_WAY
from proof.edits import copy_code, put_in
from proof.make_story import make
from proof.play import play
from proof.rules import RULES
from proof.story import NEVER_ENDING, Act, Actor, Broken, Story, load

ROOT = Path(__file__).parents[3]
HOLD, PAY = Act(0, "hold", nth=60), Act(60, "pay")
DEARER = Act(800, "move to a dearer service", nth=80, service="headshot")
LATER = 800.0  # whoever pays has paid by then


def story(what: str, since: float, *acts: Act, scheduler: str = "hapio", seed: int = 1) -> Story:
    """A visitor does this, and from `since` on something is broken for good."""
    return Story(
        seed,
        scheduler=scheduler,
        widget=("choose_hours = 0", "undo_minutes = 0", "reschedule = { other_service = true }"),
        actors=(Actor("visitor 1", acts),),
        stripe={"allow_late_payment": True},
        never_ends=(Broken(what, since),),
    )


#: A story for each thing that can be broken, what of it waits for that, and the rule without which nobody would know.
TOLD = {
    "a paid booking, the calendar gone": (story("scheduler gone", 30, HOLD, PAY), CONFIRM, "tell-unconfirmed"),
    "a paid booking, the calendar refusing": (
        story("scheduler refuses", 30, HOLD, PAY),
        CONFIRM,
        "tell-unconfirmed",
    ),
    "a hold, the calendar silent": (
        story("scheduler silent", 30, HOLD, Act(60, "walk away")),
        CLOSE,
        "tell-unreleased",
    ),
    "a cancellation, the quota used up": (
        story("quota used up", LATER - 100, HOLD, PAY, Act(LATER, "cancel")),
        RELEASE,
        "tell-unreleased",
    ),
    "a move that was paid for, the calendar gone": (
        story("scheduler gone", 960, replace(HOLD, service="headshot"), PAY, DEARER),
        MOVE,
        "tell-unmoved",
    ),
    "a payment page left, Stripe gone": (
        story("stripe gone", 90, HOLD, Act(60, "go to pay and walk away")),
        alarms.END,
        "tell-unended",
    ),
    "a cancellation, Stripe silent": (
        story("stripe silent", LATER - 100, HOLD, PAY, Act(LATER, "cancel")),
        REFUND,
        "tell-refunds",
    ),
    "a payment after the end, Stripe refusing": (
        story("stripe refuses", 3000, HOLD, Act(5, "pay after the deadline")),
        PAID,
        "tell-unread",
    ),
    "a cancellation, refunds refused": (
        story("refunds refused", 0, HOLD, PAY, Act(LATER, "cancel")),
        REFUND,
        "tell-refunds",
    ),
    "a cancellation, refunds that fail": (
        story("refunds fail", 0, HOLD, PAY, Act(LATER, "cancel")),
        alarms.FAILED,
        "",
    ),
    "a cancellation, the balance too low": (
        story("balance too low", 0, HOLD, PAY, Act(LATER, "cancel")),
        UNDER_WAY,
        "",
    ),
    "mails that are refused for now": (story("mail refused for now", 0, HOLD, PAY), MAIL, "show-late-mails"),
    "mails that are refused for good": (
        story("mail refused for good", 0, HOLD, PAY),
        alarms.GIVEN_UP,
        "tell-given-up",
    ),
    "mails that are taken without an answer": (story("mail cut", 0, HOLD, PAY), MAIL, "few-copies"),
    "no webhooks": (story("webhooks off", 0, HOLD, PAY, Act(LATER, "cancel")), "", ""),
    "a full disk": (story("disk full", 30, HOLD, PAY), alarms.WRITE, "not-ready"),
    "a message, Stripe gone": (story("stripe gone", 75, HOLD, PAY, seed=2), EVENT, "show-events"),
}
#: `make prove-rules` tries the others.
SILENT = (
    "a paid booking, the calendar gone",
    "a message, Stripe gone",
    "mails that are taken without an answer",
)


@pytest.mark.parametrize("name", TOLD)
def test_whatever_waits_for_what_never_comes_back_is_told(name: str) -> None:
    """What takes how long depends on the seed: one of the first ten has it waiting."""
    told, kind, _ = TOLD[name]
    for seed in range(told.seed, told.seed + 10):
        outcome = play(replace(told, seed=seed))
        assert outcome.wrong == []
        if not kind or outcome.met[f"never ends: {told.never_ends[0].what}, {kind}"]:
            return
    pytest.fail("nothing waited")


def test_everything_that_a_story_breaks_for_good_is_told_in_one_of_these() -> None:
    assert {told.never_ends[0].what for told, _, _ in TOLD.values()} == set(NEVER_ENDING)


@pytest.mark.parametrize("name", SILENT)
def test_an_alarm_that_is_switched_off_is_missed(name: str, tmp_path: Path) -> None:
    told, _, rule = TOLD[name]
    tree = tmp_path / "tree"
    copy_code(tree, ROOT)
    put_in(next(one for one in RULES if one.name == rule), tree)
    (tmp_path / "story.json").write_text(told.dump())
    words = [sys.executable, "-m", "proof.first_failure", "--story", str(tmp_path / "story.json")]
    done = subprocess.run(words, cwd=tree, check=True, capture_output=True, text=True)  # noqa: S603 - our own program
    assert done.stdout.strip()


def test_one_story_in_eight_breaks_something_for_good_and_the_others_are_as_they_were() -> None:
    stories = [make(seed) for seed in range(800)]
    broken = [one for one in stories if one.never_ends]
    assert 60 < len(broken) < 140
    assert all(load(one.dump()) == one for one in broken[:5])
