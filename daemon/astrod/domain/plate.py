"""What a frame says of where the telescope points: the plate solution, and what was expected of it."""

from dataclasses import dataclass
from typing import Literal

from astrod.domain.sphere import separation_deg

Parity = Literal["direct", "mirrored"]


@dataclass(frozen=True, slots=True)
class Expected:
    """Where a frame should be (ICRS degrees), how far from it it may be, and its scale, within a share of itself.

    `turned` is how the camera's last frame lay, which this one probably does too, or the other way round.
    """

    ra_deg: float
    dec_deg: float
    scale_arcsec_px: float
    within_deg: float
    scale_error: float = 0.04
    turned: "Orientation | None" = None


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a frame lies; see `PlateSolution`."""

    rotation_deg: float
    parity: Parity


@dataclass(frozen=True, slots=True)
class PlateSolution:
    """Where a frame really is. `ra_deg`, `dec_deg` are its centre, ICRS.

    `rotation_deg` is the position angle of the frame's upper edge (first row up), from north through east, 0..360.
    `parity` is direct where north up means east left. `residual_arcsec` is the RMS distance of the `stars`
    matched from their places in the catalogue; `by` names what solved it.
    """

    ra_deg: float
    dec_deg: float
    rotation_deg: float
    scale_arcsec_px: float
    parity: Parity
    residual_arcsec: float
    stars: int
    by: str

    @property
    def orientation(self) -> Orientation:
        """How the frame lies."""
        return Orientation(self.rotation_deg, self.parity)

    def off_arcsec(self, ra_deg: float, dec_deg: float) -> float:
        """How far the frame's centre is from a place."""
        return 3600.0 * separation_deg(self.ra_deg, self.dec_deg, ra_deg, dec_deg)


def turned_half(before_deg: float, after_deg: float, slack_deg: float = 30.0) -> bool:
    """Whether a field turned by 180 degrees between two rotations, as a flip to the other side of the pier does."""
    return abs((after_deg - before_deg) % 360.0 - 180.0) <= slack_deg


def turn_deg(from_deg: float, to_deg: float) -> float:
    """The short way from one position angle to another, degrees: -180 up to 180, through east positive."""
    return (to_deg - from_deg + 180.0) % 360.0 - 180.0


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one frame says of the pointing: its solution, None where it has none, and how many stars it shows."""

    solution: PlateSolution | None
    stars: int
