"""When it is dark, by the Sun's altitude and the operator's wish. Good to a few seconds; needs nothing."""

from dataclasses import dataclass

from astrod.domain.identity import Night, noon_us
from astrod.domain.instant import DAY_US, MINUTE_US, SECOND_US
from astrod.domain.night import Light
from astrod.domain.site import Darkness, Place
from astrod.domain.sphere import sun_altitude_deg

STEP_US = 5 * MINUTE_US


@dataclass(frozen=True, slots=True)
class DarkTime:
    """A night's times: from `prepare` the roof may be open, from `dusk` to `dawn` lights are taken.

    A night that never gets dark has dusk == dawn; one that never gets light runs from noon to noon.
    """

    prepare_us: int
    dusk_us: int
    dawn_us: int

    def light_at(self, instant_us: int) -> Light:
        """Day, twilight (before dusk only: at dawn the night is over) or dark."""
        if self.dusk_us <= instant_us < self.dawn_us:
            return "dark"
        return "twilight" if self.prepare_us <= instant_us < self.dusk_us else "day"


def _below(place: Place, limit_deg: float, instant_us: int) -> bool:
    return sun_altitude_deg(instant_us, place.latitude_deg, place.longitude_deg) < limit_deg


def _crossing(place: Place, limit_deg: float, before_us: int, after_us: int) -> int:
    """The instant, to a second, between two of which only one has the Sun below the limit."""
    was_below = _below(place, limit_deg, before_us)
    while after_us - before_us > SECOND_US:
        middle = (before_us + after_us) // 2
        if _below(place, limit_deg, middle) == was_below:
            before_us = middle
        else:
            after_us = middle
    return after_us


def _span(place: Place, limit_deg: float, noon: int) -> tuple[int, int]:
    """From when to when the Sun is below the limit between this noon and the next; empty at midnight if never."""
    grid = range(noon, noon + DAY_US + 1, STEP_US)
    below = [instant for instant in grid if _below(place, limit_deg, instant)]
    if not below:
        return noon + DAY_US // 2, noon + DAY_US // 2
    first, last = below[0], below[-1]
    start = first if first == noon else _crossing(place, limit_deg, first - STEP_US, first)
    end = last if last + STEP_US > noon + DAY_US else _crossing(place, limit_deg, last, last + STEP_US)
    return start, end


def dark_time(place: Place, darkness: Darkness, night: Night) -> DarkTime:
    """The times of that night at that place, narrowed by `not_before_us` and `not_after_us`."""
    noon = noon_us(night, place.longitude_deg)
    prepare, _ = _span(place, darkness.prepare_below_deg, noon)
    dusk, dawn = _span(place, darkness.observe_below_deg, noon)
    if darkness.not_before_us is not None:
        prepare, dusk = max(prepare, darkness.not_before_us), max(dusk, darkness.not_before_us)
    if darkness.not_after_us is not None:
        dawn = min(dawn, darkness.not_after_us)
    dawn = max(dusk, dawn)
    return DarkTime(min(prepare, dusk) if dawn > dusk else dusk, dusk, dawn)
