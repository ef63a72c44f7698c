"""What a stranger posts is counted and bounded before it costs anything."""

import tracemalloc
import unicodedata
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest

from app.booking.customer_form import clean, read_details
from app.domain.booking import Status
from app.errors import InvalidDetails
from app.text.languages import negotiate
from app.widgets import Widget
from tests.support.callers import Caller
from tests.support.rows import rows
from tests.support.stack import Stack, text_of

#: Alternating marks of two classes: putting them into order takes time that grows with the square of their number.
MARKS = "\u0301\u0323" * 14_500
POSTS = (
    "/w/studio/hold",
    "/b/{booking}/details",
    "/b/{booking}/pay",
    "/manage/{manage}/cancel",
    "/manage/resend",
    "/staff",
)


# Texts


@pytest.mark.parametrize("most", [10, 500, 2000])
def test_a_text_is_cut_before_it_is_put_in_order(most: int) -> None:
    assert len(clean("e" + MARKS, most=most)) <= most


def test_no_letter_keeps_more_marks_than_any_language_uses() -> None:
    """Unicode's stream-safe text (UAX 15, section 13) has at most 30 in a row."""
    assert len(unicodedata.normalize("NFD", clean("e" + MARKS))) <= 31


def test_letters_with_several_marks_are_kept_and_composed() -> None:
    assert clean("Ng\u0075\u031b\u0323o\u031b\u0300i") == unicodedata.normalize(
        "NFC", "Ng\u0075\u031b\u0323o\u031b\u0300i"
    )
    assert clean("e\u0301" * 100, most=100) == "é" * 100, "counted as people count letters"


def test_a_field_that_is_far_too_long_is_marked_without_being_read() -> None:
    form = {"name": "Ada", "email": "ada@example.com", "notes": "e" + MARKS}
    with pytest.raises(InvalidDetails) as refused:
        read_details(form, Widget(name="studio"))
    assert list(refused.value.fields) == ["notes"]


async def test_what_a_page_carries_along_is_cut(stack: Stack) -> None:
    answer = await stack.client.get("/w/studio", params={"service": stack.portrait_id, "name": "e" + MARKS[:3000]})
    assert answer.status_code == 200
    assert answer.text.count("\u0301") + answer.text.count("é") < 100


# Forms


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("charset", ["", "; charset=punycode", "; charset=undefined"])
async def test_no_form_is_taken_in_parts(stack: Stack, path: str, charset: str) -> None:
    """No form of ours is sent that way, and its reader decodes with whatever charset the sender names."""
    booking = await stack.confirmed()
    path = path.format(
        booking=stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at),
        manage=stack.parts.links.manage_token(booking.id, booking.link_version),
    )
    body = b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n\xff\xfe\r\n--x--\r\n'
    headers = {"Content-Type": f"multipart/form-data; boundary=x{charset}"}
    answer = await stack.client.post(path, content=body, headers=headers)
    assert answer.status_code == 415
    assert "read that form" in text_of(answer.text)
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_form_is_read_as_utf_8_whatever_charset_it_names(stack: Stack) -> None:
    start = await stack.free_slot()
    body = urlencode({"service": stack.portrait_id, "start": start.isoformat(), "utm_source": "Zürich"})
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=punycode"}
    assert (await stack.client.post("/w/studio/hold", content=body, headers=headers)).status_code == 303
    [booking] = await rows(stack)
    assert booking.status is Status.HELD
    assert booking.visitor.utm == {"utm_source": "Zürich"}


async def test_forms_are_counted_before_they_are_read(stack: Stack) -> None:
    """Also those that no act would count, because what they ask for makes no sense."""
    caller = Caller(stack)
    read = []

    async def body() -> AsyncIterator[bytes]:
        read.append("body")
        yield b"start=nonsense"

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answers = [await caller.client.post("/w/studio/hold", data={"start": "nonsense"}) for _ in range(61)]
    assert [answer.status_code for answer in answers] == [400] * 60 + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert (await caller.client.post("/w/studio/hold", content=body(), headers=headers)).status_code == 429
    assert read == []
    neighbor = Caller(stack, "203.0.113.1")
    assert (await neighbor.client.post("/w/studio/hold", data={"start": "nonsense"})).status_code == 400


@pytest.mark.parametrize("path", ["/nope?accent=%06x", "/embed?accent=%06x", "/api", "/b/x%06x", "/manage/%06x/sent"])
async def test_pages_that_are_drawn_for_each_request_are_counted_by_address(stack: Stack, path: str) -> None:
    caller = Caller(stack)
    answers = []
    for number in range(301):
        asked = path % number if "%" in path else path
        answers.append((await caller.client.get(asked)).status_code)
    assert answers[-1] == 429
    assert 429 not in answers[:60]
    assert (await caller.client.get("/healthz")).status_code == 200
    assert (await Caller(stack, "203.0.113.1").client.get("/api")).status_code == 200


# What is kept in memory


@pytest.mark.parametrize(
    "path",
    ["/healthzz", "/readyzz", "/readyz/x", "/embed.jsx", "/embed.js/x", "/static/nope", "/static/nope?accent=ff0000"],
)
async def test_an_error_page_is_counted_although_its_address_begins_like_a_file_s(stack: Stack, path: str) -> None:
    caller = Caller(stack)
    codes = [(await caller.client.get(path)).status_code for _ in range(301)]
    assert codes == [404] * 300 + [429]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/embed.js", "/static/widget.css", "/static/widget.js"])
async def test_what_draws_no_page_is_answered_however_often_it_is_asked(stack: Stack, path: str) -> None:
    caller = Caller(stack)
    codes = {(await caller.client.get(path, params={"v": str(number)})).status_code for number in range(400)}
    assert codes == {503 if path == "/readyz" else 200}, "nobody works in the background here"


@pytest.mark.parametrize("path", ["/healthz", "/embed.js", "/static/widget.css"])
async def test_a_form_that_is_sent_to_a_file_is_counted_as_any_other(stack: Stack, path: str) -> None:
    caller = Caller(stack)
    codes = [(await caller.client.post(path)).status_code for _ in range(61)]
    assert codes == [405] * 60 + [429]


def test_no_long_language_is_kept() -> None:
    tracemalloc.start()
    try:
        for number in range(300):
            long = f"{number}".rjust(30_000, "x")
            assert negotiate(long, long[-500:], ("en", "sv")) == "en"
            assert negotiate(None, f"{long[-400:]}, de", ("en", "sv")) == "en"
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 2_000_000, "300 of them together are 9 million letters"


def test_a_long_language_asks_for_none() -> None:
    assert negotiate("sv" + "-x" * 100, "de", ("en", "de", "sv")) == "de"
