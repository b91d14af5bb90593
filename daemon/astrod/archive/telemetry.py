"""What the devices read, through the night: a database of its own, so that it never slows the archive.

A power cut may cost its last seconds (synchronous NORMAL), never its soundness.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from astrod.archive.database import Database
from astrod.archive.schema import TELEMETRY, TELEMETRY_APPLICATION


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one device at one instant; `name` carries its unit (`temperature_c`)."""

    device: str
    name: str
    at_us: int
    value: float


class Telemetry:
    """Readings over time. Used by one thread at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, path: Path) -> "Telemetry":
        """Open or create the file. Raises TellOperator."""
        return cls(Database(path, TELEMETRY, TELEMETRY_APPLICATION, synchronous="NORMAL"))

    def record(self, at_us: int, device: str, values: Mapping[str, float]) -> None:
        """Keep a device's values; a repeat of an instant replaces them. NaN and infinity are left out."""
        with self._database.transaction():
            for name, value in values.items():
                if math.isfinite(value):
                    self._record(device, name, at_us, float(value))

    def _record(self, *reading: str | float) -> None:
        self._database.change(
            "INSERT OR REPLACE INTO readings (device, name, at_us, value) VALUES (?, ?, ?, ?)", *reading
        )
        self._database.change(
            "INSERT INTO newest (device, name, at_us, value) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE "
            "SET at_us = excluded.at_us, value = excluded.value WHERE excluded.at_us >= newest.at_us",
            *reading,
        )

    def latest(self) -> list[Reading]:
        """The newest reading of each value of each device, by device and name."""
        return self._read("SELECT device, name, at_us, value FROM newest ORDER BY device, name")

    def between(self, device: str, name: str, start_us: int, end_us: int) -> list[Reading]:
        """One value's readings with start <= at < end, in order of time."""
        return self._read(
            "SELECT device, name, at_us, value FROM readings "
            "WHERE device = ? AND name = ? AND at_us >= ? AND at_us < ? ORDER BY at_us",
            device,
            name,
            start_us,
            end_us,
        )

    def prune(self, before_us: int) -> int:
        """Forget readings from before an instant; returns how many."""
        with self._database.transaction():
            self._database.change("DELETE FROM newest WHERE at_us < ?", before_us)
            return self._database.change("DELETE FROM readings WHERE at_us < ?", before_us)

    def checkpoint(self) -> None:
        """See `Database.checkpoint`."""
        self._database.checkpoint()

    def close(self) -> None:
        """Let go of the file; safe to repeat."""
        self._database.close()

    def _read(self, sql: str, *values: object) -> list[Reading]:
        return [Reading(**row) for row in self._database.rows(sql, *values)]
