"""Logs name requests and bookings, never people, tokens or keys."""

import pytest

from sandbox.hapio import Fault
from tests.support.browser import Browser
from tests.support.stack import Stack

MARKED = {
    "name": "Zzyzx Markedname",
    "email": "markedmail@customer.example",
    "phone": "+46701234567",
    "notes": "markednote",
}


async def test_a_booking_leaves_no_personal_data_and_no_token_in_the_logs(
    stack: Stack, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    anna = Browser(stack)
    await anna.open(f"/w/studio?service={stack.portrait_id}&name=Zzyzx+Markedname")
    await anna.send('id="hf-hold"', start=anna.starts[0])
    token = anna.page.url.path.split("/")[2]
    await anna.send('action="[^"]*/details"', **MARKED)
    stack.hapio.faults.append(Fault("error_before", times=4))
    stack.mailbox.refuse = "temporary"
    await anna.send('action="[^"]*/pay"')
    back = await stack.stripe.pay(anna.page.headers["location"].rpartition("/")[2])
    await anna.open(back)
    await stack.until_quiet()
    said = "".join(capfd.readouterr()) + caplog.text
    assert "webhook" in said
    for secret in (*MARKED.values(), "Markedname", "markedmail", token, "sk_test_sandbox", "hapio-sandbox-token"):
        assert secret not in said
