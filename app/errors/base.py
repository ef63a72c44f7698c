"""What every error has."""

from __future__ import annotations

from typing import ClassVar

from app.msgid import N_


class HoldfastError(Exception):
    """Something went wrong on our side."""

    status: ClassVar[int] = 500
    #: The class's, except where one scheduler's error has another than the next one's.
    code: str = "INTERNAL_ERROR"
    sentence: ClassVar[str] = N_("Something went wrong on our side. Nothing was charged.")
    retry: ClassVar[bool] = True
