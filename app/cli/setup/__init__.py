"""python -m app setup: from nothing to a live widget, by a dozen answers or by a file that has them.

`questions` are what is asked, `asking` how, and `command` is the rest.
"""

from app.cli.setup.command import add_setup, run_setup

__all__ = ["add_setup", "run_setup"]
