"""Watching the whole sky: what a watch is, what it sees of clouds, what crosses the sky. Pure."""

import math
from dataclasses import dataclass
from typing import Literal

from astrod.domain.sphere import separation_deg

SourceKind = Literal["camera", "picture", "folder", "video"]
SCHEMES: dict[str, SourceKind] = {
    "picture": "picture",
    "folder": "folder",
    "video": "video",
    "v4l2": "video",
    "rtsp": "video",
}
"""What kind of source the scheme of its address means; every other one is a camera's."""

NEAR_DEG = 12.0
"""A cell of the cloud map speaks for directions no farther from it than this."""
OVERHEAD_DEG = 30.0
"""The cover that is told as one number is that of the sky above this altitude: below there are trees and haze."""


@dataclass(frozen=True, slots=True)
class WatchSetup:
    """One [[watch]] of the configuration.

    `source` is a camera's address, or picture://, folder://, video:// and a path, v4l2:// and a device, rtsp://.
    `every_s` is the time from the beginning of one camera exposure to the next, or between two looks at a picture or
    a folder; `check_min` that between two injected meteors (0: none). `calibration` is a file that `astrod clouds
    --calibration` takes.
    """

    name: str
    source: str
    every_s: float = 60.0
    exposure_s: float = 10.0
    clouds: bool = True
    meteors: bool = True
    calibration: str | None = None
    check_min: float = 60.0

    @property
    def kind(self) -> SourceKind:
        """What kind of source it is."""
        return SCHEMES.get(self.source.partition("://")[0], "camera")


@dataclass(frozen=True, slots=True)
class CloudCell:
    """A direction (azimuth, altitude, degrees) and the probability that a cloud stands there."""

    azimuth_deg: float
    altitude_deg: float
    cloud: float


@dataclass(frozen=True, slots=True)
class SkyCover:
    """A cloud map at an instant. `cells` is empty while the camera is not calibrated; `percent` then speaks for the
    whole picture. None: the picture does not tell, and `why` says why.
    """

    at_us: int
    percent: float | None
    cells: tuple[CloudCell, ...] = ()
    why: str = ""

    def towards(self, azimuth_deg: float, altitude_deg: float) -> float | None:
        """The probability of cloud in a direction; None where no cell is near."""
        if not self.cells:
            return None
        turn = math.cos(math.radians(altitude_deg))  # a cheap bound first: most cells are far away
        near = [
            (separation_deg(azimuth_deg, altitude_deg, cell.azimuth_deg, cell.altitude_deg), cell.cloud)
            for cell in self.cells
            if abs(cell.altitude_deg - altitude_deg) <= NEAR_DEG
            and (turn < 0.3 or abs((cell.azimuth_deg - azimuth_deg + 180.0) % 360.0 - 180.0) * turn <= 2.0 * NEAR_DEG)
        ]
        away_deg, cloud = min(near, default=(math.inf, 0.0))
        return cloud if away_deg <= NEAR_DEG else None


@dataclass(frozen=True, slots=True)
class Detection:
    """Something that crossed the sky. `points` are (seconds after `at_us`, x, y) in pixels of the picture, from 0, x to
    the right; of a still the times are those of the exposure's ends. `begins` and `ends` are (azimuth, altitude)
    where the camera is calibrated. `injected`: our own, to see whether it is found.
    """

    watch: str
    at_us: int
    kind: str
    score: float
    points: tuple[tuple[float, float, float], ...]
    begins: tuple[float, float] | None = None
    ends: tuple[float, float] | None = None
    model: str = ""
    picture: str | None = None
    injected: bool = False

    @property
    def length_px(self) -> float:
        """From its first point to its last."""
        (_, x0, y0), (_, x1, y1) = self.points[0], self.points[-1]
        return math.hypot(x1 - x0, y1 - y0)


@dataclass(frozen=True, slots=True)
class SkySeen:
    """What the eyes say of one picture or block. `cover` is None where clouds were not asked for.

    `check` says whether an injected meteor was found, None where none was injected.
    """

    at_us: int
    cover: SkyCover | None = None
    detections: tuple[Detection, ...] = ()
    check: bool | None = None
