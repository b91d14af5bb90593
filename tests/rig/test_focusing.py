"""Focusing: finds the minimum through noise and fails cleanly where there is none."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod.domain.focus import Sample, minimum
from astrod.domain.offsets import FilterOffset, FocusPoint
from astrod.errors import Replan
from astrod.health import Health
from astrod.occupation import Occupation
from astrod.refocusing import Refocusing
from astrod.rig.focusing import FieldPoor, Focusing, FocusRun, MeasuringBacklash
from astrod.rig.port import DirectSession, Port
from astrod.rig.telescope import Telescope, TrainPorts
from astrod.runtime.clock import SimClock, VirtualLoop, run_virtual
from astrod.runtime.trace import Trace
from astrod_drivers.permit import EpochCell
from astrod_drivers.protocols import Permit, WheelState
from tests.rig.devices import MIDNIGHT_US, SITE, FakeFocuser, FakeMount

STEP = 50
"""The sweep's step in `devices.SITE`."""


def fwhm_px(position: float, best: float) -> float:
    """Seeing of 2.5 px, and defocus that doubles it three steps away."""
    return float((2.5**2 + (3**0.5 * 2.5 * (position - best) / (3 * STEP)) ** 2) ** 0.5)


def sampled(
    measure: Callable[[FakeFocuser], Awaitable[float | None]], focuser: FakeFocuser
) -> Callable[[], Awaitable[Sample]]:
    """A measurement as a sample of thirty stars, of none where it brings none."""

    async def sample() -> Sample:
        width = await measure(focuser)
        return Sample(width, 0 if width is None else 30)

    return sample


def focus(measure: Callable[[FakeFocuser], Awaitable[float | None]]) -> tuple[FakeFocuser, FocusRun | None]:
    """Focus from 1000; the focuser afterwards and what the run found, None when it found nothing."""

    async def play(loop: VirtualLoop) -> tuple[FakeFocuser, FocusRun | None]:
        clock = SimClock(loop, MIDNIGHT_US)
        focuser = FakeFocuser(clock, [])
        setup = SITE.rigs[0]
        mount = FakeMount(clock, [], EpochCell())
        ports: list[Port[Any]] = [
            Port("mount", "mount", "sim://mount", DirectSession(mount), clock),
            Port("focuser", "focuser", "sim://focuser", DirectSession(focuser), clock),
        ]
        train = TrainPorts(setup.trains[0], camera=ports[0], focuser=ports[1])
        telescope = Telescope(setup, ports[0], {"main": train}, clock)
        keeping = [asyncio.create_task(port.keep()) for port in ports]
        for port in ports:
            assert await port.found(5.0)
        try:
            return focuser, await Focusing(telescope, "main", sampled(measure, focuser)).run()
        except Replan:
            return focuser, None
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.wait(keeping)

    return run_virtual(play)  # type: ignore[no-any-return]


@pytest.mark.parametrize("best", [900, 1000, 1100, 1300])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_finds_the_minimum_through_five_percent_of_noise(best: int, seed: int) -> None:
    dice = np.random.default_rng(seed)

    async def measure(focuser: FakeFocuser) -> float | None:
        return fwhm_px(focuser.position, best) * float(dice.normal(1.0, 0.05))

    focuser, found = focus(measure)
    assert found is not None
    assert abs(found.position - best) <= 0.7 * STEP
    assert abs(focuser.position - found.position) <= 1
    assert fwhm_px(found.position, best) < 1.05 * 2.5


def test_without_stars_the_old_position_is_restored() -> None:
    async def blind(focuser: FakeFocuser) -> float | None:
        return None

    focuser, found = focus(blind)
    assert found is None
    assert focuser.position == 1000


def test_a_curve_without_end_fails_and_goes_back() -> None:
    async def ever_better(focuser: FakeFocuser) -> float | None:
        return 40.0 - focuser.position / 200.0

    focuser, found = focus(ever_better)
    assert found is None
    assert focuser.position == 1000


