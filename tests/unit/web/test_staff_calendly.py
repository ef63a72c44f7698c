"""The page where owners connect their Calendly accounts: who may, what comes of it, and what is said when it fails."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from sandbox.calendly import Fault
from tests.support.browser import Browser
from tests.support.calendly_owners import BACK, Owners, agree, open_owners, open_page
from tests.support.stack import Stack
from tests.support.staff import EVA, sign_in

ADDRESS = "https://book.example/api/webhooks/calendly"
NOTHING_CONNECTED = "nora Takes the bookings of: Nora's advice Not connected yet Connect omar"


@pytest.fixture
async def owners(tmp_path: Path) -> AsyncIterator[Owners]:
    """Nora and Omar, who have not connected yet."""
    async with open_owners(tmp_path) as owners:
        yield owners


@pytest.fixture
async def eva(owners: Owners) -> Browser:
    """Eva, who looks at the page."""
    eva = Browser(owners.stack)
    assert NOTHING_CONNECTED in unescape(await open_page(owners.stack, eva))
    return eva


async def reload(eva: Browser) -> str:
    return unescape(await eva.open(eva.page.url.path))


async def test_nora_connects_her_account(owners: Owners, eva: Browser) -> None:
    said = await owners.connect(eva, "nora", owners.nora)
    assert "Calendly is connected" in said
    assert "The account of Nora Whitfield is connected as “nora”." in said
    page = await reload(eva)
    assert "Connected with the account of Nora Whitfield since Mon 23 Nov Connect again" in page
    assert "omar Takes the bookings of: Omar's salon Not connected yet" in page


async def test_the_page_has_no_script_and_its_way_back_opens_no_staff_page(owners: Owners, eva: Browser) -> None:
    assert "<script" not in eva.page.text
    assert "script-src" not in eva.page.headers["content-security-policy"]
    assert re.search(r'<a class="button main" href="[^"]+/connect" target="_blank" rel="noopener"', eva.page.text)
    back = await owners.agree(eva, "nora", owners.nora)
    assert back.startswith(f"{BACK}?")
    tab = Browser(owners.stack)
    await tab.open(back)
    assert tab.page.status_code == 200
    assert not re.search(r'href="/staff/[^"]|action=', tab.page.text), "Calendly has seen this address"
    assert "set-cookie" not in tab.page.headers


async def test_calendly_is_asked_to_tell_of_changes_once_for_each_account(owners: Owners, eva: Browser) -> None:
    for _ in range(2):
        await owners.connect(eva, "nora", owners.nora)
        owners.stack.clock.advance(timedelta(minutes=1))
    there = owners.calendly.state.subscriptions.values()
    assert [(one.endpoint.url, one.user) for one in there] == [(ADDRESS, owners.nora)]


async def test_without_webhooks_an_account_is_connected_anyway(owners: Owners, eva: Browser) -> None:
    owners.calendly.faults.append(Fault("refuse", path="/webhook_subscriptions", status=403))
    assert "could not be asked to tell us of changes" in await owners.connect(eva, "nora", owners.nora)
    assert "Connected with the account of Nora Whitfield" in await reload(eva)


async def test_the_logs_hold_no_token_no_code_and_no_state(
    owners: Owners, eva: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    back = await owners.agree(eva, "nora", owners.nora)
    await Browser(owners.stack).open(back)
    owners.stack.clock.advance(timedelta(hours=3))
    await Browser(owners.stack).open("/w/studio")
    owners.calendly.state.refresh_tokens.clear()
    owners.stack.clock.advance(timedelta(hours=3))
    await Browser(owners.stack).open("/w/studio")
    logged, state = "".join(capsys.readouterr()), owners.calendly.state
    assert "scheduler connected" in logged
    assert "connection broken" in logged
    query = dict(parse_qsl(urlsplit(back).query))
    rows = await owners.stack.parts.store.all_scheduler_tokens()
    secrets = [
        *state.tokens,
        query["code"],
        query["state"],
        *(sealed for one in rows for sealed in (one.access, one.refresh)),
    ]
    assert len(secrets) > 5
    assert not [secret for secret in secrets if secret in logged]


# Who may


async def test_a_made_up_state_is_refused(owners: Owners, eva: Browser) -> None:
    back = await owners.agree(eva, "nora", owners.nora)
    query = dict(parse_qsl(urlsplit(back).query))
    for state in ("", "forged", query["state"][:-5], query["state"].swapcase()):
        tab = Browser(owners.stack)
        said = await tab.open(f"{BACK}?{urlencode({**query, 'state': state})}")
        assert "This link was not made by this server" in said
        assert tab.page.status_code == 403
    assert NOTHING_CONNECTED in await reload(eva)


async def test_what_another_member_began_ends_when_they_sign_out(tmp_path: Path) -> None:
    async with open_owners(tmp_path, staff_emails="eva@studio.example,max@studio.example") as owners:
        eva, max_ = Browser(owners.stack), Browser(owners.stack)
        await open_page(owners.stack, eva)
        await open_page(owners.stack, max_)
        back = await owners.agree(max_, "nora", owners.nora)
        await max_.send('action="[^"]+/sign-out"')
        said = await eva.open(back)
        assert "You have signed out in the meantime. Nothing was changed." in said
        assert NOTHING_CONNECTED in unescape(await open_page(owners.stack, eva))


async def test_nobody_connects_without_signing_in(owners: Owners) -> None:
    stranger = Browser(owners.stack)
    for path in ("/staff/forged/calendly", "/staff/forged/calendly/nora/connect"):
        assert "This link does not work" in await stranger.open(path)


async def test_a_name_that_no_widget_has_cannot_be_connected(owners: Owners, eva: Browser) -> None:
    await eva.open(f"{eva.page.url.path}/mallory/connect")
    assert eva.page.status_code == 404


async def test_without_an_app_there_is_no_such_page(stack: Stack) -> None:
    assert (await stack.client.get("/staff/calendly/callback")).status_code == 404


# What goes wrong


async def test_an_owner_who_does_not_agree_is_not_connected(owners: Owners, eva: Browser) -> None:
    said = await owners.connect(eva, "nora", owners.nora, decision="deny")
    assert "Access was not allowed on Calendly's page. Nothing was changed." in unescape(said)
    assert NOTHING_CONNECTED in await reload(eva)


async def test_ten_minutes_later_it_is_too_late_even_with_a_fresh_code(owners: Owners, eva: Browser) -> None:
    link = re.findall(r'href="([^"]+/nora/connect)"', eva.page.text)[0]
    consent = (await owners.stack.client.get(link)).headers["location"]
    owners.stack.clock.advance(timedelta(minutes=10))
    back = await agree(owners.calendly, consent, user=owners.nora)
    assert "This took longer than ten minutes" in await Browser(owners.stack).open(back)
    assert NOTHING_CONNECTED in await reload(eva)


async def test_the_way_back_works_once(owners: Owners, eva: Browser) -> None:
    back = await owners.agree(eva, "nora", owners.nora)
    owners.stack.clock.advance(timedelta(seconds=5))
    await Browser(owners.stack).open(back)
    assert "Calendly no longer accepts the answer" in await Browser(owners.stack).open(back)


async def test_a_state_is_used_once_even_with_a_fresh_code(owners: Owners, eva: Browser) -> None:
    link = re.findall(r'href="([^"]+/nora/connect)"', eva.page.text)[0]
    consent = (await owners.stack.client.get(link)).headers["location"]
    owners.stack.clock.advance(timedelta(seconds=5))
    for said in ("Calendly is connected", "This link has been used before."):
        back = await agree(owners.calendly, consent, user=owners.nora)
        assert said in await Browser(owners.stack).open(back)


async def test_one_account_under_two_names_is_refused(owners: Owners, eva: Browser) -> None:
    await owners.connect(eva, "nora", owners.nora)
    said = await owners.connect(eva, "omar", owners.nora)
    assert "The Calendly account of Nora Whitfield is already connected under another name." in said
    assert "Omar's salon Not connected yet" in await reload(eva)


async def test_another_account_does_not_take_a_names_place(owners: Owners, eva: Browser) -> None:
    await owners.connect(eva, "nora", owners.nora)
    owners.stack.clock.advance(timedelta(minutes=1))
    said = await owners.connect(eva, "nora", owners.omar)
    assert "Another Calendly account is connected as “nora”, not that of Omar Diaz." in said
    assert "Connected with the account of Nora Whitfield" in await reload(eva)


async def test_an_app_without_the_scope_is_told_in_words(owners: Owners, eva: Browser) -> None:
    owners.calendly.switches.token = "scope_missing"
    assert "lacks the scope “users:read”" in await owners.connect(eva, "nora", owners.nora)


async def test_calendly_that_fails_is_told_in_words(owners: Owners, eva: Browser) -> None:
    owners.calendly.faults.append(Fault("error_before", path="/oauth/token"))
    assert "Calendly did not answer as it should." in await owners.connect(eva, "nora", owners.nora)


# The end of a connection


async def test_a_connection_that_ends_is_told_once_by_mail_and_on_the_page(owners: Owners, eva: Browser) -> None:
    stack = owners.stack
    for owner, user in (("nora", owners.nora), ("omar", owners.omar)):
        await owners.connect(eva, owner, user)
    owners.calendly.state.refresh_tokens.clear()
    for _ in range(2):
        stack.clock.advance(timedelta(hours=3))
        for widget in ("studio", "salon"):
            assert "The calendar cannot be reached right now." in await Browser(stack).open(f"/w/{widget}")
        await stack.tick(times=3)
    mails = {message.recipients[0]: message for message in stack.mailbox.messages if EVA not in message.recipients}
    assert len(stack.mailbox.messages) == 3, "Eva's link to sign in, and one to each owner"
    assert sorted(mails) == ["nora@studio.example", "omar@salon.example"]
    text = mails["nora@studio.example"].text or ""
    assert "We can no longer reach the Calendly account of Nora Whitfield" in text
    assert "https://book.example/staff" in text

    page = unescape(await open_page(stack, eva))
    assert page.count("has to be connected again") == 2
    assert "Calendly is connected" in await owners.connect(eva, "nora", owners.nora)
    assert (await reload(eva)).count("has to be connected again") == 1


async def test_a_mail_about_it_that_does_not_go_out_is_sent_later(owners: Owners, eva: Browser) -> None:
    stack = owners.stack
    await owners.connect(eva, "nora", owners.nora)
    owners.calendly.state.refresh_tokens.clear()
    stack.mailbox.messages.clear()
    stack.mailbox.refuse = "temporary"
    stack.clock.advance(timedelta(hours=3))
    await Browser(stack).open("/w/studio")
    await stack.tick(times=3)
    assert stack.mailbox.messages == []
    stack.mailbox.refuse = "none"
    await stack.tick(after=timedelta(minutes=10), times=2)
    assert [message.recipients for message in stack.mailbox.messages] == [("nora@studio.example",)]


async def test_a_mail_server_that_never_says_so_does_not_bring_it_every_ten_minutes(
    owners: Owners, eva: Browser
) -> None:
    stack = owners.stack
    await owners.connect(eva, "nora", owners.nora)
    owners.calendly.state.refresh_tokens.clear()
    stack.mailbox.messages.clear()
    stack.mailbox.drop_after_data = True
    stack.clock.advance(timedelta(hours=3))
    await Browser(stack).open("/w/studio")
    for _ in range(12):
        await stack.tick(after=timedelta(minutes=10))
    assert [message.recipients for message in stack.mailbox.messages] == [("nora@studio.example",)] * 3


async def test_eva_disconnects_an_account(owners: Owners, eva: Browser) -> None:
    await owners.connect(eva, "nora", owners.nora)
    await reload(eva)
    said = await eva.send('action="[^"]+/nora/disconnect"')
    assert NOTHING_CONNECTED in unescape(said)
    assert owners.calendly.state.subscriptions == {}
    assert "Calendly is connected" in await owners.connect(eva, "omar", owners.nora)


async def test_an_account_whose_widget_is_gone_stays_reachable_and_can_be_disconnected(
    owners: Owners, eva: Browser, tmp_path: Path
) -> None:
    await owners.connect(eva, "omar", owners.omar)
    widgets = tmp_path / "widgets.toml"
    widgets.write_text(widgets.read_text().partition("[salon]")[0])
    await owners.stack.restart()
    assert owners.stack.parts.availability.rest("calendly:omar", 1)
    page = unescape(await open_page(owners.stack, eva))
    assert "omar No widget uses this account any more. Connected with the account of Omar Diaz" in page
    assert "omar" not in unescape(await eva.send('action="[^"]+/omar/disconnect"'))


async def test_the_page_is_one_of_the_staff_pages(owners: Owners) -> None:
    eva = Browser(owners.stack)
    home = await sign_in(owners.stack, eva)
    assert f'href="{home}/calendly">Calendly</a>' in eva.page.text
