"""What other programs send is answered in words, however wrong it is; `make fuzz` sends more of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import httpx
import pytest
import stripe

from app.errors import UNREADABLE
from app.payments.facts import refund_facts
from app.protection.page_reader import Page
from app.protection.signed_links import Links
from app.scheduling.connection import limit_in, retry_after
from app.text.catalogues import translator
from app.web.embed.embed_check import Case, examine
from app.widgets import Widget
from app.widgets_file import WidgetsFileError, load_widgets
from tests.support.spoiled import Spoiler, live_through
from tests.support.spoiled_texts import wrong_page, wrong_token, wrong_widgets
from tests.support.stack import Stack, open_stack

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


@pytest.mark.parametrize("scheduler", ["hapio", "calcom", "calendly"])
async def test_no_answer_of_a_provider_breaks_a_page_or_the_worker(tmp_path: Path, scheduler: str) -> None:
    async with open_stack(tmp_path, scheduler=scheduler, settings={"staff_emails": "eva@studio.example"}) as stack:
        spoiler = Spoiler(Random(1))
        assert await live_through(stack, spoiler, 8) == []
        assert spoiler.spoiled >= 10


async def answered(stack: Stack, path: str, body: bytes) -> httpx.Response:
    """The page of the times, where the scheduler answers one path so."""
    stack.alter = lambda request, response: (
        httpx.Response(200, content=body, request=request) if request.url.path.endswith(path) else response
    )
    return await stack.client.get("/w/studio")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("/locations", "Nowhere/Town", id="a time zone that there is not"),
        pytest.param("/services", "P99999999999999Y", id="a length of more years than there are"),
        pytest.param("/services", "[" * 5000, id="nested deeper than Python goes"),
    ],
)
async def test_an_answer_that_cannot_be_believed_is_an_outage_of_the_scheduler(
    tmp_path: Path, path: str, body: str
) -> None:
    async with open_stack(tmp_path) as stack:
        good = await stack.hapio_api().get(path)
        text = good.text.replace("Europe/Stockholm", body).replace("PT1H", body) if body[0] != "[" else body
        answer = await answered(stack, path, text.encode())
        assert answer.status_code == 503
        stack.alter = None
        stack.clock.advance(timedelta(minutes=2))
        assert (await stack.client.get("/w/studio")).status_code == 200


@pytest.mark.parametrize("value", [{}, "\ud800", "re_\0", 1.5, None])
def test_a_refund_of_another_shape_is_no_refund(value: object) -> None:
    good = {"id": "re_1", "status": "succeeded", "amount": 100, "currency": "sek", "payment_intent": "pi_1"}
    good |= {"metadata": {}, "created": 1_796_964_780}
    assert refund_facts(stripe.Refund.construct_from(good, "sk_test_1")).id == "re_1"
    for name in ("id", "status", "amount"):
        with pytest.raises(UNREADABLE):
            refund_facts(stripe.Refund.construct_from({**good, name: value}, "sk_test_1"))


def test_headers_with_numbers_of_any_length_are_passed_over() -> None:
    long = httpx.Headers({"limit": "9" * 5000, "left": "1", "retry-after": "9" * 400})
    assert limit_in(long, "limit", "left") is None
    assert retry_after(long, NOW, default=7) == 7


def test_a_frame_as_high_as_a_number_of_five_thousand_digits_is_examined() -> None:
    for frame in ('height="{}"', 'style="height: {}px"'):
        page = f'<iframe src="https://book.example/w/studio" {frame.format("9" * 5000)}></iframe>'
        read = Page("https://site.example/", 200, httpx.Headers(), page)
        case = Case("https://site.example/", read, None, Widget(name="studio"), ("studio",), "https://book.example")
        assert examine(case, translator("en").gettext)


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 3000])
def test_a_setting_that_python_cannot_hold_is_refused_in_words(tmp_path: Path, value: str) -> None:
    path = tmp_path / "widgets.toml"
    path.write_text(f"[studio]\nmax_free_per_day = {value}\n")
    with pytest.raises(WidgetsFileError, match=r"too long|brackets|not TOML"):
        load_widgets(path)


def test_a_file_a_page_or_a_link_however_wrong_is_read_or_refused_in_words(tmp_path: Path) -> None:
    random = Random(1)
    links = Links(["k" * 32], now=lambda: NOW, random=random)
    found = [wrong_widgets(tmp_path, random) for _ in range(60)]
    found += [wrong_page(random) for _ in range(200)] + [wrong_token(links, random) for _ in range(200)]
    assert [wrong for wrong in found if wrong] == []
