"""The sandboxes' pages: their templates are beside `app` in a checkout, inside it where the package is installed."""

from pathlib import Path

from starlette.templating import Jinja2Templates

_APP = Path(__file__).parents[1]
_INSTALLED = _APP / "templates" / "sandbox"


def page_templates() -> Jinja2Templates:
    """The templates, with filters of their own for each sandbox."""
    return Jinja2Templates(_INSTALLED if _INSTALLED.is_dir() else _APP.parent / "templates" / "sandbox")
