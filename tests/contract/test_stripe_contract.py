"""What we believe about Stripe's API, asked through the real stripe package.

Against the sandbox in process by default; against Stripe's own test mode when STRIPE_CONTRACT_KEY holds a
test key, so that both can be seen to agree. What needs a buyer is in tests/unit/sandbox/stripe.
"""

import os
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import stripe

from app.payments.connection import StripeHTTP
from sandbox.stripe import StripeSandbox

REAL_KEY = os.environ.get("STRIPE_CONTRACT_KEY")
HALF_HOUR, DAY = 30 * 60, 24 * 60 * 60


def now() -> datetime:
    return datetime.now(UTC)


def transport() -> httpx.AsyncBaseTransport | None:
    return None if REAL_KEY else StripeSandbox(now=now).transport()


def connect(key: str, http: StripeHTTP) -> stripe.StripeClient:
    assert not key.startswith(("sk_live_", "rk_live_"))
    return stripe.StripeClient(key, http_client=http)


@pytest.fixture
async def http() -> AsyncIterator[StripeHTTP]:
    client = StripeHTTP(transport())
    yield client
    await client.close_async()


@pytest.fixture
def client(http: StripeHTTP) -> stripe.StripeClient:
    return connect(REAL_KEY or "sk_test_sandbox", http)


def order(**changes: Any) -> Any:
    """What we send for a booking; `None` leaves a parameter out."""
    params = {
        "mode": "payment",
        "submit_type": "book",
        "locale": "de",
        "client_reference_id": "bk_7Q2M",
        "customer_email": "ada@example.com",
        "expires_at": int(time.time()) + 31 * 60,
        "line_items": [line(4500)],
        "metadata": {"booking_id": "bk_7Q2M", "attempt": "1"},
        "payment_intent_data": {"capture_method": "manual", "metadata": {"booking_id": "bk_7Q2M"}},
        "allowed_payment_method_types": ["card", "link"],
        "adaptive_pricing": {"enabled": False},
        "success_url": "https://book.example/r/TOKEN?cs={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://book.example/r/TOKEN/back",
    } | changes
    return {key: value for key, value in params.items() if value is not None}


def line(unit_amount: Any, currency: str = "eur", **changes: Any) -> Any:
    price = {"currency": currency, "unit_amount": unit_amount, "product_data": {"name": "Massage, 60 minutes"}}
    return {"quantity": 1, "price_data": price} | changes


async def refusal(client: stripe.StripeClient, params: Any) -> stripe.InvalidRequestError:
    """How Stripe refuses to create this Session."""
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await client.v1.checkout.sessions.create_async(params)
    assert caught.value.http_status == 400
    return caught.value


def key() -> Any:
    return {"idempotency_key": f"contract-{uuid.uuid4()}"}


async def test_a_new_session_is_open_unpaid_and_has_a_page_but_no_payment_yet(client: stripe.StripeClient) -> None:
    asked = order()
    made = await client.v1.checkout.sessions.create_async(asked)
    session = await client.v1.checkout.sessions.retrieve_async(made.id, {"expand": ["line_items", "payment_intent"]})
    assert session.id.startswith("cs_test_")
    assert session.url is not None
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    assert (session.amount_subtotal, session.amount_total, session.currency) == (4500, 4500, "eur")
    assert (session.mode, session.ui_mode, session.livemode) == ("payment", "hosted_page", False)
    assert session.expires_at == asked["expires_at"]
    assert session.client_reference_id == "bk_7Q2M"
    assert session.metadata is not None
    assert session.metadata.to_dict() == {"booking_id": "bk_7Q2M", "attempt": "1"}
    assert session.customer_email == "ada@example.com"
    assert session.success_url == asked["success_url"]
    assert session.recovered_from is None
    assert session.line_items is not None
    assert [(one.description, one.amount_total) for one in session.line_items.data] == [("Massage, 60 minutes", 4500)]


async def test_every_answer_names_its_request_and_the_pinned_version(client: stripe.StripeClient) -> None:
    session = await client.v1.checkout.sessions.create_async(order())
    assert session.last_response is not None
    assert str(session.last_response.request_id).startswith("req_")
    assert session.last_response.headers["stripe-version"] == stripe.api_version


