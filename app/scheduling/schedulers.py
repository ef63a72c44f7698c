"""The schedulers that this server is connected to, by name."""

from __future__ import annotations

from collections.abc import Mapping

from app.errors import SchedulerNotConnected
from app.scheduling.creates import CreateBudget
from app.scheduling.port import LockKind, Scheduler


class Schedulers(dict[str, Scheduler]):
    """All of them, by the names that widgets use; `creates` has the ration of those that have one."""

    def __init__(self, connected: Mapping[str, Scheduler], creates: Mapping[str, CreateBudget] | None = None) -> None:
        super().__init__(connected)
        self.creates = dict(creates or {})

    def of(self, name: str) -> Scheduler:
        """The scheduler of this name. Raises SchedulerNotConnected: a booking outlives the settings of its time."""
        scheduler = self.get(name)
        if scheduler is None:
            raise SchedulerNotConnected(f"no credentials are set for the scheduler {name!r}").at(name)
        return scheduler

    def lock_binds(self, name: str) -> bool:
        """Whether nobody else can take a time that this scheduler has locked for us."""
        scheduler = self.get(name)
        return scheduler is None or scheduler.traits.lock is LockKind.BINDING
