"""What the owner does from a terminal, one module for each command; `desk` has the acts on bookings.

The same acts as behind the pages, on the same database, so that they work while a server runs: what the two do at
once is decided by the database. Times are on the place's clock, with its offset. What is printed is for the owner's
own terminal; nothing of it reaches a log.
"""
