"""python -m app setup: from nothing to a live widget, by a dozen answers or by a file that has them.

`asking` is how a question is put, `command` the rest; what is asked and done lies in `app.operations.setup`.
"""

from app.cli.setup.command import run_setup

__all__ = ["run_setup"]
