"""Guiding between exposures: what happens when it cannot be had."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from astrod.domain.site import GuiderSetup
from astrod.errors import Replan
from astrod.guidance import AGAIN_S, Guidance
from astrod.health import Health
from astrod.occupation import Occupation
from astrod.runtime.trace import Trace
from tests.rig.guide_bench import PLACE, SETUP, GuideBench, at_bench

NO_DITHER = (0.0, 1)


class Desk:
    """A rig at the bench, guided by our own guider."""

    def __init__(self, bench: GuideBench) -> None:
        self.bench = bench
        self.trace = Trace(bench.clock)
        self.health = Health(bench.clock, self.trace)
        self.occupation = Occupation("main", bench.clock)
        self.telescope = bench.telescope(bench.guiding)
        self.guidance = Guidance(self.telescope, self.health, self.trace, bench.clock, self.occupation)

    async def before(self, dither: tuple[float, int] = NO_DITHER) -> None:
        await self.guidance.before("M 31", PLACE, "main", dither, self.bench.permit)

    @property
    def codes(self) -> list[str]:
        return [finding.code for finding in self.health.findings]


def at_desk(story: Callable[[Desk], Awaitable[None]], folder: Path, setup: GuiderSetup = SETUP) -> None:
    async def told(bench: GuideBench) -> None:
        await bench.slew()
        await story(Desk(bench))

    at_bench(told, folder, setup)


def deafen(bench: GuideBench) -> None:
    async def deaf(towards: str, duration_s: float) -> None:
        """No cable to the guide port."""

    bench.observatory._mounts["mount"].pulse = deaf  # type: ignore[assignment]


def test_a_guider_that_fails_is_said_and_left_alone_for_a_while(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        deafen(desk.bench)
        await desk.before()
        assert desk.codes == ["AST-230"]
        frames = desk.bench.frames
        await desk.before()
        assert desk.bench.frames == frames, "not tried again at once"
        await desk.bench.clock.sleep(AGAIN_S)
        await desk.before()
        assert desk.bench.frames > frames

    at_desk(story, tmp_path)


def test_where_guiding_is_required_there_is_no_exposure_without(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        deafen(desk.bench)
        for _ in range(2):
            with pytest.raises(Replan, match="guiding is required"):
                await desk.before()

    at_desk(story, tmp_path, replace(SETUP, required=True))


def test_a_cloud_holds_the_exposure_then_lets_it_go_unguided(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.before()
        assert desk.codes == []
        desk.bench.cloudy = True
        await desk.bench.clock.sleep(15.0)
        began_s = desk.bench.clock.monotonic_s()
        await desk.before()
        assert desk.bench.clock.monotonic_s() - began_s == pytest.approx(SETUP.lost_s, abs=5.0)
        assert desk.codes == ["AST-231"]
        desk.bench.cloudy = False
        await desk.bench.clock.sleep(AGAIN_S)
        await desk.before()
        assert desk.codes == [], "and it is mended by guiding again"

    at_desk(story, tmp_path)


def test_it_settles_and_dithers_between_exposures(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        guiding = desk.telescope.guiding
        assert guiding is not None
        await desk.before((6.0, 1))
        assert (await guiding.read()).settled
        desk.guidance._rhythm = desk.guidance._rhythm.taken()
        await desk.before((6.0, 1))
        notes = [note["what"] for note in desk.trace.notes]
        assert notes.count("dither") == 1 and (await guiding.read()).settled
        await desk.guidance.stop()
        assert not (await guiding.read()).guiding

    at_desk(story, tmp_path)


def test_the_error_is_told_while_the_mount_is_guided_and_not_otherwise(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        guiding = desk.telescope.guiding
        assert guiding is not None
        assert await guiding.errors_arcsec() == {} and guiding.seen is None
        await desk.before()
        await desk.bench.clock.sleep(30.0)
        errors = await guiding.errors_arcsec()
        assert set(errors) == {"rms_arcsec", "rms_ra_arcsec", "rms_dec_arcsec"}
        assert 0.0 < errors["rms_ra_arcsec"] < errors["rms_arcsec"] < 5.0
        assert guiding.seen is not None and guiding.seen.rms_arcsec == errors["rms_arcsec"]
        desk.bench.cloudy = True
        await desk.bench.clock.sleep(15.0)
        assert await guiding.errors_arcsec() == {}
        await desk.guidance.stop()
        assert guiding.seen is None

    at_desk(story, tmp_path)
