"""Where the dark minutes went. Every instant of the dark time of every rig has one cause."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from astrod.domain.instant import MINUTE_US

DarkCause = Literal["observed", "overhead", "weather", "fault", "idle"]
CAUSES: tuple[DarkCause, ...] = get_args(DarkCause)


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of one rig's time and what it was spent on. `detail` is for people."""

    rig: str
    start_us: int
    end_us: int
    cause: DarkCause
    detail: str

    def __post_init__(self) -> None:
        if self.end_us < self.start_us:
            raise ValueError(f"interval of {self.rig} ends before it starts")


def account(intervals: Iterable[Interval], rigs: int, dark_start_us: int, dark_end_us: int) -> dict[str, float]:
    """Dark minutes by cause, averaged over the rigs, and `unexplained`: what no interval covers.

    Intervals are cut to the dark time. Where two of one rig overlap, the overlap counts once, for the earlier.
    """
    spent_us = dict.fromkeys(CAUSES, 0)
    covered_until: dict[str, int] = {}
    for interval in sorted(intervals, key=lambda i: (i.rig, i.start_us, i.end_us)):
        start = max(interval.start_us, dark_start_us, covered_until.get(interval.rig, dark_start_us))
        end = min(interval.end_us, dark_end_us)
        if end > start:
            spent_us[interval.cause] += end - start
            covered_until[interval.rig] = end
    share = max(1, rigs)
    minutes: dict[str, float] = {cause: round(us / MINUTE_US / share, 3) for cause, us in spent_us.items()}
    missing_us = max(0, dark_end_us - dark_start_us) * share - sum(spent_us.values())
    minutes["unexplained"] = round(missing_us / MINUTE_US / share, 3)
    return minutes
