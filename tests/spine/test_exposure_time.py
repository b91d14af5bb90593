"""How long a rig exposes: it looks at the sky first, hears what frames tell, gives way to dawn and a turning field."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from astrod.domain.exposure import Intent, Measured
from astrod.domain.identity import ExposureId, Night
from astrod.domain.plan import Choice
from astrod.errors import Replan
from astrod.exposure_time import LOOK_S, ExposureTime
from astrod.journey import Outcome
from astrod.rig.port import DirectSession, Port
from astrod.runtime.trace import Trace
from astrod_drivers.protocols import Permit
from tests.rig.devices import SITE, FakeCamera
from tests.rig.pointing_bench import Bench, at_bench

PEDESTAL_ADU = 900.0
NIGHT = Night.parse("2026-12-14")


@dataclass
class Desk:
    """An `ExposureTime` under a sky of a known rate, and what it asked and said."""

    bench: Bench
    rate_adu_s: float = 5.0
    left_s: float = 1e6
    looks: list[float] = field(default_factory=list)
    lengths: dict[str, float] = field(default_factory=dict)
    dark_adu: float | None = None

    def __post_init__(self) -> None:
        bench = self.bench
        self.trace = Trace(bench.clock)
        self.time = ExposureTime(SITE, bench.telescope, self, self.level, self.trace, bench.clock, self.dark_noise)

    async def dark_noise(self, train: str, choice: Choice) -> float | None:
        """See `exposure_time.DarkNoise`."""
        return self.dark_adu

    def under(self, sky_adu2_s: float, exposure_s: float) -> Outcome:
        """A light frame whose sky adds so much variance each second to a dark's."""
        outcome = self.outcome(exposure_s, PEDESTAL_ADU)
        assert outcome.measured is not None and self.dark_adu is not None
        noise_adu = (self.dark_adu**2 + sky_adu2_s * exposure_s) ** 0.5
        return replace(outcome, measured=replace(outcome.measured, noise=noise_adu))

    async def level(self, train: str, exposure_s: float, permit: Permit) -> float | None:
        """What a test frame measures."""
        self.looks.append(exposure_s)
        return min(65535.0, PEDESTAL_ADU + self.rate_adu_s * exposure_s)

    def lasts(self, request: str, exposure_s: float) -> None:
        """See `exposure_time.Lengths`."""
        self.lengths[request] = exposure_s

    def choice(self, exposure_s: float, hour_angle: float = -10.0, name: str = "it", **facts: Any) -> Choice:
        """A target at that hour angle now."""
        return Choice("main", name, f"{name}/1", self.bench.ra_at(hour_angle), 30.0, exposure_s, "", **facts)

    async def of(self, choice: Choice) -> float:
        """How long."""
        return await self.time.of(choice, "main", self.bench.permit)

    def outcome(self, exposure_s: float, level_adu: float | None) -> Outcome:
        """A light frame's end: of that level, or full."""
        identity = ExposureId("pujalt", NIGHT, 1)
        intent = Intent(identity, "light", "main", "main", exposure_s, 10.0, 30.0, target="it", request="it/1")
        measured = None if level_adu is None else Measured(50, level_adu, 10.0, 2.0, 1.1)
        return Outcome(intent, None, measured, "none", overflowed=level_adu is None)


def at_desk(story: Callable[[Desk], Awaitable[None]], **mount: Any) -> None:
    async def told(bench: Bench) -> None:
        await story(Desk(bench))

    at_bench(told, **mount)


def test_a_dark_sky_costs_two_short_looks_once_and_no_exposure_is_shortened() -> None:
    async def story(desk: Desk) -> None:
        assert await desk.of(desk.choice(600.0)) == 600.0
        assert desk.looks == list(LOOK_S)  # the pedestal alone could have been light
        assert await desk.of(desk.choice(600.0, name="other")) == 600.0
        assert len(desk.looks) == 2

    at_desk(story)


def test_under_the_moon_an_exposure_is_halved_till_it_fits_on_each_target() -> None:
    async def story(desk: Desk) -> None:
        desk.rate_adu_s = 400.0
        assert await desk.of(desk.choice(480.0)) == 60.0
        assert desk.lengths == {"it/1": 60.0}
        looked = len(desk.looks)
        assert await desk.of(desk.choice(480.0)) == 60.0
        assert len(desk.looks) == looked
        desk.rate_adu_s = 200.0  # farther from the Moon
        assert await desk.of(desk.choice(480.0, name="other")) == 120.0
        assert len(desk.looks) == looked + 1  # the pedestal is known by now

    at_desk(story)


def test_a_request_that_allows_no_shorter_frame_is_refused() -> None:
    async def story(desk: Desk) -> None:
        desk.rate_adu_s = 400.0
        with pytest.raises(Replan, match="too bright for 480 s: it fills the pixels in 16"):
            await desk.of(desk.choice(480.0, exposure_min_s=480.0))
        assert await desk.of(desk.choice(480.0)) == 60.0

    at_desk(story)


