"""Sending over SMTP: what is tried again, and what is given up."""

import asyncio
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from structlog.testing import capture_logs

from app.errors import MailError
from tests.support.mails import (
    Post,
    a_mail,
    a_mailer,
)


async def test_a_server_that_refuses_for_now_is_asked_again(post: Post) -> None:
    post.mailbox.refuse = "temporary"
    with pytest.raises(MailError) as error:
        await post.mailer.send(a_mail())
    assert not error.value.permanent
    assert "ada" not in str(error.value)


async def test_a_recipient_refused_permanently_is_given_up(post: Post) -> None:
    post.mailbox.refuse = "permanent"
    with pytest.raises(MailError) as error:
        await post.mailer.send(a_mail())
    assert error.value.permanent
    assert "ada" not in str(error.value)


@dataclass
class Refusing:
    """A mail server that answers each recipient, or each message, with one line."""

    recipient: str = "250 2.1.5 Recipient ok"
    message: str = "250 2.0.0 Kept"

    async def handle_RCPT(  # noqa: N802  (aiosmtpd finds its hooks by this name)
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.recipient

    async def handle_DATA(self, _server: Any, _session: Any, _envelope: Any) -> str:  # noqa: N802
        return self.message


async def refusal_of(server: Refusing) -> MailError:
    """What becomes of a mail that this server gets."""
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: SMTP(server, enable_SMTPUTF8=True, loop=loop), "127.0.0.1")
    try:
        with pytest.raises(MailError) as error:
            await a_mailer(f"smtp://127.0.0.1:{listening.sockets[0].getsockname()[1]}").send(a_mail())
    finally:
        listening.close()
    return error.value


@pytest.mark.parametrize(
    ("answer", "for_good"),
    [
        ("550 5.1.1 No such user ada@example.test", True),
        ("550 No such user", True),
        ("553 5.1.3 Bad address", True),
        ("554 5.7.1 Refused by policy", True),
        ("552 Mailbox full", False),
        ("552 5.2.2 Over quota", False),
        ("554 5.2.2 Mailbox full", False),
        ("550 5.2.2 Mailbox full", False),
        ("554 5.3.1 Mail system full", False),
        ("550 4.2.2 Over quota", False),
        ("452 4.2.2 Over quota", False),
        ("552 5.3.4 Message too big", True),
    ],
)
async def test_only_what_lasts_is_given_up_at_once(answer: str, for_good: bool) -> None:
    for server in (Refusing(recipient=answer), Refusing(message=answer)):
        error = await refusal_of(server)
        assert error.permanent is for_good
        assert answer.split()[0] in error.reason
        assert "ada" not in error.reason


async def test_a_refused_mail_says_which_server_refused_what_and_with_which_code() -> None:
    error = await refusal_of(Refusing(recipient="550 5.1.1 No such user ada@example.test"))
    assert re.fullmatch(r"127\.0\.0\.1:\d+: recipient refused, 550 5\.1\.1", error.reason)
    error = await refusal_of(Refusing(message="554 Go away"))
    assert error.reason.endswith(": message refused, 554")


async def test_a_mail_that_reached_no_server_says_why(post: Post) -> None:
    async def reason(smtp_url: str) -> str:
        with pytest.raises(MailError) as error:
            await a_mailer(smtp_url).send(a_mail())
        assert not error.value.permanent
        return error.value.reason

    here = f"127.0.0.1:{post.port}"
    assert await reason(f"smtp+starttls://{here}") == f"{here}: STARTTLS not offered"
    assert await reason(f"smtp://user:secret@{here}") == f"{here}: login not offered"
    assert (await reason(f"smtps://{here}")).startswith(f"{here}: no TLS, ")
    assert await reason("smtp://mail.invalid:25") == "mail.invalid:25: no such host"
    await post.mailbox.stop_smtp()
    assert await reason(f"smtp://{here}") == f"{here}: no answer, ConnectionRefusedError"


async def test_a_login_that_is_refused_says_so_without_the_password() -> None:
    loop = asyncio.get_running_loop()

    def refuse(_server: object, _session: object, _envelope: object, _mechanism: str, _login: object) -> AuthResult:
        return AuthResult(success=False, handled=False)

    server = await loop.create_server(
        lambda: SMTP(Sink(), authenticator=refuse, auth_require_tls=False, loop=loop), "127.0.0.1"
    )
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(MailError) as error:
        await a_mailer(f"smtp://user:secret@127.0.0.1:{port}").send(a_mail())
    server.close()
    assert error.value.reason == f"127.0.0.1:{port}: login refused, 535 5.7.8"
    assert not error.value.permanent


async def test_a_certificate_that_nobody_vouches_for_is_told_as_such() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).parent / "self_signed.pem")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Sink(), loop=loop), "127.0.0.1", ssl=context)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(MailError) as error:
        await a_mailer(f"smtps://127.0.0.1:{port}").send(a_mail())
    server.close()
    assert error.value.reason == f"127.0.0.1:{port}: certificate not accepted, self-signed certificate"


async def test_a_server_that_is_not_there_is_asked_again(post: Post) -> None:
    await post.mailbox.stop_smtp()
    with pytest.raises(MailError) as error:
        await post.mailer.send(a_mail())
    assert not error.value.permanent


async def test_a_login_the_server_does_not_know_is_for_the_operator_to_mend(post: Post) -> None:
    with pytest.raises(MailError) as error:
        await a_mailer(f"smtp://user:secret@127.0.0.1:{post.port}").send(a_mail())
    assert not error.value.permanent
    assert "secret" not in str(error.value)


async def test_the_login_in_the_address_is_decoded_and_given() -> None:
    given: list[tuple[bytes, bytes]] = []

    def know(_server: object, _session: object, _envelope: object, _mechanism: str, login: LoginPassword) -> AuthResult:
        given.append((login.login, login.password))
        return AuthResult(success=True)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Sink(), authenticator=know, auth_require_tls=False, loop=loop), "127.0.0.1"
    )
    port = server.sockets[0].getsockname()[1]
    await a_mailer(f"smtp://b%40x:p%2Fw%3A%25@127.0.0.1:{port}").send(a_mail())
    server.close()
    assert given == [(b"b@x", b"p/w:%")]


async def test_encryption_that_the_server_lacks_is_not_gone_without(post: Post) -> None:
    for scheme in ("smtps", "smtp+starttls"):
        with pytest.raises(MailError):
            await a_mailer(f"{scheme}://127.0.0.1:{post.port}").send(a_mail())
    assert post.mailbox.messages == []


async def test_without_a_mail_server_mail_is_off_and_says_so_once() -> None:
    with capture_logs() as logs:
        mailer = a_mailer(None)
        assert not mailer.enabled
        with pytest.raises(MailError) as error:
            await mailer.send(a_mail())
    assert not error.value.permanent
    assert [entry["event"] for entry in logs] == ["mail_is_off"]
