"""What is wrong with a set-up, found by asking everything that it names, and how to fix it.

Nothing is changed at a provider: what the keys may write is asked with requests that cannot succeed. The texts name
settings and ids, never a secret's value. A look costs some thirty of the scheduler's calls, which count as the server's
do.
"""

from app.operations.setup_check.finding import Finding, Level, next_step, worst
from app.operations.setup_check.look import Doctor, Wires

__all__ = ["Doctor", "Finding", "Level", "Wires", "next_step", "worst"]