def test_short_exposures_are_their_own_look_and_lights_tell_of_the_next() -> None:
    async def story(desk: Desk) -> None:
        assert await desk.of(desk.choice(90.0)) == 90.0
        assert desk.looks == []
        desk.time.hear(desk.outcome(90.0, None))  # it was full
        assert await desk.of(desk.choice(90.0)) < 90.0
        desk.time.hear(desk.outcome(45.0, 9000.0))  # the Moon went behind a hill
        assert await desk.of(desk.choice(90.0)) == 90.0

    at_desk(story)


def test_no_exposure_is_begun_that_dawn_would_break_off() -> None:
    async def story(desk: Desk) -> None:
        desk.left_s = 200.0
        assert await desk.of(desk.choice(480.0)) == 120.0
        assert desk.lengths == {"it/1": 480.0}  # plans reckon with the sky's limit, not with dawn's
        desk.left_s = 20.0
        with pytest.raises(Replan, match="20 s are left of the night"):
            await desk.of(desk.choice(480.0))

    at_desk(story)


ZENITH_DEG = SITE.place.latitude_deg - 3.0
"""A target that crosses the meridian three degrees from the zenith."""


async def see(bench: Bench, spool: Path) -> None:
    """Give the bench's train a camera that tells its size, 64×48 pixels."""
    camera: Port[Any] = Port(
        "camera", "camera", "sim://camera", DirectSession(FakeCamera(bench.clock, bench.events, spool)), bench.clock
    )
    keeping = asyncio.create_task(camera.keep())
    assert await camera.found(5.0)
    keeping.cancel()
    bench.telescope.trains = {"main": replace(bench.telescope.trains["main"], camera=camera)}


def test_an_altazimuth_exposes_as_long_as_its_field_stands_still_and_no_longer(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await see(desk.bench, tmp_path)
        zenith = replace(desk.choice(480.0, hour_angle=-0.1), dec_deg=ZENITH_DEG)
        assert await desk.of(zenith) == 60.0
        east = replace(desk.choice(480.0, hour_angle=-70.0, name="east"), dec_deg=0.0)
        assert await desk.of(east) == 480.0

    at_desk(story, kind="altaz")


def test_an_equatorial_has_no_such_limit() -> None:
    async def story(desk: Desk) -> None:
        assert await desk.of(replace(desk.choice(480.0, hour_angle=-0.1), dec_deg=ZENITH_DEG)) == 480.0

    at_desk(story)


ADAPT: dict[str, Any] = {"adapt": True, "exposure_min_s": 30.0, "exposure_max_s": 480.0}


def test_an_exposure_that_adapts_is_as_short_as_the_read_out_allows() -> None:
    async def story(desk: Desk) -> None:
        desk.dark_adu = 5.0  # a variance of 25, so the sky has to bring 250
        choice = desk.choice(90.0, **ADAPT)
        assert await desk.of(choice) == 90.0  # nobody has seen the sky yet
        desk.time.hear(desk.under(1.0, 90.0))
        assert await desk.of(choice) == 360.0  # 250 s are needed
        assert desk.lengths == {"it/1": 360.0}
        desk.time.hear(desk.under(0.1, 360.0))
        assert await desk.of(choice) == 360.0  # 720 s would be over the bound
        desk.time.hear(desk.under(8.0, 90.0))
        assert await desk.of(choice) == 45.0
        desk.time.hear(desk.under(80.0, 45.0))
        assert await desk.of(choice) == 45.0  # halved once more it would be under the bound
        assert await desk.of(replace(choice, adapt=False)) == 90.0
        assert [note["exposure_s"] for note in desk.trace.notes if note["what"] == "adapted"] == [
            360.0,
            360.0,
            45.0,
            45.0,
        ]

    at_desk(story)


def test_a_frame_that_grows_ends_before_the_mount_has_to_change_sides() -> None:
    async def story(desk: Desk) -> None:
        desk.dark_adu = 5.0
        near = desk.choice(90.0, hour_angle=3.5, **ADAPT)
        desk.time.hear(desk.under(0.5, 90.0))
        assert await desk.of(near) == 360.0  # 1.5 degrees to the limit are 359.02 s and a bit
        nearer = replace(near, ra_deg=desk.bench.ra_at(4.0))
        assert await desk.of(nearer) == 180.0

    at_desk(story, flip_after_deg=5.0, track_past_meridian_deg=5.1)


def test_without_darks_an_exposure_stays_as_it_is() -> None:
    async def story(desk: Desk) -> None:
        desk.time.hear(desk.outcome(90.0, PEDESTAL_ADU))
        assert await desk.of(desk.choice(90.0, **ADAPT)) == 90.0

    at_desk(story)
