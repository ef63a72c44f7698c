"""The sandboxes' pages: their templates lie in the folder next to this file."""

from pathlib import Path

from starlette.templating import Jinja2Templates

_TEMPLATES = Path(__file__).with_name("templates")


def page_templates() -> Jinja2Templates:
    """The templates, with filters of their own for each sandbox."""
    return Jinja2Templates(_TEMPLATES)
