"""python -m app bookings …: what the owner does from a terminal, each change with its money told first.

The same acts as behind the pages, on the same database, so that it works beside a running server: what the two do at
once is decided by the database. Times are on the place's clock, with its offset. What is printed is for the owner's
own terminal; nothing of it reaches a log. Read `desk`.
"""

from app.commands.arguments import add_bookings
from app.commands.desk import run, serve
from app.commands.terminal import Terminal

__all__ = ["Terminal", "add_bookings", "run", "serve"]
