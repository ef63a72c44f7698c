"""What time alone does: Sessions expire, holds lapse, refunds that wait come to their end."""

from sandbox.stripe import payments, refunds, sessions
from sandbox.stripe.account import Account


def act(account: Account) -> None:
    """Called before anything is looked at, so nobody can see a state that time has ended."""
    now = account.seconds()
    for session in account.state.unended_sessions.look():
        if session["status"] == "open" and session["expires_at"] <= now:
            sessions.close(account, session)
    for intent in account.state.unended_intents.look():
        if intent["status"] == "requires_capture" and payments.hold_ends_at(account, intent) <= now:
            payments.void(account, intent, "automatic")
    for ident, (due, status) in list(account.state.refunds_due.items()):
        if due <= account.now():
            refunds.settle(account, ident, status)
