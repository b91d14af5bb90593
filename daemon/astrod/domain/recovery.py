"""Recovery ladders: what to do, rung by rung, for a device that is lost. A table and its pure step, nothing else.

    reconnect        ask the same session again
    restart          kill our session and start another
    restart_driver   have the server start the device's driver anew
    power_cycle      switch the device's outlet off and on

A device climbs its ladder while it stays lost, and goes on from there when it is lost again soon: only a good
hour brings it back to the foot. Above the last rung astrod gives up, says so, and tries at leisure.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal, get_args

Step = Literal["reconnect", "restart", "restart_driver", "power_cycle"]
Outcome = Literal["failed", "connected", "fresh"]
"""How an attempt ended; `fresh`: the device was good, or all was in vain, for so long that the ladder begins anew."""

STEPS: tuple[Step, ...] = get_args(Step)


@dataclass(frozen=True, slots=True)
class Rung:
    """`tries` times: take `step`, rest for `wait_s`, then connect within `deadline_s`."""

    step: Step
    tries: int = 1
    wait_s: float = 0.0
    deadline_s: float = 20.0

    def __post_init__(self) -> None:
        if self.tries < 1 or self.wait_s < 0.0 or self.deadline_s <= 0.0:
            raise ValueError(f"rung {self.step}: one try at least, no negative wait, a deadline over 0 s")


@dataclass(frozen=True, slots=True)
class Ladder:
    """The rungs for one kind of device. `again_s` is the pause between attempts above the last rung, `good_s`
    how long a device must have been there (or all must have been in vain) for the ladder to begin anew.
    """

    rungs: tuple[Rung, ...]
    again_s: float = 20.0
    good_s: float = 3600.0

    def __post_init__(self) -> None:
        if not self.rungs:
            raise ValueError("a ladder has one rung at least")

    def possible(self, steps: Collection[Step]) -> "Ladder":
        """This ladder without the steps that cannot be taken (no outlet, no server to restart a driver).

        What our own session can do is always possible; a ladder of nothing else left keeps one restart.
        """
        rungs = tuple(rung for rung in self.rungs if rung.step in ("reconnect", "restart") or rung.step in steps)
        return replace(self, rungs=rungs or (Rung("restart"),))


@dataclass(frozen=True, slots=True)
class Climb:
    """Where a device stands: the rung, and how often it was tried. `spent`: above the last rung."""

    rung: int = 0
    tried: int = 0
    spent: bool = False


FOOT = Climb()


def attempt(ladder: Ladder, climb: Climb) -> Rung:
    """What to do now."""
    if climb.spent:
        return Rung("restart", wait_s=ladder.again_s)
    return ladder.rungs[climb.rung]


def step(ladder: Ladder, climb: Climb, outcome: Outcome) -> Climb:
    """Where the device stands after an attempt. One that succeeded is used up too: a device that is lost again
    before its good hour is treated more thoroughly than the last time.
    """
    if outcome == "fresh":
        return FOOT
    if climb.spent:
        return climb
    if climb.tried + 1 < ladder.rungs[climb.rung].tries:
        return replace(climb, tried=climb.tried + 1)
    if climb.rung + 1 < len(ladder.rungs):
        return Climb(climb.rung + 1)
    return Climb(climb.rung, climb.tried + 1, spent=True)


def at_least(ladder: Ladder, climb: Climb, wanted: Step) -> Climb:
    """The climb, moved up to `wanted` or, where the ladder has no such rung, to the thorough one nearest below.

    For a device that answers and must be started anew all the same, such as a camera that sends black frames.
    """
    order = STEPS.index(wanted)
    reach = [i for i, rung in enumerate(ladder.rungs) if 0 < STEPS.index(rung.step) <= order]
    wants = [i for i in reach if ladder.rungs[i].step == wanted]
    goal = wants[0] if wants else reach[-1] if reach else climb.rung
    return climb if climb.spent or goal <= climb.rung else Climb(goal)


_PATIENT = (
    Rung("reconnect"),
    Rung("reconnect", wait_s=2.0),
    Rung("restart", tries=2, wait_s=1.0),
    Rung("restart", tries=2, wait_s=10.0),
    Rung("restart_driver", tries=2, wait_s=5.0, deadline_s=40.0),
    Rung("power_cycle", tries=2, wait_s=15.0, deadline_s=60.0),
)

DEFAULT = Ladder(_PATIENT)
"""For every kind of device that has no ladder of its own."""

LADDERS: dict[str, Ladder] = {
    # a mount homes and starts its motors after power returns: longer rests, and only one cycle
    "mount": Ladder((*_PATIENT[:-1], Rung("power_cycle", tries=1, wait_s=30.0, deadline_s=90.0))),
    # a switch cannot switch itself
    "switch": Ladder(_PATIENT[:-1]),
}
"""The ladders by kind of device; the configuration's [[ladder]] comes before them."""
