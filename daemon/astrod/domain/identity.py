"""What things are called, for ever: nights and exposures.

A night is the date of the preceding local noon, where local means the site's longitude (mean solar time), so
it never changes with summer time. An exposure id is `SITE-YYYYMMDD-NNNNN`; it is the frame's id, in its header
and in its file name, and it sorts.
"""

import re
from dataclasses import dataclass
from datetime import date, timedelta

from astrod.domain.instant import DAY_US, HOUR_US, from_datetime, to_datetime

SITE_NAME = re.compile(r"^[a-z][a-z0-9_]{0,31}$")
_EXPOSURE_ID = re.compile(r"^([a-z][a-z0-9_]{0,31})-(\d{8})-(\d{5})$")


@dataclass(frozen=True, slots=True, order=True)
class Night:
    """A night at a site, by the date of the local noon before it."""

    date: date

    def __str__(self) -> str:
        return self.date.isoformat()

    @classmethod
    def parse(cls, text: str) -> "Night":
        """From `2026-12-14`. Raises ValueError."""
        return cls(date.fromisoformat(text))

    @property
    def next(self) -> "Night":
        return Night(self.date + timedelta(days=1))


def _solar_shift_us(longitude_deg: float) -> int:
    return round(longitude_deg / 15.0 * HOUR_US)


def night_of(instant_us: int, longitude_deg: float) -> Night:
    """The night that an instant belongs to."""
    return Night(to_datetime(instant_us + _solar_shift_us(longitude_deg) - DAY_US // 2).date())


def noon_us(night: Night, longitude_deg: float) -> int:
    """The local noon at which the night's 24 hours begin."""
    midnight = from_datetime(to_datetime(0).replace(year=night.date.year, month=night.date.month, day=night.date.day))
    return midnight + DAY_US // 2 - _solar_shift_us(longitude_deg)


@dataclass(frozen=True, slots=True, order=True)
class ExposureId:
    """Site, night and counter. The counter is allotted in the transaction that records the intent."""

    site: str
    night: Night
    counter: int

    def __post_init__(self) -> None:
        if not SITE_NAME.match(self.site):
            raise ValueError(f"site name {self.site!r}: lower-case letters, digits and _ only, a letter first")
        if not 0 < self.counter < 100_000:
            raise ValueError(f"exposure counter {self.counter} is outside 1..99999")

    def __str__(self) -> str:
        return f"{self.site}-{self.night.date:%Y%m%d}-{self.counter:05d}"

    @classmethod
    def parse(cls, text: str) -> "ExposureId":
        """From its text. Raises ValueError."""
        match = _EXPOSURE_ID.match(text)
        if match is None:
            raise ValueError(f"{text!r} is no exposure id; one looks like pujalt-20261214-00042")
        site, day, counter = match.groups()
        return cls(site, Night(date(int(day[:4]), int(day[4:6]), int(day[6:]))), int(counter))
