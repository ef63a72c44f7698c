"""The database: it cannot be read or written now, or no process can start on it."""

from __future__ import annotations

from typing import ClassVar

from app.errors.base import HoldfastError
from app.msgid import N_


class StorageError(HoldfastError):
    """The database cannot be read or written right now. `retry_after` in seconds; `state` is one word or two for
    those who run the server."""

    status = 503
    sentence = N_("Our booking system cannot save anything right now. Nothing was charged.")
    retry_after: ClassVar[int] = 60
    state: ClassVar[str] = "down"


class StorageBusy(StorageError):
    """Someone else has been writing for longer than we wait."""

    sentence = N_("Our booking system is busy and could not save this step. Nothing was charged.")
    retry_after = 5
    state = "busy"


class StorageFull(StorageError):
    """No space is left on the disk."""

    state = "full"


class StorageReadOnly(StorageError):
    """The database file, or the disk that it lies on, may not be written."""

    state = "read only"


class DatabaseUnusable(HoldfastError):
    """The file that DATABASE_URL names is missing, damaged, not writable, or of another version. The text is for the
    operator: it names the file, and `fix` says what to do."""

    retry = False

    def __init__(self, says: str, fix: str) -> None:
        super().__init__(f"{says} {fix}")
        self.says = says
        self.fix = fix


class DatabaseBusy(DatabaseUnusable):
    """Another process is writing to the database, or the disk is full: the same start may work later."""

    status = 503
    retry = True
