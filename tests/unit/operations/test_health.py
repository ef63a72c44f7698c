"""What an operator sees: ready or not, the figures, and whether money and bookings belong together."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from app.domain.booking import Actor, Status
from app.errors import SlotTaken
from app.store.tables import payments
from sandbox.hapio import Fault
from tests.support.browser import Browser
from tests.support.figures import TOKEN, figure, scrape
from tests.support.stack import Stack, open_stack

MARKED = {
    "name": "Zzyzx Markedname",
    "email": "markedmail@customer.example",
    "phone": "+46701234567",
    "notes": "markednote",
}


# Ready or not


async def test_a_server_without_a_living_worker_is_not_ready(stack: Stack) -> None:
    before = await stack.client.get("/readyz")
    await stack.tick()
    alive = await stack.client.get("/readyz")
    stack.clock.advance(timedelta(minutes=5))
    late = await stack.client.get("/readyz")
    assert [answer.status_code for answer in (before, alive, late)] == [503, 200, 503]
    assert alive.json() == {"status": "ready", "database": "ok", "worker": "ok", "hapio": "ok", "stripe": "ok"}
    assert late.json()["worker"] == "late"
    assert (await stack.client.get("/healthz")).status_code == 200


async def test_a_worker_that_works_elsewhere_counts_because_its_beat_is_in_the_database(stack: Stack) -> None:
    await stack.tick()
    await stack.restart()
    assert (await stack.client.get("/readyz")).status_code == 200


async def test_a_provider_that_is_down_is_told_and_takes_no_server_out_of_service(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"metrics_token": TOKEN}) as stack:
        await stack.hold()
        stack.hapio.faults.append(Fault("error_before", times=50))
        await stack.tick(after=timedelta(minutes=20), times=4)
        answer = await stack.client.get("/readyz")
        assert (answer.status_code, answer.json()["hapio"]) == (200, "down")
        assert await figure(stack, "breaker_open", provider="hapio") == 1
        assert await figure(stack, "provider_calls_total", provider="hapio", outcome="500") > 0
        assert await figure(stack, "worker_failures_total") > 0
        stack.hapio.faults.clear()
        await stack.until_quiet()
        assert (await stack.client.get("/readyz")).json()["hapio"] == "ok"
        assert await figure(stack, "breaker_open", provider="hapio") == 0


# Who may read the figures


async def test_without_a_token_in_the_settings_there_are_no_figures(stack: Stack) -> None:
    assert (await scrape(stack)).status_code == 404


async def test_the_figures_need_the_token(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"metrics_token": TOKEN}) as stack:
        assert (await stack.client.get("/metrics")).status_code == 401
        wrong = await stack.client.get("/metrics", headers={"Authorization": "Bearer someone-else-s-token"})
        assert wrong.status_code == 401
        assert (await scrape(stack)).status_code == 200


# What they say


async def test_the_guide_names_every_figure_and_no_other(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[3] / "docs/operations.md").read_text(encoding="utf-8")
    told = {re.sub("_(total|amount)$", "", name) for name in re.findall(r"\b(?:holdfast|process)_[a-z_]+", guide)}
    async with open_stack(tmp_path, settings={"metrics_token": TOKEN}) as stack:
        await stack.tick()
        families = text_string_to_metric_families((await scrape(stack)).text)
        known = {re.sub("_(total|amount)$", "", family.name) for family in families}
    assert told == known


async def test_one_sale_and_one_refused_time_are_in_the_figures(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"metrics_token": TOKEN}) as stack:
        await scrape(stack)  # as a Prometheus that was there before the sale
        booking = await stack.hold()
        await stack.paid(booking)
        await stack.tick()
        browser = Browser(stack)
        await browser.open(f"/w/studio?service={stack.portrait_id}")
        with pytest.raises(SlotTaken):
            await stack.hold(booking.starts_at, resource_id=booking.resource_id)
        assert await figure(stack, "bookings", status="confirmed") == 1
        assert await figure(stack, "history_total", what="confirmed") == 1
        assert await figure(stack, "confirm_seconds_count") == 1
        assert await figure(stack, "payments_amount", state="captured", currency="sek") == 120_000
        assert await figure(stack, "webhooks_total", provider="stripe", outcome="accepted") == 2
        assert await figure(stack, "webhook_events", provider="stripe", state="processed") == 2
        assert await figure(stack, "holds_refused_total", code="BOOKING_CONFLICT") == 1
        assert await figure(stack, "looks_total") > 0
        assert await figure(stack, "scheduler_calls_this_month") == await figure(
            stack, "provider_calls_total", provider="hapio"
        )
        assert await figure(stack, "outbox_owed") == 0
        assert await figure(stack, "worker_age_seconds") == 0
        await stack.restart()
        assert await figure(stack, "history_total", what="confirmed") == 1


async def test_what_was_added_to_the_stored_counts_is_counted_once(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"metrics_token": TOKEN}) as stack:
        await stack.paid(await stack.hold())
        await stack.tick(after=timedelta(hours=7), times=3)  # the worker has counted what the history holds
        await stack.paid(await stack.hold(await stack.free_slot(nth=9)))
        await stack.tick()
        assert await stack.parts.store.tally_history() > 0
        assert await figure(stack, "history_total", what="confirmed") == 2
        await stack.restart()
        assert await figure(stack, "history_total", what="confirmed") == 2


async def test_what_is_over_for_a_day_is_in_no_figure_and_what_is_wrong_stays(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"metrics_token": TOKEN}) as stack:
        kept = await stack.hold()
        await stack.paid(kept)
        wrong = await stack.hold(await stack.free_slot(nth=9))
        await stack.paid(wrong)
        await stack.tick()
        assert await figure(stack, "money_without_booking") == 0
        async with stack.parts.store._write(wrong.id) as connection:
            await connection.execute(
                sa.update(payments).where(payments.c.booking_id == wrong.id).values(captured=20_000)
            )
        for hours in (0.5, 3, 12, 13):  # found as soon as it is beyond doubt, and by every later look
            await stack.tick(after=timedelta(hours=hours))
            assert await figure(stack, "bookings_without_money") == 1
        assert await figure(stack, "bookings", status="confirmed") == 0


async def test_counters_are_there_before_anything_has_happened(tmp_path: Path) -> None:
    """Else the first event of each kind, a new series, is no increase to Prometheus."""
    async with open_stack(tmp_path, settings={"metrics_token": TOKEN}) as stack:
        told = (await scrape(stack)).text
    for series in (
        'errors_total{code="INTERNAL_ERROR"}',
        'errors_total{code="STRIPE_API_ERROR"}',
        'holds_refused_total{code="BOOKING_CONFLICT"}',
        'holds_refused_total{code="RATE_LIMITED"}',
        'sweep_findings_total{what="payment"}',
        'sweep_findings_total{what="lock"}',
        'worker_failures_total{act="confirm",error="SchedulerUnreachable"}',
        'worker_failures_total{act="send",error="MailError"}',
        'worker_failures_total{act="tick",error="StorageFull"}',
        'webhooks_total{outcome="refused",provider="stripe"}',
        'webhooks_total{outcome="failed",provider="hapio"}',
    ):
        assert f"holdfast_{series} 0.0\n" in told, series


async def test_requests_are_counted_by_route_and_never_by_path(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"metrics_token": TOKEN}) as stack:
        for path in ("/b/somebodys-token", "/b/anothers-token", "/no/such/page", "/healthz"):
            await stack.client.get(path)
        await stack.client.request("BREW", "/healthz")
        told = (await scrape(stack)).text
        assert await figure(stack, "http_requests_total", route="/b/{token}", status="403", method="GET") == 2
        assert await figure(stack, "http_requests_total", route="unmatched", status="404") == 1
        assert await figure(stack, "http_requests_total", route="/healthz", method="other") == 1
        assert await figure(stack, "http_request_seconds_count", route="/b/{token}") == 2
    assert "token" not in told.replace("{token}", "")
    assert "such" not in told
    assert "BREW" not in told
    assert re.search(r'holdfast_build_info\{.*version="0\.1\.0".*\} 1\.0', told)
    assert re.search(r"^process_resident_memory_bytes \d", told, re.MULTILINE)


async def test_errors_that_programs_are_told_of_are_counted_like_those_of_people(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"metrics_token": TOKEN}) as stack:
        await stack.client.get("/b/forged")
        await stack.client.get("/api/bookings/bk_1", headers={"Authorization": "Bearer forged"})
        assert await figure(stack, "errors_total", code="UNAUTHORIZED") == 2


async def test_a_forged_webhook_is_counted_as_refused(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"metrics_token": TOKEN}) as stack:
        await stack.client.post("/api/webhooks/stripe", content=b"{}", headers={"Stripe-Signature": "t=1,v1=0"})
        assert await figure(stack, "webhooks_total", provider="stripe", outcome="refused") == 1


async def test_mail_that_nobody_takes_is_told_with_its_age(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"metrics_token": TOKEN}) as stack:
        stack.mailbox.refuse = "temporary"
        await stack.paid(await stack.hold())
        await stack.tick()
        await stack.tick(after=timedelta(minutes=3))
        assert await figure(stack, "outbox_owed") == 2
        assert await figure(stack, "outbox_age_seconds") >= 180


async def test_the_figures_and_the_logs_name_nobody_and_no_secret(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with open_stack(tmp_path, settings={"metrics_token": TOKEN}) as stack:
        anna = Browser(stack)
        await anna.open(f"/w/studio?service={stack.portrait_id}&name=Zzyzx+Markedname&utm_source=markedcampaign")
        await anna.send('id="hf-hold"', start=anna.starts[0])
        token = anna.page.url.path.split("/")[2]
        await anna.send('action="[^"]*/details"', **MARKED)
        stack.hapio.faults.append(Fault("error_before", times=4))
        await anna.send('action="[^"]*/pay"')
        await anna.open(await stack.stripe.pay(anna.page.headers["location"].rpartition("/")[2]))
        await stack.client.get("/w/markedpath?email=markedmail@customer.example")
        await stack.until_quiet()
        said = (await scrape(stack)).text + (await stack.client.get("/readyz")).text
        assert 'holdfast_bookings{status="confirmed"} 1.0' in said
        said += "".join(capfd.readouterr()) + caplog.text
        assert "webhook" in said
        secrets = ("sk_test_sandbox", "whsec_sandbox", "hapio-sandbox-token", token, TOKEN, *stack.settings.keys)
        for told in (*MARKED.values(), "Markedname", "markedmail", "markedcampaign", "markedpath", *secrets):
            assert told not in said


# Money and bookings belong together


async def test_in_health_no_money_is_without_a_booking_and_no_booking_without_money(stack: Stack) -> None:
    kept = await stack.hold()
    await stack.paid(kept)
    called_off = await stack.hold(await stack.free_slot(nth=8))
    await stack.paid(called_off)
    late = await stack.hold(await stack.free_slot(nth=12))
    session = await stack.at_stripe(late)
    moved = await stack.hold(await stack.free_slot(nth=16))
    await stack.paid(moved)
    free = await stack.hold(service="planning")
    await stack.parts.checkout.start(free.id)
    await stack.tick()
    await stack.parts.cancel.booking(called_off.id, by=Actor.CUSTOMER)
    cheaper = await stack.free_slot("headshot", nth=3)
    await stack.parts.reschedule.booking(moved.id, starts_at=cheaper, service_id=stack.headshot_id, by=Actor.OWNER)
    await stack.until_quiet()
    await stack.pay_late(session)
    await stack.until_quiet()
    assert stack.money_kept() > 0
    assert await stack.status(free) == Status.CONFIRMED
    assert await stack.parts.health.money_without_booking() == []
    assert await stack.parts.health.bookings_without_money() == []


async def test_a_paid_booking_that_hapio_does_not_confirm_is_money_without_a_booking(stack: Stack) -> None:
    booking = await stack.hold(await stack.free_slot(nth=30))
    stack.hapio.faults.append(Fault("error_before", times=10_000))
    await stack.paid(booking)
    assert await stack.parts.health.money_without_booking() == []  # on its way
    await stack.tick(after=timedelta(minutes=11))
    [found] = await stack.parts.health.money_without_booking()
    assert (found.booking_id, found.amount, found.currency, found.why) == (booking.id, 120_000, "sek", "not_confirmed")
    stack.hapio.faults.clear()
    await stack.until_quiet()
    assert await stack.parts.health.money_without_booking() == []


async def test_a_refund_that_stripe_refuses_is_money_without_a_booking(stack: Stack) -> None:
    stack.stripe.switches.refund_mode = "refused"
    booking = await stack.hold(await stack.free_slot(nth=30))
    await stack.paid(booking)
    await stack.tick()
    await stack.parts.cancel.booking(booking.id, by=Actor.CUSTOMER)
    await stack.tick(after=timedelta(minutes=30))
    [found] = await stack.parts.health.money_without_booking()
    assert (found.booking_id, found.amount, found.why) == (booking.id, 120_000, "not_refunded")


async def test_a_refund_that_the_bank_sends_back_is_money_without_a_booking(stack: Stack) -> None:
    stack.stripe.switches.refund_mode = "fail_later"
    booking = await stack.hold(await stack.free_slot(nth=30))
    await stack.paid(booking)
    await stack.tick()
    await stack.parts.cancel.booking(booking.id, by=Actor.CUSTOMER)
    await stack.until_quiet()
    await stack.tick(after=timedelta(minutes=30))
    [found] = await stack.parts.health.money_without_booking()
    assert (found.booking_id, found.amount, found.why) == (booking.id, 120_000, "canceled")


async def test_a_confirmed_booking_whose_money_is_missing_is_named(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.paid(booking)
    await stack.tick()
    async with stack.parts.store._write() as connection:
        await connection.execute(sa.update(payments).values(captured=20_000))
    await stack.tick(after=timedelta(minutes=11))
    [found] = await stack.parts.health.bookings_without_money()
    assert (found.booking_id, found.amount, found.currency) == (booking.id, 100_000, "sek")
