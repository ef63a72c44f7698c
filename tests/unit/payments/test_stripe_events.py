"""What counts as a webhook from Stripe, and what is refused: signatures, ages, and every malformed body."""

import json
from datetime import datetime, timedelta

import httpx
import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from app.domain.event import Event
from app.errors import WebhookRefused
from app.payments.stripe_client import Payments
from tests.support.examples import NOW
from tests.support.stripe_transport import TransportHTTPClient

NEW = "whsec_new"
PAYMENTS = Payments(
    secret_key="sk_test_sandbox",
    webhook_secrets=["whsec_old", NEW, " "],
    api_base="http://stripe.sandbox",
    now=lambda: NOW,
    http_client=TransportHTTPClient(httpx.MockTransport(lambda _: httpx.Response(500))),
)
EVENT: dict[str, object] = {
    "id": "evt_1",
    "object": "event",
    "type": "checkout.session.completed",
    "created": int(NOW.timestamp()),
    "livemode": False,
    "data": {"object": {"id": "cs_test_1", "object": "checkout.session", "client_reference_id": "bk_1"}},
}


def sign(payload: bytes, *, secret: str = NEW, at: datetime = NOW) -> str:
    """The header as Stripe makes it; for bytes that are no text, one that cannot fit."""
    text = payload.decode("utf-8", "replace")
    header: str = stripe.WebhookSignature.generate_signature_header(text, secret, int(at.timestamp()))
    return header


def signed(event: dict[str, object], *, secret: str = NEW, at: datetime = NOW) -> tuple[bytes, str]:
    payload = json.dumps(event).encode()
    return payload, sign(payload, secret=secret, at=at)


def test_a_webhook_under_either_of_two_secrets_is_ours() -> None:
    for secret in ("whsec_old", "whsec_new"):
        assert PAYMENTS.read_event(*signed(EVENT, secret=secret)).id == "evt_1"
    with pytest.raises(WebhookRefused):
        PAYMENTS.read_event(*signed(EVENT, secret="whsec_other"))


@pytest.mark.parametrize(("seconds", "taken"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)])
def test_a_webhook_is_believed_for_five_minutes_around_its_signing(seconds: int, taken: bool) -> None:
    body, signature = signed(EVENT, at=NOW + timedelta(seconds=seconds))
    if taken:
        assert PAYMENTS.read_event(body, signature).id == "evt_1"
    else:
        with pytest.raises(WebhookRefused):
            PAYMENTS.read_event(body, signature)


def test_an_old_signature_cannot_be_dressed_up_as_a_new_one() -> None:
    body, signature = signed(EVENT, at=NOW - timedelta(days=1))
    stamp, _, rest = signature.partition(",")
    fresh = f"t={int(NOW.timestamp())}"
    loose = stamp.replace("t=", "t=+")
    for header in (f"{fresh},{rest}", f"{stamp},{fresh},{rest}", f"{fresh},{stamp},{rest}", f"{loose},{fresh},{rest}"):
        with pytest.raises(WebhookRefused):
            PAYMENTS.read_event(body, header)


@pytest.mark.parametrize(
    "header", [None, "", "t=", "t=1", "v1=abc", "t=x,v1=y", "t=99999999999999999999,v1=a", "t=1,v1=å", "💥"]
)
def test_a_webhook_without_a_proper_signature_is_refused(header: str | None) -> None:
    with pytest.raises(WebhookRefused):
        PAYMENTS.read_event(json.dumps(EVENT).encode(), header)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"nonsense",
        b"[]",
        b"null",
        b"3",
        b"[" * 5000,
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"id": "evt_1", "object": "v2.core.event", "type": "v1.checkout.session.completed"}',
        b'{"id": "evt_1", "object": "event", "type": "x", "livemode": false, "created": 1}',
        b'{"id": "evt_1", "object": "event", "type": "x", "livemode": false, "created": 1, "data": {"object": null}}',
        b'{"id": "", "object": "event", "type": "", "livemode": 0, "created": 1, "data": {"object": {"object": ""}}}',
        b'{"id": "evt_1", "object": "event", "type": "x", "livemode": 0, "created": 1e99, "data": {"object": {}}}',
    ],
)
def test_a_signed_body_that_is_no_event_is_refused(payload: bytes) -> None:
    with pytest.raises(WebhookRefused):
        PAYMENTS.read_event(payload, sign(payload))


def test_an_event_about_something_without_an_id_is_still_an_event() -> None:
    event = EVENT | {"type": "balance.available", "data": {"object": {"object": "balance", "livemode": True}}}
    read = PAYMENTS.read_event(*signed(event))
    assert (read.object_id, read.object_type, read.booking_id) == ("", "balance", None)


@pytest.mark.parametrize("kind", ["refund", "charge", "dispute"])
def test_what_the_owner_does_in_the_dashboard_names_its_payment_and_no_booking(kind: str) -> None:
    thing = {"id": "x_1", "object": kind, "metadata": {}, "payment_intent": "pi_1"}
    read = PAYMENTS.read_event(*signed(EVENT | {"data": {"object": thing}}))
    assert (read.object_type, read.booking_id, read.payment_intent_id) == (kind, None, "pi_1")


@pytest.mark.parametrize("given", [None, "", 7, {"id": "pi_1"}])
def test_an_event_that_names_no_payment_in_the_usual_way_is_still_an_event(given: object) -> None:
    thing = {"id": "x_1", "object": "refund", "payment_intent": given}
    assert PAYMENTS.read_event(*signed(EVENT | {"data": {"object": thing}})).payment_intent_id is None


def test_an_event_of_the_other_mode_is_told_as_such() -> None:
    assert PAYMENTS.read_event(*signed(EVENT | {"livemode": True})).livemode is True


@given(body=st.binary(max_size=200), header=st.one_of(st.none(), st.text(max_size=100)))
def test_whatever_bytes_arrive_unsigned_are_refused(body: bytes, header: str | None) -> None:
    with pytest.raises(WebhookRefused):
        PAYMENTS.read_event(body, header)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(
    changes=st.dictionaries(st.sampled_from(["id", "object", "type", "created", "livemode", "data"]), _JSON),
    thing=st.dictionaries(
        st.sampled_from(["id", "object", "metadata", "client_reference_id", "payment_intent"]), _JSON
    ),
)
def test_whatever_arrives_signed_is_an_event_or_refused(changes: dict[str, object], thing: dict[str, object]) -> None:
    try:
        event = PAYMENTS.read_event(*signed(EVENT | {"data": {"object": thing}} | changes))
    except WebhookRefused:
        return
    assert isinstance(event, Event)
    assert event.id.startswith("evt_")
