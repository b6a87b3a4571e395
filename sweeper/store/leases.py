"""Leases: which driver of a store is at which work, so that no other begins it too.

``leases/<address>.<n>`` is created exclusively and says who holds it. That of a driver which
ended or counts as dead (see `sweeper.store.drivers`) is taken over by creating the next number.
Leases save work; that nothing counts twice is the commit markers' business.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from sweeper.errors import StoreError, UnreachableError
from sweeper.store.drivers import Driver, Drivers
from sweeper.store.files import StoreFiles

log = logging.getLogger("sweeper")

_READ_AGAIN = 4
"""Leases of others that are read anew at each look."""


class Leases:
    """The leases of one driver, and what it sees of the others'.

    Args:
        driver: Who takes them.
        drivers: The store's drivers as this process sees them.
    """

    def __init__(self, driver: Driver, drivers: Drivers) -> None:
        self.driver = driver
        self.drivers = drivers
        self.files: StoreFiles = driver.files
        self._held: dict[str, int] = {}  # address -> the number of this driver's lease
        self._owners: dict[str, str] = {}  # names of others' leases -> driver

    def acquire(
        self, address: str, *, job: str, attempt: str = "", reads: Iterable[str] = ()
    ) -> bool:
        """Take the lease of an address; False if a living driver holds it.

        Args:
            address: What is to be worked on.
            job: The key of the job, for people.
            attempt: The attempt, for people.
            reads: Addresses of the checkpoints that the work reads (see `reading`).

        Raises:
            StoreError: the store cannot be written.
        """
        lease = {"driver": self.driver.id, "job": job, "attempt": attempt, "reads": list(reads)}
        if self._create(address, 0, lease):
            return True
        number = max(self._numbers().get(address, [-1]))
        owner = self._owner(f"{address}.{number}") if number >= 0 else ""
        if owner == self.driver.id:  # its release had failed
            self._held[address] = number
            return True
        if owner and self.drivers.alive(owner):
            return False
        # Of several that find its owner dead one creates the next; the others look again later.
        return self._create(address, number + 1, lease)

    def _create(self, address: str, number: int, lease: dict[str, Any]) -> bool:
        made = self.files.create(f"leases/{address}.{number}", lease)
        if made:
            self._held[address] = number
        return made

    def release(self, address: str) -> None:
        """Let go of an address, its work being committed or given up."""
        own = self._held.pop(address, -1)
        try:
            # Its own last: without it the address is free. A higher one is of a driver that took
            # this one for dead.
            for number in range(own + 1):
                self.files.delete(f"leases/{address}.{number}")
        except StoreError as error:  # then it is free when this driver ends
            log.warning("the lease of %s is kept: %s", address, error)

    def tidy(self) -> None:
        """Remove the leases that killed drivers left behind, if no other driver lives."""
        try:
            if not self.others():
                for name in self.files.names("leases"):
                    self.files.delete(f"leases/{name}")
        except StoreError as error:  # they are in nobody's way
            log.warning("the leases of dead drivers are kept: %s", error)

    def free(self, addresses: Mapping[str, str]) -> list[str]:
        """Those keys whose addresses no living driver holds."""
        names = {a: f"{a}.{max(found)}" for a, found in self._numbers().items()}
        # A name that was let go of may have come back with another owner: some are read anew.
        there = set(names.values())
        known = [name for name in self._owners if name in there][_READ_AGAIN:]
        self._owners = {name: self._owners[name] for name in known}
        return [key for key, address in addresses.items() if self._is_free(names.get(address))]

    def _is_free(self, name: str | None) -> bool:
        if name is None:
            return True
        if name not in self._owners:
            self._owners[name] = self._owner(name)
        owner = self._owners[name]
        return not owner or not self.drivers.alive(owner)

    def others(self) -> list[bool]:
        """For each other driver of this store that lives: whether it runs another study."""
        own = (self.driver.study, self.driver.plan)
        living = [s.heartbeat for s in self.drivers.living() if s.driver != self.driver.id]
        return [(said.get("study"), said.get("plan")) != own for said in living]

    def reading(self, address: str) -> bool:
        """Whether another living driver is at work on a checkpoint of this address.

        Asked of the leases only where another study's driver is about: those of one study agree
        on which checkpoints are needed no more.
        """
        if not any(self.others()):
            return False
        for name in self.files.names("leases"):
            lease = self._read(name)
            other = lease.get("driver") not in (None, self.driver.id)
            if other and address in lease["reads"] and self.drivers.alive(lease["driver"]):
                return True
        return False

    def _numbers(self) -> dict[str, list[int]]:
        """Address -> the numbers of its leases."""
        found: dict[str, list[int]] = {}
        for name in self.files.names("leases"):
            address, _, number = name.rpartition(".")
            if number.isdigit():
                found.setdefault(address, []).append(int(number))
        return found

    def _owner(self, name: str) -> str:
        return str(self._read(name).get("driver", ""))

    def _read(self, name: str) -> dict[str, Any]:
        """A lease; empty if it was released meanwhile, or is damaged: then it is nobody's."""
        try:
            return self.files.read(f"leases/{name}")
        except UnreachableError:
            raise
        except StoreError:
            return {}


def held(files: StoreFiles) -> dict[str, dict[str, Any]]:
    """Every lease of a store by its name; one that was let go of meanwhile is left out."""
    names = files.names("leases")
    found = zip(names, files.contents(f"leases/{name}" for name in names), strict=True)
    return {name: json.loads(content) for name, content in found if content}


def holder(files: StoreFiles, address: str) -> dict[str, Any]:
    """The newest lease of an address: ``driver``, ``job``, ``attempt``; empty if there is none."""
    numbers = [
        int(number)
        for name in files.names("leases")
        if (parts := name.rpartition("."))[0] == address and (number := parts[2]).isdigit()
    ]
    return (files.find(f"leases/{address}.{max(numbers)}") or {}) if numbers else {}
