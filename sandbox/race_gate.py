"""The gap between a check and the insert that follows it, for providers whose create is not atomic."""

from typing import Final, Protocol

import anyio
import anyio.lowlevel

RACE_CHECKPOINTS: Final = 50


class RaceSwitches(Protocol):
    """What the gate asks of a sandbox's switches."""

    @property
    def race_mode(self) -> str:
        """`atomic`: nothing gets between the check and the insert."""

    @property
    def race_parties(self) -> int:
        """Hold requests after their check until so many have passed it; 0 = only give way to them."""

    @property
    def race_wait_seconds(self) -> int:
        """Give up waiting for the others after this."""


class RaceGate:
    """One gate for each kind of create."""

    def __init__(self) -> None:
        self._waiting = 0
        self._open = anyio.Event()

    async def wait(self, switches: RaceSwitches) -> None:
        """Let other creates pass their own check before this one inserts; returns at once when atomic."""
        if switches.race_mode == "atomic":
            return
        if switches.race_parties == 0:
            for _ in range(RACE_CHECKPOINTS):
                await anyio.lowlevel.checkpoint()
            return
        self._waiting += 1
        gate = self._open
        if self._waiting >= switches.race_parties:
            self._waiting, self._open = 0, anyio.Event()
            gate.set()
            return
        with anyio.move_on_after(switches.race_wait_seconds):
            await gate.wait()
        if gate is self._open:
            self._waiting -= 1
