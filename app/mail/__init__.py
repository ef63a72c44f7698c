"""Mail: what each one says, its HTML and plain-text twins, sending, and calendar entries.

A mail says one fact about a booking in a final state. What a customer typed is not repeated to the customer's address,
except for a plain name in the greeting: anyone may type anyone's address, and ours would carry their words there.

Read `to_customer` and `to_owner` for what is said; `mailer` makes it a message and sends it.
"""

from app.mail.calendars import calendar_file, calendar_links, calendar_method, stated_method
from app.mail.letter import Letter, Mail, MailKind
from app.mail.mailer import Mailer, send_plain, write_letter
from app.mail.phrases import map_link, policy_lines

__all__ = [
    "Letter",
    "Mail",
    "MailKind",
    "Mailer",
    "calendar_file",
    "calendar_links",
    "calendar_method",
    "map_link",
    "policy_lines",
    "send_plain",
    "stated_method",
    "write_letter",
]
