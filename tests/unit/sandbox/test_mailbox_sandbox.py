"""The mailbox of the demo: real SMTP in, pages and JSON out."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.message import EmailMessage

import aiosmtplib
import httpx
import pytest

from sandbox.mailbox import MailboxSandbox

CALENDAR = "BEGIN:VCALENDAR\r\nSUMMARY:Porträtt\r\nEND:VCALENDAR\r\n"


def confirmation() -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Studio Nord <post@studio-nord.example>"
    message["To"] = "Åsa Öberg <asa@example.org>"
    message["Subject"] = "Confirmed: Portrait session · Tue 24 Nov, 10:00 – for Åsa"
    message["Message-ID"] = "<confirmed-1@studio-nord.example>"
    message.set_content("Your time is confirmed.\n")
    message.add_alternative(
        '<html><head><title>x</title></head><body><a href="http://127.0.0.1/m">Manage</a></body></html>',
        subtype="html",
    )
    message.add_attachment(CALENDAR, subtype="calendar", filename="portrait session.ics")
    return message


@pytest.fixture
async def mailbox() -> AsyncIterator[MailboxSandbox]:
    sandbox = MailboxSandbox(now=lambda: datetime(2026, 11, 21, 9, 30, tzinfo=UTC))
    yield sandbox
    await sandbox.stop_smtp()


@pytest.fixture
async def port(mailbox: MailboxSandbox) -> int:
    return await mailbox.start_smtp()


@pytest.fixture
async def browser(mailbox: MailboxSandbox) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(mailbox.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://mailbox.localhost") as client:
        yield client


async def send(port: int, message: EmailMessage | None = None) -> None:
    await aiosmtplib.send(message or confirmation(), hostname="127.0.0.1", port=port, timeout=10)


async def test_a_message_sent_over_smtp_is_listed_with_its_bodies_and_its_calendar_file(
    port: int, browser: httpx.AsyncClient
) -> None:
    await send(port)
    (message,) = (await browser.get("/_sandbox/messages")).json()
    assert message["from"] == "Studio Nord <post@studio-nord.example>"
    assert message["to"] == "Åsa Öberg <asa@example.org>"
    assert message["recipients"] == ["asa@example.org"]
    assert message["subject"] == "Confirmed: Portrait session · Tue 24 Nov, 10:00 – for Åsa"
    assert message["message_id"] == "<confirmed-1@studio-nord.example>"
    assert message["received_at"] == "2026-11-21T09:30:00+00:00"
    assert message["text"] == "Your time is confirmed.\n"
    assert "Manage</a>" in message["html"]
    (attached,) = message["attachments"]
    assert (attached["filename"], attached["content_type"]) == ("portrait session.ics", "text/calendar")
    assert "SUMMARY:Porträtt" in attached["text"]


async def test_the_newest_message_stands_first_and_opens(port: int, browser: httpx.AsyncClient) -> None:
    await send(port)
    later = confirmation()
    later.replace_header("Subject", "Cancelled: <Portrait session>")
    await send(port, later)
    page = (await browser.get("/")).text
    assert page.index("Cancelled: &lt;Portrait session&gt;") < page.index("Confirmed: Portrait session")
    opened = (await browser.get("/messages/2")).text
    assert "Cancelled: &lt;Portrait session&gt;" in opened
    assert "portrait session.ics" in opened
    assert "Your time is confirmed." in opened


async def test_the_list_looks_again_by_itself_until_it_is_told_to_stop(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/")).headers["refresh"] == "5"
    assert "refresh" not in (await browser.get("/?live=off")).headers


async def test_the_rich_body_runs_no_script_and_opens_its_links_outside_the_frame(
    port: int, browser: httpx.AsyncClient
) -> None:
    await send(port)
    body = await browser.get("/messages/1/html")
    policy = body.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-popups allow-popups-to-escape-sandbox;")
    assert "allow-scripts" not in policy
    assert "default-src 'none'" in policy
    assert '<head><base target="_blank">' in body.text


async def test_an_attachment_downloads_under_its_name(port: int, browser: httpx.AsyncClient) -> None:
    await send(port)
    file = await browser.get("/messages/1/attachments/1")
    assert file.headers["content-disposition"] == 'attachment; filename="portrait session.ics"'
    assert file.headers["content-type"].startswith("text/calendar")
    assert "SUMMARY:Porträtt" in file.text


async def test_the_source_is_shown_as_it_came(mailbox: MailboxSandbox, port: int, browser: httpx.AsyncClient) -> None:
    await send(port)
    source = await browser.get("/messages/1/source")
    assert source.headers["content-type"].startswith("text/plain")
    assert source.content == mailbox.messages[0].source
    assert b"Message-ID: <confirmed-1@studio-nord.example>" in source.content


@pytest.mark.parametrize("path", ["/messages/0", "/messages/1", "/messages/1/html", "/messages/1/attachments/1"])
async def test_what_is_not_there_is_not_found(browser: httpx.AsyncClient, path: str) -> None:
    assert (await browser.get(path)).status_code == 404


@pytest.mark.parametrize(("refuse", "code"), [("temporary", 451), ("permanent", 550)])
async def test_switched_so_it_refuses_mail_for_now_or_permanently(
    mailbox: MailboxSandbox, port: int, browser: httpx.AsyncClient, refuse: str, code: int
) -> None:
    await browser.patch("/_sandbox/switches", json={"refuse": refuse})
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
        await send(port)
    assert [one.code for one in refused.value.recipients] == [code]
    assert mailbox.messages == []


async def test_it_can_keep_a_message_and_lose_the_answer(
    mailbox: MailboxSandbox, port: int, browser: httpx.AsyncClient
) -> None:
    await browser.patch("/_sandbox/switches", json={"drop_after_data": True})
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await send(port)
    assert len(mailbox.messages) == 1


async def test_a_reset_empties_it_and_takes_the_switches_back(
    mailbox: MailboxSandbox, port: int, browser: httpx.AsyncClient
) -> None:
    await send(port)
    await browser.post("/switches", data={"refuse": "permanent", "drop_after_data": "on"})
    assert (mailbox.refuse, mailbox.drop_after_data) == ("permanent", True)
    await browser.post("/_sandbox/reset")
    assert (await browser.get("/_sandbox/messages")).json() == []
    await send(port)
    assert len(mailbox.messages) == 1


@pytest.mark.parametrize("switches", [{"refuse": "maybe"}, {"drop_after_data": "yes"}, {"lose": True}, []])
async def test_a_switch_it_does_not_have_is_refused(browser: httpx.AsyncClient, switches: object) -> None:
    assert (await browser.patch("/_sandbox/switches", json=switches)).status_code == 422


async def test_stopping_cuts_the_connections_that_are_still_open(mailbox: MailboxSandbox, port: int) -> None:
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, timeout=10)
    await client.connect()
    await mailbox.stop_smtp()
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await client.noop()
    with pytest.raises(aiosmtplib.SMTPConnectError):
        await aiosmtplib.SMTP(hostname="127.0.0.1", port=port, timeout=10).connect()


async def test_the_time_of_a_message_can_be_read_by_machines() -> None:
    """HTML takes at most three digits of a second in `<time datetime>`."""
    mailbox = MailboxSandbox(now=lambda: datetime(2026, 11, 21, 9, 30, 1, 123456, tzinfo=UTC))
    await send(await mailbox.start_smtp())
    transport = httpx.ASGITransport(mailbox.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://mailbox.localhost") as browser:
        pages = [(await browser.get("/")).text]
        [path] = set(re.findall(r'href="(/[^"?]*\w[^"?]*)"', pages[0]))
        pages.append((await browser.get(path)).text)
    await mailbox.stop_smtp()
    for page in pages:
        assert re.findall(r'<time[^>]* datetime="([^"]*)"', page) == ["2026-11-21T09:30:01+00:00"]
