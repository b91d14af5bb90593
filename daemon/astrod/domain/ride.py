"""Riding along: what is known of frames that another program took, and what a night of them came to.

Everything here is told after the fact, from verdicts; nothing of it was commanded.
"""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from astrod.domain.exposure import Decision
from astrod.domain.identity import night_of
from astrod.domain.instant import HOUR_US, MINUTE_US, iso

Sort = Literal["light", "calibration", "stack", "unreadable"]

NIGHTS_APART_US = 6 * HOUR_US
"""Where no frame tells the site, so long without frames parts two nights."""
CUTS_SIGMA = 3.0
CUTS_LEAST = 5
"""Cuts on star count and FWHM need as many frames alike; the other programs that use them ask for 3 or more."""
TREND_US = 20 * MINUTE_US
WORST = 5
_MAD_TO_SIGMA = 1.4826
_SLOPE_POINTS = 150

THEN: Mapping[str, str] = {
    "none": "go on",
    "pause_for_cloud": "pause, look with short test frames until the stars are back, take it again",
    "refocus_and_retake": "focus, take it again",
    "check_tracking_and_retake": "look at tracking and guiding, centre, take it again",
    "retake_once": "take it again once",
    "tell_owner": "go on, and tell you",
    "look_elsewhere": "go on with a target in another direction",
}
"""What astrod does after a verdict, in words, by consequence (`domain.exposure.CONSEQUENCES`)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the frames' headers say that they were taken, degrees; longitude to the east."""

    latitude_deg: float
    longitude_deg: float


@dataclass(frozen=True, slots=True)
class Ridden:
    """A frame of another program, and the verdict on it; None for what is not known.

    `at_us` is the start of its exposure, or the change of its file where the header has no time. `transparency` is a
    share of the clearest frame of the field before it; `strange` frames show what does not belong. `why` says why there
    is no verdict.
    """

    file: str
    sort: Sort
    at_us: int
    exposure_s: float = 0.0
    target: str = ""
    filter: str = ""
    camera: str = ""
    place: Place | None = None
    decision: Decision | None = None
    cause: str = "none"
    then: str = "none"
    quality: float | None = None
    stars: int | None = None
    fwhm_px: float | None = None
    transparency: float | None = None
    strange: bool = False
    why: str = ""

    @property
    def judged(self) -> bool:
        """Whether there is a verdict."""
        return self.decision is not None

    @property
    def alike(self) -> tuple[str, str, str, float]:
        """Frames with the same are compared with one another."""
        return self.camera, self.target, self.filter, self.exposure_s


def nights(frames: Iterable[Ridden]) -> list[list[Ridden]]:
    """The frames by night, each in order of time: by the sites' noons where headers tell them, else by long gaps."""
    ordered = sorted(frames, key=lambda frame: (frame.at_us, frame.file))
    found: list[list[Ridden]] = []
    for frame in ordered:
        if found and _same_night(found[-1][-1], frame):
            found[-1].append(frame)
        else:
            found.append([frame])
    return found


def _same_night(before: Ridden, after: Ridden) -> bool:
    if before.place is not None and after.place is not None:
        nights_of = (night_of(frame.at_us, frame.place.longitude_deg) for frame in (before, after) if frame.place)
        return len(set(nights_of)) == 1
    return after.at_us - before.at_us < NIGHTS_APART_US


def cut(frames: Sequence[Ridden]) -> dict[str, str]:
    """What cuts on star count and FWHM say of a night, after the fact: the refused files, and why.

    A frame is refused that is more than CUTS_SIGMA (by the median absolute deviation) worse than the median of the
    frames alike; with fewer than CUTS_LEAST of those nothing is refused. It is what capture programs offer.
    """
    groups: dict[tuple[str, str, str, float], list[Ridden]] = {}
    for frame in frames:
        if frame.judged:
            groups.setdefault(frame.alike, []).append(frame)
    refused: dict[str, str] = {}
    for group in groups.values():
        few = _beyond(group, [None if one.stars is None else -float(one.stars) for one in group])
        wide = _beyond(group, [one.fwhm_px for one in group])
        refused |= dict.fromkeys(few, "few stars") | dict.fromkeys(wide, "wide stars")
    return refused


def _beyond(group: Sequence[Ridden], values: Sequence[float | None]) -> list[str]:
    """The files whose value lies far above those of the others."""
    known = [value for value in values if value is not None]
    if len(known) < CUTS_LEAST:
        return []
    middle = statistics.median(known)
    spread = _MAD_TO_SIGMA * statistics.median(abs(value - middle) for value in known)
    limit = middle + CUTS_SIGMA * max(spread, 0.01 * abs(middle))
    return [one.file for one, value in zip(group, values, strict=True) if value is not None and value > limit]


