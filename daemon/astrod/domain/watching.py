"""Watching the whole sky: what a watch is, what it sees of clouds, what crosses the sky. Pure."""

import math
from dataclasses import dataclass
from typing import Literal

from astrod.domain.cloudiness import CloudMap

SourceKind = Literal["camera", "picture", "folder", "video"]
SCHEMES: dict[str, SourceKind] = {
    "picture": "picture",
    "folder": "folder",
    "video": "video",
    "v4l2": "video",
    "rtsp": "video",
}
"""What kind of source the scheme of its address means; every other one is a camera's."""

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
class SkyCover:
    """The clouds at an instant. `percent` is the cover overhead, None where the picture does not tell, and `why` says
    why; `clouds` the map, None where there is none.
    """

    at_us: int
    percent: float | None
    clouds: CloudMap | None = None
    why: str = ""

    def towards(self, azimuth_deg: float, altitude_deg: float) -> float | None:
        """The chance of cloud in a direction; None where nobody knows, as with a camera that is not calibrated."""
        if self.clouds is None or not self.clouds.is_oriented:
            return None
        return self.clouds.chance(azimuth_deg, altitude_deg)


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
