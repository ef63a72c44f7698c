"""The owner books for someone from the terminal."""

from tests.support.commands import Owner
from tests.support.stack import Stack


async def test_the_owner_books_takes_a_payment_and_keeps_links_from_the_terminal(stack: Stack) -> None:
    owner = Owner(stack)
    start = (await stack.in_days(3)).isoformat()
    book = ("book", "--service", "Portrait session", "--start", start, "--name", "Bo Ek")
    assert await owner.types(*book, "--pays", "at_visit", "--json") == 0
    assert owner.questions == ["Book this?"]
    made = owner.result["booking"]
    assert (made["status"], made["channel"]) == ("confirmed", "desk")
    assert await owner.types("take-payment", made["bookingId"], "--how", "cash", "--amount", "1300") == 1
    assert await owner.types("take-payment", made["bookingId"], "--how", "cash") == 0
    assert await owner.types("take-payment", made["bookingId"], "--how", "cash") == 1
    assert await owner.types("show", made["bookingId"]) == 0
    assert "taken: in cash" in "\n".join(owner.printed)
    assert "by the command line" in "\n".join(owner.printed)

    night = "2026-11-27T03:00"
    late = ("book", "--service", "Portrait session", "--start", night, "--name", "Bo", "--email", "bo@customer.example")
    assert await owner.types(*late, "--yes") == 1
    assert "--anytime" in "\n".join(owner.told)
    person = (await stack.parts.availability.catalogue(stack.parts.widgets["studio"])).services[0].resources[0].name
    link = ("--resource", person, "--anytime", "--pays", "link", "--yes")
    assert await owner.types(*late, *link, "--json") == 0
    waiting = owner.result
    assert waiting["payUrl"].startswith("https://book.example/b/")
    ident = waiting["booking"]["bookingId"]
    assert await owner.types("pay-link", ident, "--again") == 1
    assert await owner.types("pay-link", ident, "--until", "2026-11-26T12:00") == 0
    assert await owner.types("pay-link", ident, "--stop", "--yes", "--json") == 0
    assert owner.result["booking"]["status"] == "expired"
    assert await owner.types("pay-link", ident, "--again") == 1
