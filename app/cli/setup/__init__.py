"""python -m app setup: from nothing to a live widget, by a dozen answers or by a file that has them.

`asking` is how a question is put, `command` the rest; what is asked and done lies in `app.operations.setup`.
"""

from app.cli.setup.command import add_setup, run_setup

__all__ = ["add_setup", "run_setup"]
