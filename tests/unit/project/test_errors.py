"""The tree that opens `app/errors` has every error, below the one that it is a kind of, with its status."""

import re

import app.errors
from app.errors import HoldfastError


def drawn() -> dict[str, tuple[str, int | None]]:
    """Each name in the tree, with the name above it and the status next to it."""
    found: dict[str, tuple[str, int | None]] = {}
    above: list[str] = []
    text = (app.errors.__doc__ or "").split("\n\n")[1]
    for line in text.splitlines():
        name, status = re.search(r"(?:── |^ *)(\w+) +(\d{3})?", line), re.search(r"\w+ +(\d{3}) ", line)
        assert name, line
        depth = line.index(name[1]) // 4 - 1
        above = [*above[:depth], name[1]]
        found[name[1]] = (above[-2] if depth else "", int(status[1]) if status else None)
    return found


def kinds(of: type[HoldfastError]) -> list[type[HoldfastError]]:
    return [of, *(one for kind in of.__subclasses__() for one in kinds(kind))]


def test_every_error_stands_in_the_tree_below_its_kind() -> None:
    ours = [kind for kind in kinds(HoldfastError) if kind.__module__.startswith("app.errors")]
    known = {kind.__name__: kind.__bases__[0].__name__ for kind in ours}
    known["HoldfastError"] = ""
    assert {name: above for name, (above, _) in drawn().items()} == known
    assert set(known) | {"SCHEDULER_CODES", "UNREADABLE"} == set(app.errors.__all__)


def test_the_status_in_the_tree_is_the_errors_own() -> None:
    told = {name: status for name, (_, status) in drawn().items() if status}
    # Below a provider's error the number is what the provider answered, which visitors never see.
    told = {name: status for name, status in told.items() if not name.startswith(("Scheduler", "Stripe", "Payment"))}
    assert told == {name: getattr(app.errors, name).status for name in told}
