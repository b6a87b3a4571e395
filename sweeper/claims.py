"""Which job makes what: so that neither this driver nor another one makes it a second time."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from sweeper.store.leases import Leases

LOOK_SECONDS = 5.0
"""How often a driver looks at what the others on its store have done."""


@dataclass
class _Claim:
    addresses: set[str]
    lease: str
    parked: list[str] = field(default_factory=list)  # jobs of this driver that wait for its end


class Claims:
    """The jobs that a driver has begun, and those that it leaves to other drivers.

    Args:
        leases: This driver's; None where no other driver is about.

    Attributes:
        elsewhere: Jobs that wait for another driver -> the address whose lease that one holds.
        company: Whether other drivers were alive at the last look.
        strangers: Whether some of them run another study.
        news: Whether others may have committed something since the look before.
    """

    def __init__(self, leases: Leases | None) -> None:
        self.leases = leases
        self.elsewhere: dict[str, str] = {}
        self.company = self.strangers = self.news = False
        self._claims: dict[str, _Claim] = {}
        self._flying: dict[str, str] = {}  # address of a unit or a lease -> the job that has it
        self._looked: float | None = None

    def stake(
        self, key: str, units: Collection[str], lease: str, *,
        attempt: str = "", reads: Iterable[str] = (),
    ) -> bool:  # fmt: skip
        """Whether a job is this driver's to do now; else it waits for the one that does it.

        Args:
            key: The job.
            units: The addresses that it makes.
            lease: The address that it takes a lease on.
            attempt: The attempt that makes them.
            reads: Addresses of the checkpoints that it reads.
        """
        addresses = {*units, lease}
        other = next((self._flying[a] for a in addresses if a in self._flying), None)
        if other is not None:
            self._claims[other].parked.append(key)
            return False
        if self.leases and not self.leases.acquire(lease, job=key, attempt=attempt, reads=reads):
            self.elsewhere[key] = lease
            return False
        self._flying.update(dict.fromkeys(addresses, key))
        self._claims[key] = _Claim(addresses, lease)
        return True

    def land(self, key: str) -> list[str]:
        """End a job's claim or its waiting, if any; returns the jobs that waited for it."""
        self.elsewhere.pop(key, None)
        claim = self._claims.pop(key, None)
        if claim is None:
            return []
        for address in claim.addresses:
            del self._flying[address]
        if self.leases:
            self.leases.release(claim.lease)
        return claim.parked

    def look(self) -> bool:
        """Look who else is there, now and then; whether this was such a time."""
        if self.leases is None:
            return False
        now = self.leases.drivers.clock()
        if self._looked is not None and now - self._looked < LOOK_SECONDS:
            return False
        self._looked = now
        others = self.leases.others()
        self.news = bool(others) or self.company
        self.company, self.strangers = bool(others), any(others)
        return True

    def freed(self) -> list[str]:
        """The jobs that waited for another driver which has let go of them, or died."""
        if not (self.leases and self.elsewhere):
            return []
        return self.leases.free(self.elsewhere)

    def in_use(self, address: str) -> bool:
        """Whether another study's driver is at work on a checkpoint of this address."""
        return self.leases is not None and self.leases.reading(address)