async def test_an_unstated_end_is_a_day_away(client: stripe.StripeClient) -> None:
    session = await client.v1.checkout.sessions.create_async(order(expires_at=None))
    assert session.expires_at == session.created + DAY


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"colour": "red"}, "colour", "parameter_unknown"),
        ({"payment_method_types": ["card"]}, "payment_method_types", "parameter_unknown"),
        ({"line_items": [line(4500, colour="red")]}, "line_items[0][colour]", "parameter_unknown"),
        ({"success_url": None}, "success_url", "parameter_missing"),
        ({"mode": None}, "mode", "parameter_missing"),
        ({"line_items": None}, "line_items", "parameter_missing"),
        ({"line_items": [line("45.00")]}, "line_items[0][price_data][unit_amount]", "parameter_invalid_integer"),
        ({"line_items": [line(-100)]}, "line_items[0][price_data][unit_amount]", "parameter_invalid_integer"),
        ({"success_url": "book.example/r"}, "success_url", "url_invalid"),
        ({"customer_email": "not an address"}, "customer_email", "email_invalid"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_wrong_parameter_is_refused_by_name_and_code(
    client: stripe.StripeClient, changes: Any, param: str, code: str
) -> None:
    error = await refusal(client, order(**changes))
    assert (error.param, error.code) == (param, code)


@pytest.mark.parametrize("ui_mode", ["hosted", "embedded", "custom"])
async def test_the_old_names_of_ui_mode_are_refused(client: stripe.StripeClient, ui_mode: str) -> None:
    assert (await refusal(client, order(ui_mode=ui_mode))).param == "ui_mode"


@pytest.mark.parametrize("submit_type", ["reserve", ""])
async def test_an_unknown_word_on_the_button_is_refused(client: stripe.StripeClient, submit_type: str) -> None:
    assert (await refusal(client, order(submit_type=submit_type))).param == "submit_type"


@pytest.mark.parametrize("life", [HALF_HOUR - 60, DAY + 60])
async def test_a_session_lives_from_half_an_hour_to_a_day(client: stripe.StripeClient, life: int) -> None:
    error = await refusal(client, order(expires_at=int(time.time()) + life))
    assert error.param == "expires_at"


@pytest.mark.parametrize("life", [HALF_HOUR + 60, DAY - 60])
async def test_just_within_those_bounds_it_is_made(client: stripe.StripeClient, life: int) -> None:
    session = await client.v1.checkout.sessions.create_async(order(expires_at=int(time.time()) + life))
    assert session.status == "open"


async def test_a_reference_of_200_characters_is_the_longest(client: stripe.StripeClient) -> None:
    session = await client.v1.checkout.sessions.create_async(order(client_reference_id="b" * 200))
    assert session.client_reference_id == "b" * 200
    assert (await refusal(client, order(client_reference_id="b" * 201))).param == "client_reference_id"


@pytest.mark.parametrize(
    ("amount", "currency"), [(49, "eur"), (49, "usd"), (29, "gbp"), (299, "sek"), (49, "jpy")], ids=str
)
async def test_less_than_the_smallest_amount_is_refused(
    client: stripe.StripeClient, amount: int, currency: str
) -> None:
    error = await refusal(client, order(line_items=[line(amount, currency)], allowed_payment_method_types=["card"]))
    assert error.code == "amount_too_small"


async def test_nine_digits_are_too_much(client: stripe.StripeClient) -> None:
    await refusal(client, order(line_items=[line(100_000_000)]))


async def test_a_three_decimal_amount_ends_in_zero(client: stripe.StripeClient) -> None:
    card_only = {"allowed_payment_method_types": ["card"]}
    await refusal(client, order(line_items=[line(5005, "kwd")], **card_only))
    session = await client.v1.checkout.sessions.create_async(order(line_items=[line(5010, "kwd")], **card_only))
    assert session.amount_total == 5010


async def test_an_unknown_currency_is_refused(client: stripe.StripeClient) -> None:
    error = await refusal(client, order(line_items=[line(4500, "eux")]))
    assert error.param == "line_items[0][price_data][currency]"


async def test_all_lines_of_a_session_share_one_currency(client: stripe.StripeClient) -> None:
    await refusal(client, order(line_items=[line(4500, "eur"), line(4500, "usd")]))


async def test_several_lines_and_quantities_add_up(client: stripe.StripeClient) -> None:
    session = await client.v1.checkout.sessions.create_async(order(line_items=[line(4500), line(500, quantity=2)]))
    assert session.amount_total == 5500


@pytest.mark.parametrize(
    "metadata",
    [{f"k{n}": "v" for n in range(51)}, {"k" * 41: "v"}, {"k": "v" * 501}],
    ids=["51 keys", "a key of 41", "a value of 501"],
)
async def test_metadata_has_limits(client: stripe.StripeClient, metadata: dict[str, str]) -> None:
    await refusal(client, order(metadata=metadata))


async def test_metadata_is_merged_and_an_empty_value_takes_its_key_away(client: stripe.StripeClient) -> None:
    made = await client.v1.checkout.sessions.create_async(order(metadata={"a": "1", "b": "2"}))
    changed = await client.v1.checkout.sessions.update_async(made.id, {"metadata": {"b": "", "c": "3"}})
    assert changed.metadata is not None
    assert changed.metadata.to_dict() == {"a": "1", "c": "3"}


async def test_expiring_ends_an_open_session_once(client: stripe.StripeClient) -> None:
    made = await client.v1.checkout.sessions.create_async(order())
    ended = await client.v1.checkout.sessions.expire_async(made.id)
    assert (ended.status, ended.payment_status, ended.url, ended.payment_intent) == ("expired", "unpaid", None, None)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await client.v1.checkout.sessions.expire_async(made.id)
    assert caught.value.http_status == 400
    assert "expired" in str(caught.value)
    assert (await client.v1.checkout.sessions.retrieve_async(made.id)).status == "expired"


async def test_the_same_key_and_parameters_make_one_session(client: stripe.StripeClient) -> None:
    params, options = order(), key()
    first = await client.v1.checkout.sessions.create_async(params, options)
    again = await client.v1.checkout.sessions.create_async(params, options)
    assert again.id == first.id
    assert first.last_response is not None
    assert "idempotent-replayed" not in first.last_response.headers
    assert again.last_response is not None
    assert again.last_response.headers["idempotent-replayed"] == "true"


async def test_a_replay_tells_the_old_answer_not_the_present_state(client: stripe.StripeClient) -> None:
    params, options = order(), key()
    made = await client.v1.checkout.sessions.create_async(params, options)
    await client.v1.checkout.sessions.expire_async(made.id)
    assert (await client.v1.checkout.sessions.create_async(params, options)).status == "open"


async def test_other_parameters_under_the_same_key_are_refused(client: stripe.StripeClient) -> None:
    options = key()
    await client.v1.checkout.sessions.create_async(order(), options)
    with pytest.raises(stripe.IdempotencyError):
        await client.v1.checkout.sessions.create_async(order(client_reference_id="another"), options)


async def test_one_key_does_not_serve_two_endpoints(client: stripe.StripeClient) -> None:
    options = key()
    made = await client.v1.checkout.sessions.create_async(order(), options)
    with pytest.raises(stripe.IdempotencyError):
        await client.v1.checkout.sessions.expire_async(made.id, {}, options)


async def test_a_refused_parameter_does_not_use_up_its_key(client: stripe.StripeClient) -> None:
    options = key()
    with pytest.raises(stripe.InvalidRequestError):
        await client.v1.checkout.sessions.create_async(order(colour="red"), options)
    assert (await client.v1.checkout.sessions.create_async(order(), options)).status == "open"


async def test_sessions_are_listed_newest_first_and_page_by_page(client: stripe.StripeClient) -> None:
    start = int(time.time())
    made = [await client.v1.checkout.sessions.create_async(order()) for _ in range(3)]
    first = await client.v1.checkout.sessions.list_async({"limit": 2, "created": {"gte": start}})
    assert len(first.data) == 2
    assert first.has_more
    rest = await client.v1.checkout.sessions.list_async(
        {"created": {"gte": start}, "starting_after": first.data[-1].id, "limit": 100}
    )
    ids = [one.id for one in [*first.data, *rest.data]]
    assert {one.id for one in made} <= set(ids)
    assert [one.created for one in [*first.data, *rest.data]] == sorted(
        (one.created for one in [*first.data, *rest.data]), reverse=True
    )
    newer = await client.v1.checkout.sessions.list_async({"ending_before": first.data[1].id, "limit": 100})
    assert newer.data[-1].id == first.data[0].id


async def test_a_list_can_be_narrowed_to_one_status(client: stripe.StripeClient) -> None:
    made = await client.v1.checkout.sessions.create_async(order())
    await client.v1.checkout.sessions.create_async(order())
    await client.v1.checkout.sessions.expire_async(made.id)
    expired = await client.v1.checkout.sessions.list_async({"status": "expired", "created": {"gte": made.created}})
    assert made.id in [one.id for one in expired.data]
    assert {one.status for one in expired.data} == {"expired"}


@pytest.mark.parametrize("limit", [0, 101])
async def test_a_page_holds_one_to_a_hundred(client: stripe.StripeClient, limit: int) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        await client.v1.checkout.sessions.list_async({"limit": limit})


async def test_a_cursor_nobody_knows_is_refused(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await client.v1.checkout.sessions.list_async({"starting_after": "cs_test_nobody"})
    assert caught.value.code == "resource_missing"


async def test_what_is_not_there_is_a_404_with_a_code(client: stripe.StripeClient) -> None:
    calls = [
        client.v1.checkout.sessions.retrieve_async("cs_test_nobody"),
        client.v1.checkout.sessions.expire_async("cs_test_nobody"),
        client.v1.payment_intents.retrieve_async("pi_nobody"),
        client.v1.payment_intents.capture_async("pi_nobody"),
        client.v1.payment_intents.cancel_async("pi_nobody"),
        client.v1.refunds.retrieve_async("re_nobody"),
        client.v1.refunds.create_async({"payment_intent": "pi_nobody"}),
        client.v1.disputes.retrieve_async("du_nobody"),
        client.v1.events.retrieve_async("evt_nobody"),
    ]
    for call in calls:
        with pytest.raises(stripe.InvalidRequestError) as caught:
            await call
        assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


async def test_a_refund_needs_to_know_what_to_give_back(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        await client.v1.refunds.create_async({"amount": 100})


async def test_refunds_and_disputes_are_listed_since_a_moment(client: stripe.StripeClient) -> None:
    later: Any = {"created": {"gte": int(time.time()) + DAY}, "limit": 100}
    for listed in (await client.v1.refunds.list_async(later), await client.v1.disputes.list_async(later)):
        assert (listed.data, listed.has_more) == ([], False)


@pytest.mark.parametrize("kind", ["refunds", "disputes"])
async def test_a_list_of_refunds_is_held_to_its_parameters(client: stripe.StripeClient, kind: str) -> None:
    listing = getattr(client.v1, kind).list_async
    for wrong in ({"colour": "red"}, {"limit": 0}, {"created": {"since": 1}}):
        with pytest.raises(stripe.InvalidRequestError):
            await listing(wrong)


async def test_what_cannot_be_expanded_is_refused(client: stripe.StripeClient) -> None:
    made = await client.v1.checkout.sessions.create_async(order())
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        await client.v1.checkout.sessions.retrieve_async(made.id, {"expand": ["currency"]})


async def test_a_wrong_key_is_told_apart_from_a_wrong_request(http: StripeHTTP) -> None:
    client = connect("sk_test_wrong", http)
    with pytest.raises(stripe.AuthenticationError) as caught:
        await client.v1.checkout.sessions.list_async()
    assert caught.value.http_status == 401


async def test_an_address_stripe_does_not_have_is_a_404_in_stripes_words(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL") as caught:
        await client.raw_request_async("get", "/v1/checkout/nothing")
    assert caught.value.http_status == 404
