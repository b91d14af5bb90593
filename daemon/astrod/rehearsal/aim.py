"""Where telescopes really pointed while their cameras exposed, and whether the sky was clear, as it was looked at."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from statistics import median

from astrod.domain.sphere import separation_deg


@dataclass(slots=True)
class Aim:
    """One mount's looks, in the order of time; places are ICRS degrees."""

    at_us: list[int] = field(default_factory=list)
    places: list[tuple[float, float] | None] = field(default_factory=list)

    def add(self, at_us: int, place: tuple[float, float] | None) -> None:
        """A look; no place where the stars could not have told it: under cloud, or behind a roof."""
        self.at_us.append(at_us)
        self.places.append(place)

    def off_arcmin(self, ra_deg: float, dec_deg: float, start_us: int, end_us: int) -> float | None:
        """How far from a place it pointed between two instants, by the middle one of the looks. None for fewer than
        two of them, or where one of them, or the last before, could not see the stars.
        """
        first, last = bisect_left(self.at_us, start_us), bisect_right(self.at_us, end_us)
        before = self.places[max(0, first - 1) : last]
        seen = [place for place in self.places[first:last] if place is not None]
        if None in before or len(seen) < 2:
            return None
        return median(60.0 * separation_deg(ra_deg, dec_deg, *place) for place in seen)
