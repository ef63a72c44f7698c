"""The owner's services: what is on offer, what each is, and changing it from the browser.

What the scheduler keeps is changed there, through the port; the rest lies in our database over what widgets.toml says.
`services` has the acts, `overlay` what lies over the file, `form` how a form is read.
"""

from app.operations.services.form import Fault, form_values
from app.operations.services.overlay import in_effect, texts_of
from app.operations.services.services import Saved, Services
from app.operations.services.view import Facts, Line, ServiceView

__all__ = [
    "PROVIDERS",
    "Facts",
    "Fault",
    "Line",
    "Saved",
    "ServiceView",
    "Services",
    "form_values",
    "in_effect",
    "texts_of",
]

from app.scheduling.connect import PROVIDERS
