"""What every error has."""

from __future__ import annotations

from typing import ClassVar, Final

from app.msgid import N_

#: What reading raises that takes the shape of another program's answer for granted: of pydantic's readers, and of what
#: is calculated with their values, such as a length of a million years.
UNREADABLE: Final = (ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError)


class HoldfastError(Exception):
    """Something went wrong on our side."""

    status: ClassVar[int] = 500
    #: The class's, except where one scheduler's error has another than the next one's.
    code: str = "INTERNAL_ERROR"
    sentence: ClassVar[str] = N_("Something went wrong on our side. Nothing was charged.")
    retry: ClassVar[bool] = True