def summary(frames: Sequence[Ridden]) -> dict[str, Any]:
    """What a night came to, as plain values; `frames` are one night's, in order of time."""
    lights = [frame for frame in frames if frame.judged]
    rejected = [frame for frame in lights if frame.decision == "reject"]
    refused = cut(lights)
    place = next((frame.place for frame in frames if frame.place is not None), None)
    first_us = frames[0].at_us if frames else 0
    return {
        "night": str(night_of(first_us, place.longitude_deg if place else 0.0)),
        "first": iso(first_us),
        "last": iso(frames[-1].at_us if frames else 0),
        "site": {"latitude_deg": place.latitude_deg, "longitude_deg": place.longitude_deg} if place else None,
        "frames": {
            "judged": len(lights),
            "kept": len(lights) - len(rejected),
            "rejected": len(rejected),
            "calibration": sum(1 for frame in frames if frame.sort == "calibration"),
            "stacks": sum(1 for frame in frames if frame.sort == "stack"),
            "unreadable": [{"file": frame.file, "why": frame.why} for frame in frames if frame.sort == "unreadable"],
        },
        "rejected_by_cause": dict(sorted(Counter(frame.cause for frame in rejected).items())),
        "time": {
            "exposed_s": round(sum(frame.exposure_s for frame in lights), 1),
            "rejected_s": round(sum(frame.exposure_s for frame in rejected), 1),
            "rejected_s_by_cause": _seconds_by_cause(rejected),
            "after_warning_s": round(_after_warning_s(lights), 1),
        },
        "fields": [_field(group) for group in _fields(lights)],
        "hours": _hours(lights),
        "worst": [
            {"file": frame.file, "quality": frame.quality, "cause": frame.cause}
            for frame in sorted(rejected, key=lambda one: (one.quality or 0.0, one.file))[:WORST]
        ],
        "strange": [frame.file for frame in lights if frame.strange],
        "cuts": {
            "rejected": len(refused),
            "both": sum(1 for frame in rejected if frame.file in refused),
            "only_astrod": [frame.file for frame in rejected if frame.file not in refused],
            "only_cuts": [
                {"file": frame.file, "why": refused[frame.file]}
                for frame in lights
                if frame.decision == "keep" and frame.file in refused
            ],
        },
    }


def _seconds_by_cause(rejected: Sequence[Ridden]) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for frame in rejected:
        seconds[frame.cause] = seconds.get(frame.cause, 0.0) + frame.exposure_s
    return {cause: round(value, 1) for cause, value in sorted(seconds.items())}


def _after_warning_s(lights: Sequence[Ridden]) -> float:
    """Seconds exposed in vain after a verdict that would have led to something else than the next exposure.

    The first frame of a run of bad ones is lost anyhow, and the second has begun when its verdict comes. It is the
    most that acting could have saved: focusing and waiting take time as well.
    """
    lost_s = 0.0
    runs: Counter[str] = Counter()
    for frame in lights:
        acts = frame.decision == "reject" and frame.then not in ("none", "retake_once")
        runs[frame.camera] = runs[frame.camera] + 1 if acts else 0
        if runs[frame.camera] > 2:
            lost_s += frame.exposure_s
    return lost_s


def _fields(lights: Sequence[Ridden]) -> list[list[Ridden]]:
    groups: dict[tuple[str, str, str, float], list[Ridden]] = {}
    for frame in lights:
        groups.setdefault(frame.alike, []).append(frame)
    return list(groups.values())


def _field(group: Sequence[Ridden]) -> dict[str, Any]:
    """One target through one filter: how many, and how FWHM and star count went in the frames that are kept."""
    kept = [frame for frame in group if frame.decision == "keep"]
    first = group[0]
    return {
        "target": first.target,
        "filter": first.filter,
        "camera": first.camera,
        "exposure_s": first.exposure_s,
        "judged": len(group),
        "kept": len(kept),
        "fwhm_px": _trend([(frame.at_us, frame.fwhm_px) for frame in kept if frame.fwhm_px is not None]),
        "stars": _trend([(frame.at_us, float(frame.stars)) for frame in kept if frame.stars is not None]),
    }


def _trend(points: Sequence[tuple[int, float]]) -> dict[str, float] | None:
    """Median, and the change in an hour by the median slope of pairs (Theil and Sen); None of no points.

    No change is told of fewer than CUTS_LEAST points, or of less than TREND_US.
    """
    if not points:
        return None
    told = {"median": round(statistics.median(value for _, value in points), 2)}
    if len(points) < CUTS_LEAST or points[-1][0] - points[0][0] < TREND_US:
        return told
    step = -(-len(points) // _SLOPE_POINTS)
    thinned = points[::step]
    slopes = [
        (later - sooner) / ((later_us - sooner_us) / HOUR_US)
        for index, (sooner_us, sooner) in enumerate(thinned)
        for later_us, later in thinned[index + 1 :]
        if later_us > sooner_us
    ]
    return told | {"per_hour": round(statistics.median(slopes), 3)}


def _hours(lights: Sequence[Ridden]) -> list[dict[str, Any]]:
    """The night hour by hour (UTC)."""
    hours: dict[int, list[Ridden]] = {}
    for frame in lights:
        hours.setdefault(frame.at_us // HOUR_US, []).append(frame)
    return [
        {
            "from": iso(hour * HOUR_US),
            "judged": len(group),
            "kept": sum(1 for frame in group if frame.decision == "keep"),
            "fwhm_px": _median([frame.fwhm_px for frame in group]),
            "stars": _median([frame.stars for frame in group]),
            "transparency": _median([frame.transparency for frame in group]),
        }
        for hour, group in sorted(hours.items())
    ]


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.median(known), 2) if known else None