@given(best=st.floats(-2.5, 2.5), seeing=st.floats(1.0, 8.0), slope=st.floats(0.3, 5.0))
def test_the_parabola_is_exact_without_noise(best: float, seeing: float, slope: float) -> None:
    points = [(k * STEP, (seeing**2 + (slope * (k - best)) ** 2) ** 0.5) for k in range(-3, 4)]
    found = minimum(points)
    assert found is not None
    assert found[0] == pytest.approx(best * STEP, abs=0.5)
    assert found[1] == pytest.approx(seeing, rel=0.02)


def test_too_few_points_have_no_minimum() -> None:
    assert minimum([(0, 2.0), (1, 1.0), (2, 2.0)]) is None


# -- what may go wrong, and backlash --------------------------------------------------------------------------


class LooseFocuser(FakeFocuser):
    """Its drawtube has play: it follows the motor upwards `play` steps late."""

    play = 40
    tube = 1000.0

    async def move(self, position: int) -> None:
        await super().move(position)
        self.tube = min(max(self.tube, position - self.play), position)


async def at_focuser(
    clock: SimClock,
    focuser: FakeFocuser,
    story: Callable[[Telescope], Awaitable[None]],
    offsets: dict[str, int] | None = None,
) -> None:
    """Play a story at a telescope with this focuser and a wheel."""
    rig = SITE.rigs[0]
    train = rig.trains[0]
    assert train.focuser is not None
    setup = replace(rig, trains=(replace(train, focuser=replace(train.focuser, filter_offsets=offsets)),))
    names: list[tuple[str, Any]] = [
        ("mount", FakeMount(clock, [], EpochCell())),
        ("focuser", focuser),
        ("wheel", FakeWheel()),
    ]
    ports = {name: Port(name, name, f"sim://{name}", DirectSession(device), clock) for name, device in names}
    telescope = Telescope(
        setup,
        ports["mount"],
        {"main": TrainPorts(setup.trains[0], camera=ports["mount"], focuser=ports["focuser"], wheel=ports["wheel"])},
        clock,
    )
    keeping = [asyncio.create_task(port.keep()) for port in ports.values()]
    for port in ports.values():
        assert await port.found(5.0)
    try:
        await story(telescope)
    finally:
        for task in keeping:
            task.cancel()
        await asyncio.wait(keeping)


class FakeWheel:
    """Turns at once."""

    filter = "L"

    async def connect(self) -> None:
        """Always there."""

    async def disconnect(self) -> None:
        """Nothing to let go of."""

    async def read(self) -> WheelState:
        return WheelState(self.filter, False, ("L", "R", "Ha"))

    async def select(self, name: str) -> None:
        self.filter = name


def playing(
    story: Callable[[Telescope, FakeFocuser], Awaitable[None]],
    kind: type[FakeFocuser] = FakeFocuser,
    offsets: dict[str, int] | None = None,
) -> None:
    async def play(loop: VirtualLoop) -> None:
        clock = SimClock(loop, MIDNIGHT_US)
        focuser = kind(clock, [])
        await at_focuser(clock, focuser, lambda telescope: story(telescope, focuser), offsets)

    run_virtual(play)


def test_backlash_is_measured_by_focus_found_from_both_sides() -> None:
    async def story(telescope: Telescope, focuser: FakeFocuser) -> None:
        assert isinstance(focuser, LooseFocuser)

        async def measure() -> Sample:
            return Sample(fwhm_px(focuser.tube, 1000.0), 30)

        found = await MeasuringBacklash(telescope, "main", measure).run()
        assert found.steps == pytest.approx(LooseFocuser.play, abs=3)
        assert focuser.position == 1000

    playing(story, LooseFocuser)


def test_a_loose_focuser_ends_in_focus_though_nobody_told_its_backlash() -> None:
    async def story(telescope: Telescope, focuser: FakeFocuser) -> None:
        assert isinstance(focuser, LooseFocuser)

        async def measure() -> Sample:
            return Sample(fwhm_px(focuser.tube, 980.0), 30)

        await Focusing(telescope, "main", measure).run()
        assert focuser.tube == pytest.approx(980.0, abs=5)

    playing(story, LooseFocuser)


