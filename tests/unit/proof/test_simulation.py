"""The simulation itself: that a seed is a run, that a broken rule is noticed, and a short search of its own."""

from dataclasses import replace
from pathlib import Path

import pytest

from proof.edits import copy_code, first_seed, put_in
from proof.findings import FINDINGS
from proof.make_story import make
from proof.play import play, told
from proof.rules import RULES
from proof.shrink import shrink
from proof.story import Act, Actor, Story, in_words, load

STORIES = sorted(Path(__file__).parent.glob("stories/*.json"))
ROOT = Path(__file__).parents[3]


def test_a_short_search_breaks_no_promise() -> None:
    for seed in range(6):
        outcome = play(make(seed))
        assert outcome.wrong == [], f"make prove SHOW=1 SEED={seed}"


@pytest.mark.parametrize("file", STORIES, ids=lambda file: file.stem)
def test_what_a_search_has_found_is_mended(file: Path) -> None:
    assert play(load(file.read_text())).wrong == []


def test_the_same_seed_is_the_same_run() -> None:
    first, second = (list(told(play(make(6)))) for _ in range(2))
    assert len(first) > 5
    assert first == second


def test_the_same_seed_is_the_same_run_on_postgresql() -> None:
    first, second = (play(make(6, database="postgresql")) for _ in range(2))
    assert first.wrong == []
    assert list(told(first)) == list(told(second))


def test_a_story_is_read_as_it_was_written() -> None:
    story = make(3)
    assert in_words(load(story.dump())) == in_words(story)


def test_a_failing_story_is_told_without_what_it_does_not_need() -> None:
    hold, pay = Act(0, "hold", times=2), Act(5, "pay")
    story = Story(
        1, actors=(Actor("visitor 1", (hold, pay)), Actor("other 1", (Act(1, "dispute"),))), widget=("a", "b")
    )
    short = shrink(story, lambda one: any(act.what == "pay" for actor in one.actors for act in actor.acts))
    assert short == replace(story, actors=(Actor("visitor 1", (pay,)), Actor("other 1", ())), widget=())


def test_a_long_story_is_made_short_by_large_pieces_first() -> None:
    acts = tuple(Act(0, "look", nth=number) for number in range(64))
    story = Story(1, actors=(Actor("visitor 1", acts), Actor("visitor 2", acts)))
    told: list[tuple[int, int]] = []
    short = shrink(
        story,
        lambda one: any(act.nth == 37 for act in one.actors[1].acts),
        says=lambda tries, pieces: told.append((tries, pieces)),
    )
    assert [actor.acts for actor in short.actors] == [(), (acts[37],)]
    assert told[-1][1] == 1
    assert told[-1][0] < 30


def test_each_rule_can_still_be_left_out_of_the_code_and_each_finding_put_back(tmp_path: Path) -> None:
    copy_code(tmp_path, ROOT)
    faults = [*RULES, *FINDINGS]
    files = {edit.file for fault in faults for edit in fault.edits}
    whole = {name: (tmp_path / name).read_text() for name in files}
    for fault in faults:
        put_in(fault, tmp_path)
        for name in {edit.file for edit in fault.edits}:
            compile((tmp_path / name).read_text(), name, "exec")
            (tmp_path / name).write_text(whole[name])
    assert len({fault.name for fault in faults}) == len(faults)


def test_without_its_own_retry_a_paid_booking_is_found_waiting(tmp_path: Path) -> None:
    copy_code(tmp_path, ROOT)
    put_in(next(rule for rule in RULES if rule.name == "own-retry"), tmp_path)
    assert first_seed(tmp_path, runs=20, scheduler="", seed=6)
