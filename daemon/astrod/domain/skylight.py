"""How long one exposure may be before the sky fills the pixels, or the field turns too far on an alt-azimuth mount.

Pure. Levels are medians of frames in ADU, rates ADU per second. A frame is shortened by halves, so that a few sets of
darks serve all of them.
"""

import math
from dataclasses import dataclass, field

from astrod.domain.instant import SECOND_US

FULL = 0.7
"""The sky may fill the pixels to this share: stars still stand out above it, and it may brighten meanwhile."""
COMFORTABLE = 0.2
"""A sky that leaves a frame below this share is trusted on other targets too; a brighter one, the Moon's, is not."""
KNOWN_US = 3600 * SECOND_US
"""A sky that was measured so long ago is not known any more."""
TURN_PX = 4.0
"""The corner of the field may turn by so many pixels while the shutter is open."""
SHORTEST_S = 30.0
"""No frame is made shorter than this, unless its request says so: read-out would take the night."""
SWAMPED = 10.0
"""Once the sky's variance is so many times that of the read-out, a longer frame gains next to nothing: the read-out
adds sqrt(1 + 1/10) - 1, 5 %, to the noise.
"""
SIDEREAL_DEG_S = 360.0 / 86164.0905

Glass = tuple[str, str | None, int]
"""What the sky's level depends on, apart from the sky: train, filter, binning."""


@dataclass(frozen=True, slots=True)
class Sky:
    """A sky as it was seen through one glass: the rate at which it fills the pixels, where and when."""

    rate_adu_s: float
    target: str
    at_us: int


@dataclass(frozen=True, slots=True)
class Noise:
    """The noise of a frame's background, ADU, how long it was exposed, and when."""

    adu: float
    exposure_s: float
    at_us: int


def swamped_s(noise: Noise, dark_noise_adu: float) -> float:
    """How long a frame must be for the sky's noise to drown the read-out's, by one frame's noise and that of a frame
    without light; infinite where the frame shows no more noise than that.
    """
    sky = noise.adu**2 - dark_noise_adu**2
    if sky <= 0.0:
        return math.inf
    return SWAMPED * dark_noise_adu**2 * noise.exposure_s / sky


def fitted(exposure_s: float, wanted_s: float, shortest_s: float | None, longest_s: float | None) -> float:
    """The exposure, doubled or halved to the shortest that is no shorter than `wanted_s`, within the stated bounds.

    `longest_s` None: the exposure itself; `shortest_s` as in `halved`.
    """
    while exposure_s < wanted_s and 2.0 * exposure_s <= (longest_s or 0.0):
        exposure_s *= 2.0
    least_s = min(exposure_s, SHORTEST_S if shortest_s is None else shortest_s)
    while exposure_s / 2.0 >= max(wanted_s, least_s):
        exposure_s /= 2.0
    return exposure_s


def halved(exposure_s: float, longest_s: float, shortest_s: float | None = None) -> float:
    """The exposure, halved until it is no longer than `longest_s`; never to less than `shortest_s`.

    `shortest_s` None: 30 s, or the exposure itself where that is less.
    """
    least_s = min(exposure_s, SHORTEST_S if shortest_s is None else shortest_s)
    while exposure_s > longest_s and exposure_s / 2.0 >= least_s:
        exposure_s /= 2.0
    return exposure_s


def field_turn_deg_s(altitude_deg: float, azimuth_deg: float, latitude_deg: float) -> float:
    """How fast the field of an alt-azimuth mount turns, without sign; infinite in the zenith.

    The rate of the parallactic angle: W cos(lat) cos(az) / cos(alt), W the Earth's rotation (Meeus, Astronomical
    Algorithms, chapter 14, differentiated).
    """
    cos_alt = math.cos(math.radians(altitude_deg))
    if cos_alt < 1e-9:
        return math.inf
    turning = math.cos(math.radians(latitude_deg)) * math.cos(math.radians(azimuth_deg)) / cos_alt
    return SIDEREAL_DEG_S * abs(turning)


def longest_turning_s(turn_deg_s: float, width_px: int, height_px: int) -> float:
    """How long the corner of a frame takes to turn by `TURN_PX`; infinite for a field that stands still."""
    corner_px = math.hypot(width_px, height_px) / 2.0
    return math.inf if turn_deg_s <= 0.0 else math.degrees(TURN_PX / corner_px) / turn_deg_s


@dataclass(slots=True)
class Skylight:
    """What one rig's frames have shown of the sky tonight. `pedestals` are the levels at no light, by train, where
    two exposures of different length have told them.
    """

    seen: dict[Glass, Sky] = field(default_factory=dict)
    noises: dict[Glass, Noise] = field(default_factory=dict)
    pedestals: dict[tuple[str, int], float] = field(default_factory=dict)

    def measured(self, glass: Glass, target: str, exposure_s: float, level_adu: float, at_us: int) -> None:
        """A frame's sky was measured. With no pedestal known, its rate is taken too high, never too low."""
        pedestal_adu = self.pedestals.get((glass[0], glass[2]), 0.0)
        self.seen[glass] = Sky(max(0.0, level_adu - pedestal_adu) / exposure_s, target, at_us)

    def swamped_s(self, glass: Glass, dark_noise_adu: float, now_us: int) -> float | None:
        """How long a frame must be for the sky's noise to drown the read-out's; None where no frame told lately."""
        noise = self.noises.get(glass)
        if noise is None or now_us - noise.at_us > KNOWN_US:
            return None
        return swamped_s(noise, dark_noise_adu)

    def compared(self, glass: Glass, shorter: tuple[float, float], longer: tuple[float, float]) -> None:
        """Two frames of one sky, (seconds, level) each: what does not grow with time is the pedestal."""
        rate = (longer[1] - shorter[1]) / (longer[0] - shorter[0])
        self.pedestals[glass[0], glass[2]] = max(0.0, shorter[1] - max(0.0, rate) * shorter[0])

    def overflowed(self, glass: Glass, target: str, exposure_s: float, saturation_adu: float, at_us: int) -> None:
        """A frame of that length was full of sky. How full nobody knows: twice is a guess that the next frame mends."""
        known, least = self.seen.get(glass), 2.0 * saturation_adu / exposure_s
        self.seen[glass] = Sky(max(least, known.rate_adu_s if known else 0.0), target, at_us)

    def longest_s(self, glass: Glass, saturation_adu: float, now_us: int) -> float:
        """How long a frame may be under the sky that was seen last; infinite where none was seen lately."""
        sky = self.seen.get(glass)
        if sky is None or sky.rate_adu_s <= 0.0 or now_us - sky.at_us > KNOWN_US:
            return math.inf
        return max(0.0, FULL * saturation_adu - self.pedestals.get((glass[0], glass[2]), 0.0)) / sky.rate_adu_s

    def is_known(self, glass: Glass, target: str, exposure_s: float, saturation_adu: float, now_us: int) -> bool:
        """Whether a frame of that length needs no look at the sky first.

        A faint sky is the same everywhere; a bright one is known on its own target only.
        """
        sky = self.seen.get(glass)
        if sky is None or now_us - sky.at_us > KNOWN_US:
            return False
        return sky.target == target or sky.rate_adu_s * exposure_s <= COMFORTABLE * saturation_adu