def test_a_run_that_is_broken_off_sends_the_focuser_back() -> None:
    async def story(telescope: Telescope, focuser: FakeFocuser) -> None:
        async def measure() -> Sample:
            await asyncio.sleep(3600.0)
            return Sample(None, 0)

        run = asyncio.create_task(Focusing(telescope, "main", measure).run())
        await asyncio.sleep(5.0)
        assert focuser.position != 1000
        run.cancel()
        await asyncio.wait({run})
        assert focuser.position == 1000
        assert telescope.leases.holders == {}

    playing(story)


def test_a_field_without_stars_is_told_from_a_curve_without_minimum() -> None:
    async def story(telescope: Telescope, focuser: FakeFocuser) -> None:
        async def galaxy() -> Sample:
            return Sample(0.5, 40)  # knots of a galaxy and noise: many, and narrower than any star

        with pytest.raises(FieldPoor, match="too few stars"):
            await Focusing(telescope, "main", galaxy).run()
        assert focuser.position == 1000

    playing(story)


def test_filter_offsets_follow_the_wheel() -> None:
    async def story(telescope: Telescope, focuser: FakeFocuser) -> None:
        positions = []
        for name in ("L", "R", "Ha", "L"):
            await telescope.select_filter("main", name)
            positions.append(focuser.position)
        assert positions == [1000, 1012, 1012, 1000]  # Ha has no offset: the focuser stays

    playing(story, offsets={"L": 0, "R": 12})


class Notebook:
    """A `FocusLog` on paper."""

    def __init__(self) -> None:
        self.points: list[FocusPoint] = []

    async def record(self, train: str, point: FocusPoint) -> None:
        self.points.append(point)

    async def recall(self, train: str) -> list[FocusPoint]:
        return list(self.points)


BEST = {"L": 1000.0, "R": 1045.0}


def refocusing(telescope: Telescope, focuser: FakeFocuser, log: Notebook, clock: SimClock) -> Refocusing:
    """A train whose focus lies elsewhere through each filter."""

    async def measure(train: str, exposure_s: float, permit: Permit) -> Sample:
        wheel = telescope.trains["main"].wheel
        assert wheel is not None
        name = (await wheel.call("read", lambda device: device.read())).filter
        return Sample(fwhm_px(focuser.position, BEST[str(name)]), 30)

    async def nowhere(train: str) -> None:
        return None

    trace = Trace(clock)
    occupation = Occupation("main", clock)
    return Refocusing(telescope, "main", measure, nowhere, Health(clock, trace), trace, clock, occupation, log)


def test_offsets_are_learned_from_runs_through_each_filter_and_applied_as_the_wheel_turns() -> None:
    async def story(telescope: Telescope, focuser: FakeFocuser) -> None:
        log, clock = Notebook(), focuser.clock
        assert isinstance(clock, SimClock)
        runs = refocusing(telescope, focuser, log, clock)
        for name in ("L", "R", "L", "R", "L", "R"):
            before = focuser.position
            await telescope.select_filter("main", name)
            assert focuser.position == before  # nothing is known yet
            await runs.run("a test", name, Permit(1))
            assert focuser.position == pytest.approx(BEST[name], abs=3)
        await telescope.select_filter("main", "L")
        assert focuser.position == pytest.approx(BEST["L"], abs=4)
        await telescope.select_filter("main", "Ha")  # nobody knows it: the focuser goes on suiting L
        await telescope.select_filter("main", "R")
        assert focuser.position == pytest.approx(BEST["R"], abs=4)
        tomorrow = refocusing(telescope, focuser, log, clock)
        telescope.learn_offsets("main", ())
        await tomorrow.learn()
        assert {offset.filter for offset in telescope.offsets_learned("main")} == {"L", "R"}

    playing(story)


def test_configured_offsets_go_before_learned_ones() -> None:
    async def story(telescope: Telescope, focuser: FakeFocuser) -> None:
        telescope.learn_offsets("main", (FilterOffset("L", 0, 9, 0.0), FilterOffset("R", 45, 9, 0.0)))
        await telescope.select_filter("main", "L")
        await telescope.select_filter("main", "R")
        assert focuser.position == 1012

    playing(story, offsets={"L": 0, "R": 12})
