"""What the planner is asked, and what it foresees of the sky: plain values that cross between processes.

Light on purpose: no numpy, no astropy, no OR-tools, so that the control process can hold them.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from astrod.domain.site import MountKind, Place
from astrod.domain.target import Request, Target

Interval = tuple[int, int]
"""From one instant to another, UTC microseconds; the end is not part of it."""


@dataclass(frozen=True, slots=True)
class RigState:
    """A rig as the planner sees it: its overheads, and where it stands now.

    `pointing` is ICRS degrees, None for parked or unknown (its first slew is not charged: it is prepared
    before dusk). An equatorial mount with `flip_s` over 0 changes pier side at the meridian: it tracks a
    target taken up in the east until `past_meridian_s` after its transit; changing sides costs `flip_s`.
    """

    name: str
    trains: tuple[str, ...] = ()
    mount: MountKind = "equatorial"
    readout_s: float = 5.0
    settle_s: float = 3.0
    filter_change_s: float = 8.0
    slew_deg_s: float = 3.0
    flip_s: float = 60.0
    past_meridian_s: float = 1200.0
    pointing: tuple[float, float] | None = None
    filter: str | None = None

    def __post_init__(self) -> None:
        if self.slew_deg_s <= 0.0:
            raise ValueError(f"rig {self.name!r}: slew_deg_s {self.slew_deg_s} must be over 0")
        spans = (self.readout_s, self.settle_s, self.filter_change_s, self.flip_s, self.past_meridian_s)
        if min(spans) < 0.0:
            raise ValueError(f"rig {self.name!r}: an overhead is under 0 s")


@dataclass(frozen=True, slots=True)
class Problem:
    """All that a plan depends on; equal problems have equal plans.

    Observing is planned from the later of `now_us` and `dusk_us` to `end_us` (dawn). `remaining` maps a
    request's id to the frames still wanted; a request that is not in it wants its whole count. `horizon` is
    (azimuth, altitude) degrees, joined by straight lines around the circle. `blocked` intervals are not used.
    `work` is the solver's budget in its own deterministic seconds.
    """

    place: Place
    rigs: tuple[RigState, ...]
    targets: tuple[Target, ...]
    now_us: int
    end_us: int
    dusk_us: int | None = None
    remaining: Mapping[str, int] = field(default_factory=dict)
    horizon: tuple[tuple[float, float], ...] = ()
    min_altitude_deg: float = 25.0
    blocked: tuple[Interval, ...] = ()
    seed: int = 0
    work: float = 0.25

    def __post_init__(self) -> None:
        if not self.rigs:
            raise ValueError("a plan needs at least one rig")
        for label, names in (
            ("rig", [rig.name for rig in self.rigs]),
            ("target", [target.name for target in self.targets]),
            ("request", [request.id for target in self.targets for request in target.requests]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{label} {twice[0]!r} stands twice in the problem; names must differ")

    @property
    def start_us(self) -> int:
        """The first instant that may be observed."""
        return self.now_us if self.dusk_us is None else max(self.now_us, self.dusk_us)

    def wanted(self, request: Request) -> int:
        """How many frames of a request are still wanted."""
        return max(0, self.remaining.get(request.id, request.count))


@dataclass(frozen=True, slots=True)
class TargetOutlook:
    """A target's night: when it can be observed and how good it is then.

    `windows` are the intervals within all its limits, in the dark; `reason` says why there are none. The
    samples stand `Outlook.step_us` apart, from `Outlook.start_us` on: altitude (degrees), distance from the
    Moon (degrees) and quality (0..1, see `planning.value`).
    `transit_us` is the culmination nearest the middle of the night.
    """

    windows: tuple[Interval, ...]
    reason: str | None
    transit_us: int
    floor_deg: float
    altitude_deg: Sequence[float]
    moon_deg: Sequence[float]
    quality: Sequence[float]

    def window_at(self, instant_us: int) -> Interval | None:
        """The window that an instant lies in."""
        at = bisect_right(self.windows, instant_us, key=lambda window: window[0]) - 1
        return self.windows[at] if at >= 0 and instant_us < self.windows[at][1] else None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the sky offers to each target between two instants, by the target's name."""

    start_us: int
    end_us: int
    step_us: int
    moon_altitude_deg: Sequence[float]
    moon_illumination: float
    targets: Mapping[str, TargetOutlook]

    def sample(self, samples: Sequence[float], instant_us: int) -> float:
        """A sampled quantity at an instant, by straight lines; outside the night its nearest end."""
        position = (instant_us - self.start_us) / self.step_us
        at = min(max(int(position), 0), len(samples) - 1)
        following = min(at + 1, len(samples) - 1)
        part = min(max(position - at, 0.0), 1.0)
        first, second = samples[at], samples[following]
        if part == 0.0 or first == second:
            return first
        return first + (second - first) * part

    def quality(self, target: str, instant_us: int) -> float:
        """How good a target is at an instant, 0..1."""
        return self.sample(self.targets[target].quality, instant_us)
