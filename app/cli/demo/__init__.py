"""python -m app demo: the product with everything around it in sandboxes, each on a loopback port of its own.

Nothing leaves the machine, and nothing is kept. `demo` starts it all; `schedulers` has who works where, and `widgets`
what they sell.
"""

from app.cli.demo.demo import OWNER, Demo, open_demo, run_demo
from app.cli.demo.schedulers import HAPIO_TOKEN
from app.cli.demo.widgets import STUDIO, WIDGETS

__all__ = ["HAPIO_TOKEN", "OWNER", "STUDIO", "WIDGETS", "Demo", "open_demo", "run_demo"]
