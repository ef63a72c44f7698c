"""The doors of the API: versions, accounts, lists, and what Stripe would refuse or never say."""

from typing import Any

import httpx
import pytest
import stripe

from sandbox.stripe import StripeSandbox
from sandbox.stripe.schema import WrongAnswer, check
from scripts import derive_stripe_schemas
from tests.support.stripe_shop import open_session, order


async def test_a_body_that_is_not_a_form_is_refused(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/v1/checkout/sessions", json=order(), auth=("sk_test_sandbox", ""))
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    "version",
    ["2025-11-17.clover", "2026-03-25.dahlia", "2026-08-26.dahlia", "2026-09-30.endive", "2026-11-25.endive"],
)
async def test_the_versions_that_todays_packages_send_are_answered(browser: httpx.AsyncClient, version: str) -> None:
    answer = await browser.get("/v1/refunds", auth=("sk_test_sandbox", ""), headers={"Stripe-Version": version})
    assert (answer.status_code, answer.json()["data"]) == (200, [])
    assert answer.headers["stripe-version"] == version


@pytest.mark.parametrize(
    "version",
    ["2025-08-27.basil", "2027-03-31.fennel", "2026-13-40.endive", "2026-10-28.endive; beta=v1", "endive", ""],
)
async def test_a_version_that_the_sandbox_cannot_answer_is_refused_in_words_that_say_what_to_do(
    browser: httpx.AsyncClient, version: str
) -> None:
    answer = await browser.get("/v1/refunds", auth=("sk_test_sandbox", ""), headers={"Stripe-Version": version})
    assert answer.status_code == 400
    words = answer.json()["error"]["message"]
    assert f"Invalid Stripe API version: {version}" in words
    assert "clover, dahlia and endive" in words
    assert "scripts/derive_stripe_schemas.py" in words


@pytest.mark.parametrize(
    "headers", [{"Stripe-Version": "2024-06-20"}, {"Stripe-Account": "acct_other"}], ids=["version", "account"]
)
async def test_another_version_or_account_is_refused(browser: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await browser.get("/v1/refunds", auth=("sk_test_sandbox", ""), headers=headers)
    assert answer.status_code in (400, 403)


async def test_a_list_may_be_written_with_empty_brackets(
    client: stripe.StripeClient, browser: httpx.AsyncClient
) -> None:
    await client.v1.checkout.sessions.expire_async(await open_session(client))
    url = "/v1/events?types[]=checkout.session.expired&types[]=refund.created"
    events = (await browser.get(url, auth=("sk_test_sandbox", ""))).json()
    assert [event["type"] for event in events["data"]] == ["checkout.session.expired"]


@pytest.mark.parametrize(
    "changes",
    [{"mode": "subscription"}, {"ui_mode": "elements"}, {"discounts": [{"coupon": "x"}]}],
    ids=["mode", "ui_mode", "discounts"],
)
async def test_what_stripe_knows_and_the_sandbox_does_not_is_refused_and_not_ignored(
    client: stripe.StripeClient, changes: Any
) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="Sandbox"):
        await client.v1.checkout.sessions.create_async(order(**changes))


def test_the_schemas_are_what_the_pinned_package_declares() -> None:
    assert derive_stripe_schemas.OUTPUT.read_text() == derive_stripe_schemas.render()


async def test_the_sandbox_refuses_to_say_what_stripe_would_not(
    client: stripe.StripeClient, sandbox: StripeSandbox
) -> None:
    session = sandbox.state.sessions[await open_session(client)]
    check(session)
    for wrong in (
        {"payment_status": "maybe"},
        {"livemode": None},
        {"colour": "red"},
        {"amount_total": "4500"},
    ):
        with pytest.raises(WrongAnswer):
            check(session | wrong)
    del session["expires_at"]
    with pytest.raises(WrongAnswer):
        check(session)
