"""What the operator of the sandbox sees and changes."""

import re
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import stripe

from sandbox.clock import Clock
from sandbox.stripe import StripeSandbox
from tests.support.stripe_shop import open_session, order, paid


async def test_switches_are_read_and_set_over_http(sandbox: StripeSandbox, browser: httpx.AsyncClient) -> None:
    changed = await browser.patch("/_sandbox/switches", json={"refund_mode": "pending", "lose": 2})
    assert changed.status_code == 200
    assert (sandbox.switches.refund_mode, sandbox.switches.lose) == ("pending", 2)
    assert (await browser.get("/_sandbox/switches")).json()["lose"] == 2


@pytest.mark.parametrize("changes", [{"speed": 9}, {"refund_mode": "never"}, {"lose": "many"}], ids=str)
async def test_a_switch_that_does_not_exist_or_fit_is_refused(
    sandbox: StripeSandbox, browser: httpx.AsyncClient, changes: Any
) -> None:
    before = (await browser.get("/_sandbox/switches")).json()
    assert (await browser.patch("/_sandbox/switches", json=changes)).status_code == 400
    assert (await browser.get("/_sandbox/switches")).json() == before


async def test_faults_are_listed_added_and_cleared_over_http(browser: httpx.AsyncClient) -> None:
    await browser.post("/_sandbox/faults", json=[{"kind": "hang", "path": "refunds", "times": 3}])
    assert (await browser.get("/_sandbox/faults")).json() == [
        {"kind": "hang", "method": None, "path": "refunds", "times": 3}
    ]
    assert (await browser.post("/_sandbox/faults", json=[{"kind": "explode"}])).status_code == 400
    await browser.delete("/_sandbox/faults")
    assert (await browser.get("/_sandbox/faults")).json() == []


async def test_the_clock_is_moved_over_http(
    client: stripe.StripeClient, browser: httpx.AsyncClient, clock: Clock
) -> None:
    session_id = await open_session(client)
    await browser.put("/_sandbox/clock", json={"advance_seconds": 86400})
    assert (await client.v1.checkout.sessions.retrieve_async(session_id)).status == "expired"
    await browser.put("/_sandbox/clock", json={"at": "2027-01-01T00:00:00+01:00"})
    assert clock() == datetime(2026, 12, 31, 23, 0, tzinfo=UTC)
    assert (await browser.put("/_sandbox/clock", json={"at": "tomorrow"})).status_code == 400


async def test_every_call_is_written_down_and_a_reset_forgets_all(
    client: stripe.StripeClient, sandbox: StripeSandbox, browser: httpx.AsyncClient
) -> None:
    await client.v1.checkout.sessions.create_async(order(), {"idempotency_key": "cs:1:1"})
    (call,) = (await browser.get("/_sandbox/calls")).json()
    assert (call["method"], call["path"], call["status"]) == ("POST", "/v1/checkout/sessions", 200)
    assert call["idempotency_key"] == "cs:1:1"
    assert call["params"]["submit_type"] == "book"
    sandbox.switches.double = True
    await browser.post("/_sandbox/reset")
    assert (sandbox.calls, sandbox.state.sessions, sandbox.switches.double) == ([], {}, False)
    made = await client.v1.checkout.sessions.create_async(order(), {"idempotency_key": "cs:1:1"})
    assert list(sandbox.state.sessions) == [made.id]


async def test_the_operator_can_pay_for_a_buyer(client: stripe.StripeClient, browser: httpx.AsyncClient) -> None:
    session_id = await open_session(client)
    answer = await browser.post(f"/_sandbox/sessions/{session_id}/pay", json={"card": "3ds"})
    assert answer.json() == {"location": f"https://shop.example/return?cs={session_id}"}
    assert (await browser.post(f"/_sandbox/sessions/{session_id}/pay", json={"card": "ok"})).status_code == 400


async def test_the_desk_lists_what_happened_and_its_forms_work(
    client: stripe.StripeClient, sandbox: StripeSandbox, browser: httpx.AsyncClient
) -> None:
    ident = await paid(client, sandbox)
    refund = await client.v1.refunds.create_async({"payment_intent": ident})
    page = (await browser.get("/_sandbox/")).text
    for words in (ident, refund.id, "checkout.session.completed", "POST /v1/refunds"):
        assert words in page
    dispute = sandbox.open_dispute(await paid(client, sandbox))
    assert re.search(rf"{dispute['id']}.*?>Won</button>", (await browser.get("/_sandbox/")).text, re.DOTALL)
    closed = await browser.post(f"/_sandbox/disputes/{dispute['id']}/close", data={"status": "won"})
    assert (closed.status_code, dispute["status"]) == (303, "won")
    answer = await browser.post("/_sandbox/switches", data={"deliver": "off", "double": "true", "lose": "1"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/_sandbox/")
    assert (sandbox.switches.deliver, sandbox.switches.double, sandbox.switches.lose) == ("off", True, 1)
    await browser.post("/_sandbox/switches", data={"deliver": "on"})
    assert (sandbox.switches.deliver, sandbox.switches.double) == ("on", False)
    await browser.post("/_sandbox/faults", data={"kind": "hang", "method": "", "path": "", "times": "1"})
    assert [fault.kind for fault in sandbox.faults] == ["hang"]
