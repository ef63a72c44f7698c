"""The mail server: a conversation up to the point where a mail would follow."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from email.utils import parseaddr
from urllib.parse import urlsplit

import aiosmtplib

from app.mail.mail_server import SMTP_SECONDS, client_of, port_of
from app.operations.setup_check.finding import Finding, fail, ok, warn
from app.settings import Settings
from app.widgets import Widget


async def look_at_mail(settings: Settings, widgets: Mapping[str, Widget]) -> list[Finding]:
    """Whether the server takes mail from us, to the first owner; if not, its reason."""
    if settings.smtp_url is None:
        return [warn("mail", "SMTP_URL is not set", "Set it: without it, emails wait and are not sent.")]
    server = urlsplit(settings.smtp_url.get_secret_value())
    smtp = client_of(server, aiosmtplib.SMTP)
    sender = parseaddr(settings.mail_from)[1]
    owners = [widget.owner_email for widget in widgets.values() if widget.owner_email]
    where = f"{server.hostname}:{port_of(server)}"
    try:
        await smtp.connect()
        await smtp.mail(sender)
        for owner in owners[:1]:
            await smtp.rcpt(owner)
        await smtp.rset()
        await smtp.quit()
    except (aiosmtplib.SMTPException, OSError) as error:
        says, fix = _reason(error)
        return [fail("mail", f"{where} {says}", fix)]
    finally:
        smtp.close()
    return [ok("mail", f"{where} accepts mail from {sender}")]


def _reason(error: Exception) -> tuple[str, str]:
    """What is wrong, and how to fix it. The server's own words are not shown: they may repeat addresses."""
    cause = _root(error)
    match error:
        case aiosmtplib.SMTPAuthenticationError():
            return f"refuses the login ({error.code})", "Correct the user and password in SMTP_URL."
        case aiosmtplib.SMTPSenderRefused():
            return f"refuses the sender ({error.code})", "Set MAIL_FROM to an address it allows."
        case aiosmtplib.SMTPRecipientRefused():
            return f"refuses the owner's address ({error.code})", "Correct `owner_email`."
    match cause:
        case socket.gaierror():
            return "is not a known host name", "Correct the host in SMTP_URL, or this machine's DNS."
        case ConnectionRefusedError():
            return "refuses the connection", "Correct the host and port in SMTP_URL: nothing listens there."
        case ssl.SSLCertVerificationError():
            says = f"has a certificate that is not trusted ({cause.verify_message})"
            return says, "Use the name that the certificate is for, or have the certificate renewed."
        case ssl.SSLError():
            says = "does not speak TLS from the first byte"
            return says, "Use smtp+starttls:// (often port 587), or smtps:// with its own port (often 465)."
        case TimeoutError():
            return f"does not answer within {SMTP_SECONDS} seconds", "Check the port, and this machine's firewall."
    if "AUTH extension" in str(error):
        return "offers no login", "Remove the user and password from SMTP_URL, or use smtp+starttls:// or smtps://."
    if "STARTTLS extension" in str(error):
        return "offers no STARTTLS", "Use smtps:// if it has TLS on another port, smtp:// if it needs none."
    code = getattr(error, "code", None)
    told = f"{type(error).__name__}, {code}" if code else type(error).__name__
    return f"does not answer as a mail server does ({told})", "Check the host, port and scheme in SMTP_URL."


def _root(error: BaseException) -> BaseException:
    """The error that all others came of."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return error
