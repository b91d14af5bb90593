"""What is seen to move across a block of frames or a still: meteors, aircraft, satellites."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["meteor", "aircraft", "satellite", "other"]


@dataclass(frozen=True, slots=True)
class TrackPoint:
    """Where a light was: `frame` within its stack or video (with a fraction where rows are read in turn), `x` and
    `y` in pixels from 0, x to the right, y down the file's rows; `light` is its brightness in the image's units.
    """

    frame: float
    x: float
    y: float
    light: float


@dataclass(frozen=True, slots=True)
class Track:
    """One light's way. In a still all points have the same frame, and `speed_px` is None.

    `score` is the chance, 0 to 1, that it is a meteor; `angle_deg` the direction it goes in, from the x axis
    towards the y axis (0 to 360; of a still 0 to 180, since its sense is unknown); `speed_px` pixels per frame.
    """

    kind: Kind
    score: float
    why: str
    points: tuple[TrackPoint, ...]
    angle_deg: float
    speed_px: float | None

    @property
    def frames(self) -> tuple[float, float]:
        """The first and the last frame it is seen in."""
        return self.points[0].frame, self.points[-1].frame

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The smallest x and y, the largest x and y."""
        xs, ys = [point.x for point in self.points], [point.y for point in self.points]
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def length_px(self) -> float:
        """From its first to its last point."""
        first, last = self.points[0], self.points[-1]
        return float(((last.x - first.x) ** 2 + (last.y - first.y) ** 2) ** 0.5)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one block of frames or still shows. `score`: the chance, 0 to 1, that a meteor is in it; `why` in words;
    `model` what judged. Tracks are ordered by score, likeliest meteor first.
    """

    meteor: bool
    score: float
    why: str
    model: str
    tracks: tuple[Track, ...]
