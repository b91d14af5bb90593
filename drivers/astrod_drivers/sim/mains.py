"""The site's mains, and the battery of its UPS."""

from dataclasses import dataclass


@dataclass(eq=False)
class Outage:
    """A stretch without mains; `battery_min` is how long a full battery lasts in it."""

    since_us: int
    battery_min: float
    until_us: int | None = None


class Mains:
    """The power that comes to the site, as a function of time."""

    CHARGES_MIN = 240.0
    """How long an empty battery takes to be full again."""

    def __init__(self) -> None:
        self._outages: list[Outage] = []

    def fail(self, battery_min: float, instant_us: int) -> Outage:
        """The mains go off now; end the outage by its `until_us`."""
        outage = Outage(instant_us, battery_min)
        self._outages.append(outage)
        return outage

    def on(self, instant_us: int) -> bool:
        """Whether there are mains."""
        return not any(
            o.since_us <= instant_us and (o.until_us is None or instant_us < o.until_us) for o in self._outages
        )

    def battery_percent(self, instant_us: int) -> float:
        """What is left in the battery, 0 to 100. An outage that falls into another counts from the other's end."""
        percent, free_us = 100.0, 0
        for outage in self._outages:
            since_us = max(outage.since_us, free_us)
            if since_us >= instant_us:
                break
            if free_us:
                percent = min(100.0, percent + 100.0 * (since_us - free_us) / 60e6 / self.CHARGES_MIN)
            free_us = instant_us if outage.until_us is None else min(max(outage.until_us, since_us), instant_us)
            percent = max(0.0, percent - 100.0 * (free_us - since_us) / 60e6 / outage.battery_min)
        charging_min = (instant_us - free_us) / 60e6 if free_us else 0.0
        return min(100.0, percent + 100.0 * charging_min / self.CHARGES_MIN)
