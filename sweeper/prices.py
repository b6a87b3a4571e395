"""The table of devices that estimates rest on: how fast they are, and what they cost."""

from __future__ import annotations

import re
from datetime import date as Date
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sweeper import yamlfile
from sweeper.errors import StudyError, suggest

SHIPPED = Path(__file__).parent / "prices.yaml"
CPU = "cpu"

Above0 = Annotated[float, Field(gt=0)]


class Device(BaseModel):
    """A GPU, or a core of a CPU; the units are said in the head of the table."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    names: tuple[str, ...] = Field(min_length=1)
    teraflops: Above0
    bandwidth: Above0
    memory: Above0
    price: float | None = Field(None, ge=0)
    source: str = ""
    date: Date | None = None


class Prices(BaseModel):
    """All devices by their names in the table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    currency: str
    devices: dict[str, Device] = Field(min_length=1)

    @classmethod
    def load(cls, path: Path | None = None) -> Prices:
        """The shipped table, or a person's own.

        Raises:
            StudyError: there is no such file, or something in it is wrong; it says on which line.
        """
        data, marks = yamlfile.load(path or SHIPPED)
        return yamlfile.validate(cls, data, marks)

    def device(self, name: str) -> Device:
        """A device by its name in the table; `StudyError` if there is none of that name."""
        if name not in self.devices:
            raise StudyError(
                f"The price table has no GPU {name!r}.{suggest(name, self.devices)} Take one of "
                "these, or add yours to a copy of the table (`--prices FILE`)."
            )
        return self.devices[name]

    def called(self, name: str) -> tuple[str, Device]:
        """The device that a driver's name means; one without a price if the table has none."""
        fits = {
            len(part): key
            for key, device in self.devices.items()
            for part in device.names
            if re.search(rf"(?<!\w){re.escape(part)}(?!\w)", name, re.IGNORECASE)
        }
        if fits:
            key = fits[max(fits)]
            return key, self.devices[key]
        # How fast it is will be measured: any other's sheet serves to compare its jobs with.
        update = {"names": (name,), "price": None, "source": "", "date": None}
        return name, next(iter(self.devices.values())).model_copy(update=update)
