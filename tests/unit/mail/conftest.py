"""What the tests of mails share."""

from collections.abc import AsyncIterator

import pytest

from sandbox.mailbox import MailboxSandbox
from tests.support.examples import NOW
from tests.support.mails import Post, a_mailer


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    mailbox = MailboxSandbox(now=lambda: NOW)
    port = await mailbox.start_smtp()
    yield Post(a_mailer(f"smtp://127.0.0.1:{port}"), mailbox, port)
    await mailbox.stop_smtp()
