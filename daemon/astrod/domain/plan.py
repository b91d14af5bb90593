"""The plan: what is meant to be exposed, when, and why; and what happened to the requests."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Slot:
    """A run of exposures of one request on one rig. `value` is the planner's own unit; `why` is for people."""

    rig: str
    target: str
    request: str
    start_us: int
    end_us: int
    exposures: int
    value: float
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Slots in order of time, none of one rig overlapping. `by` names the method: search, cp-sat or
    dispatch.

    `refused` says, for each request with no slot, why.
    """

    made_us: int
    by: Literal["search", "cp-sat", "dispatch"]
    slots: tuple[Slot, ...]
    refused: dict[str, str] = field(default_factory=dict)
    capped: bool = False


Progress = Literal["done", "partial", "untouched"]


def progress(kept: int, count: int) -> Progress:
    """How far a request has come."""
    if kept >= count:
        return "done"
    return "partial" if kept else "untouched"


@dataclass(frozen=True, slots=True)
class Choice:
    """The next exposure of a rig, decided now. Coordinates ICRS degrees; `why` is for people.

    `exposure_min_s`, `adapt` and `exposure_max_s` are as in `Request`, `position_angle_deg` as in `Target`.
    """

    rig: str
    target: str
    request: str
    ra_deg: float
    dec_deg: float
    exposure_s: float
    why: str
    filter: str | None = None
    binning: int = 1
    train: str | None = None
    exposure_min_s: float | None = None
    position_angle_deg: float | None = None
    adapt: bool = False
    exposure_max_s: float | None = None
