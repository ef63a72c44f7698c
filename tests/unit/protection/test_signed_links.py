"""Signed links do one thing, for one booking, until their time; keys rotate under them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from app.errors import LinkExpired, LinkRefused
from app.protection.signed_links import Links
from sandbox.clock import Clock

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
ENDS = NOW + timedelta(days=3)
OLD, NEW = "o" * 32, "n" * 32


def links(*keys: str, now: Clock | None = None) -> Links:
    return Links(keys or (OLD,), now=now or Clock(NOW), random=Random(1))


def test_a_link_names_its_booking() -> None:
    token = links().booking_token("bk_1", ends_at=ENDS)
    assert links().read_booking_token(token) == "bk_1"


def test_a_link_for_one_purpose_is_refused_for_another() -> None:
    one = links()
    with pytest.raises(LinkRefused):
        one.read_manage_token(one.booking_token("bk_1", ends_at=ENDS))
    with pytest.raises(LinkRefused):
        one.read_booking_token(one.manage_token("bk_1", 0))
    with pytest.raises(LinkRefused):
        one.read_page_token(one.manage_token("bk_1", 0), "bk_1", "cancel")
    with pytest.raises(LinkRefused):
        one.read_manage_token(one.page_token("bk_1", "cancel", 0))


def test_links_survive_a_new_key_and_end_with_their_own() -> None:
    token = links(OLD).manage_token("bk_1", 0)
    assert links(NEW, OLD).read_manage_token(token) == ("bk_1", 0)
    with pytest.raises(LinkRefused):
        links(NEW).read_manage_token(token)


def test_the_newest_key_signs() -> None:
    token = links(NEW, OLD).manage_token("bk_1", 0)
    assert links(NEW).read_manage_token(token) == ("bk_1", 0)


def test_a_bookings_own_page_expires_a_month_after_the_visit() -> None:
    clock = Clock(NOW)
    one = links(now=clock)
    token = one.booking_token("bk_1", ends_at=ENDS)
    clock.set(ENDS + timedelta(days=29))
    assert one.read_booking_token(token) == "bk_1"
    clock.set(ENDS + timedelta(days=30))
    with pytest.raises(LinkExpired):
        one.read_booking_token(token)


def test_a_manage_link_names_its_version_so_that_a_newer_one_can_retire_it() -> None:
    one = links()
    assert one.read_manage_token(one.manage_token("bk_1", 0)) == ("bk_1", 0)
    assert one.read_manage_token(one.manage_token("bk_1", 7)) == ("bk_1", 7)
    assert one.manage_token("bk_1", 0) != one.manage_token("bk_1", 1)


def test_what_a_page_showed_holds_for_ten_minutes_and_not_a_second_longer() -> None:
    clock = Clock(NOW)
    one = links(now=clock)
    token = one.page_token("bk_1", "cancel", 3)
    clock.set(NOW + timedelta(minutes=10))
    assert one.read_page_token(token, "bk_1", "cancel") == (3, NOW)
    clock.set(NOW + timedelta(minutes=10, seconds=1))
    with pytest.raises(LinkExpired):
        one.read_page_token(token, "bk_1", "cancel")


def test_a_page_stands_for_one_act_on_one_booking() -> None:
    one = links()
    token = one.page_token("bk_1", "cancel", 3)
    for booking_id, act in (("bk_2", "cancel"), ("bk_1", "move")):
        with pytest.raises(LinkRefused):
            one.read_page_token(token, booking_id, act)


@pytest.mark.parametrize("token", ["", ".", "x.y", "é", "a" * 5000, "WyJia18xIiwxXQ.AAAA"])
def test_whatever_is_not_ours_is_refused(token: str) -> None:
    with pytest.raises(LinkRefused):
        links().read_booking_token(token)
    with pytest.raises(LinkRefused):
        links().read_manage_token(token)
    with pytest.raises(LinkRefused):
        links().read_page_token(token, "bk_1", "cancel")


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token + "=",
        lambda token: token + "==",
        lambda token: token + "世",
        lambda token: token + "\ud800",
        lambda token: token + "!",
        lambda token: token + "\n",
        lambda token: "!" + token,
        lambda token: token[:-3] + "!" + token[-3:],
        lambda token: token[:-1] + chr(ord(token[-1]) + 1),
        lambda token: token[:-1] + chr(ord(token[-1]) - 1),
        lambda token: token.replace(".", "..", 1),
    ],
)
def test_a_token_opens_in_the_spelling_that_was_handed_out_and_in_no_other(change: Callable[[str], str]) -> None:
    one = links()
    for number in range(20):
        name = f"bk_{number}"
        with pytest.raises(LinkRefused):
            one.read_booking_token(change(one.booking_token(name, ends_at=ENDS)))
        with pytest.raises(LinkRefused):
            one.read_manage_token(change(one.manage_token(name, 0)))
        with pytest.raises(LinkRefused):
            one.read_api_token(change(one.api_token(name)))
        with pytest.raises(LinkRefused):
            one.read_flow_token(change(one.flow_token(one.new_flow("studio", name))))
        with pytest.raises(LinkRefused):
            one.read_staff_token(change(one.staff_token(name)))
        with pytest.raises(LinkRefused):
            one.read_feed_token(change(one.feed_token("maja@studio.example", 0)))
        assert one.read_visitor_token(change(one.visitor_token(name))) == ""
        assert one.read_receipt(change(one.receipt({"booking": name}))) is None
        # The token itself is good.
        assert one.read_booking_token(one.booking_token(name, ends_at=ENDS)) == name


def test_a_flow_always_says_what_it_is_of_and_lets_a_time_be_chosen_for_an_hour() -> None:
    clock = Clock(NOW)
    one = links(now=clock)
    texts = {"utm_source": "mail"}
    flow = one.new_flow("studio", "service", reference="client 7", metadata={"profile": "3"}, utm=texts)
    token = one.flow_token(flow)
    assert (one.read_open_flow(token), flow.expires_at) == (flow, NOW + timedelta(hours=1))
    assert one.new_flow("studio", "service").id != flow.id
    clock.advance(timedelta(hours=1))
    assert one.read_flow_token(token) == flow
    with pytest.raises(LinkExpired):
        one.read_open_flow(token)


def test_a_flow_of_the_longest_texts_is_short_enough_to_be_read() -> None:
    one = links()
    texts = {f"utm_{number}": "\u00e4" * 200 for number in range(3)}
    flow = one.new_flow("w" * 64, "s" * 100, reference="\u5b57" * 100, metadata={"p": "\u5b57" * 100}, utm=texts)
    assert one.read_flow_token(one.flow_token(flow)) == flow


def test_a_token_that_is_too_long_for_a_flow_is_not_unpacked() -> None:
    with pytest.raises(LinkRefused):
        links().read_flow_token("a" * 20_000)
