"""Guiding by ourselves on the simulated mount, whose true pointing is known."""

import asyncio
import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from astrod.domain.guiding import Calibration
from astrod.errors import GoSafe, Replan
from astrod.rig.dithering import Rhythm, aside, offset
from astrod.rig.guidebook import GuideBook
from astrod.rig.guiding import StarLost
from tests.rig.guide_bench import PLACE, SETUP, GuideBench, at_bench

POOR = {"periodic_arcsec": 8.0, "drift_arcsec_min": 3.0, "polar_error_arcmin": 3.0}
SCALE_ARCSEC = 206.265 * 7.4 / 200.0


def spread_arcsec(seen: Sequence[tuple[float, float]]) -> float:
    """RMS distance from the mean place."""
    east = sum(e for e, _ in seen) / len(seen)
    north = sum(n for _, n in seen) / len(seen)
    return math.sqrt(sum((e - east) ** 2 + (n - north) ** 2 for e, n in seen) / len(seen))


def test_guiding_holds_the_sky_where_the_mount_alone_drifts(tmp_path: Path) -> None:
    async def story(bench: GuideBench) -> None:
        await bench.slew()
        alone = await bench.look(4.0)
        state = await bench.guiding.begin(bench.permit)
        assert state.settled and state.scale_arcsec_px == pytest.approx(SCALE_ARCSEC)
        guided = await bench.look(4.0)
        assert spread_arcsec(alone) > 3.0, "the mount is a poor one"
        assert spread_arcsec(guided) < 1.5
        drift = math.dist(guided[-1], guided[0])
        assert drift < 3.0, "no drift is left"
        state = await bench.guiding.read()
        assert 0.0 < (state.rms_ra_arcsec or 0.0) < 3.0 and 0.0 < (state.rms_dec_arcsec or 0.0) < 3.0

    at_bench(story, tmp_path, **POOR)


def test_calibration_finds_rates_and_angle(tmp_path: Path) -> None:
    async def story(bench: GuideBench) -> None:
        await bench.slew()
        before = bench.truth
        await bench.guiding.begin(bench.permit)
        side = (await bench.mount.call("read", lambda mount: mount.read())).pier_side
        known = bench.book.find(side)
        assert known is not None and known.dec_deg == pytest.approx(PLACE[1], abs=0.5)
        guide_px_s = 0.5 * 15.04 / SCALE_ARCSEC
        assert math.hypot(*known.north) == pytest.approx(guide_px_s, rel=0.05)
        assert math.hypot(*known.west) == pytest.approx(guide_px_s * math.cos(math.radians(PLACE[1])), rel=0.08)
        assert known.angle_deg == pytest.approx(90.0, abs=5.0)
        off = bench.off_arcsec((before.ra_deg, before.dec_deg))
        assert math.hypot(*off) < 20.0, "and it has brought the star back"

    at_bench(story, tmp_path)


def test_a_calibration_is_kept_over_a_restart_and_for_its_optic(tmp_path: Path) -> None:
    book = GuideBook(tmp_path / "g.json", "camera 200 mm")
    east = Calibration((0.5, 0.1), (-0.1, 0.5), 10.0, "east")
    book.keep(east)
    assert GuideBook(tmp_path / "g.json", "camera 200 mm").find("east") == east
    assert GuideBook(tmp_path / "g.json", "camera 200 mm").find("west") is None
    assert GuideBook(tmp_path / "g.json", "camera 120 mm").find("east") is None
    book.forget("east")
    assert GuideBook(tmp_path / "g.json", "camera 200 mm").find("east") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"optic": "o"}', '{"optic": "o", "sides": [{"west": 3}]}'])
def test_a_spoilt_guide_book_is_an_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "g.json").write_text(text)
    assert GuideBook(tmp_path / "g.json", "o").find("east") is None


def test_what_cannot_be_a_calibration_is_not_believed(tmp_path: Path) -> None:
    side = {"west": [0.0, 0.0], "north": [0.0, 1.0], "dec_deg": 0.0, "pier_side": "east"}
    (tmp_path / "g.json").write_text(json.dumps({"optic": "o", "sides": [side]}))
    assert GuideBook(tmp_path / "g.json", "o").find("east") is None


def test_the_second_time_it_does_not_calibrate(tmp_path: Path) -> None:
    async def story(bench: GuideBench) -> None:
        await bench.slew()
        await bench.guiding.begin(bench.permit)
        first_s = bench.clock.monotonic_s()
        await bench.guiding.stop()
        await bench.slew((PLACE[0] + 5.0, PLACE[1] + 15.0))
        again_s = bench.clock.monotonic_s()
        await bench.guiding.begin(bench.permit)
        assert bench.clock.monotonic_s() - again_s < 25.0 < first_s

    at_bench(story, tmp_path)


def test_each_side_of_the_pier_has_its_own(tmp_path: Path) -> None:
    async def story(bench: GuideBench) -> None:
        for place in (PLACE, (PLACE[0] + 70.0, PLACE[1])):
            await bench.slew(place)
            await bench.guiding.begin(bench.permit)
            assert spread_arcsec(await bench.look(2.0)) < 1.5
            await bench.guiding.stop()
        east, west = bench.book.find("east"), bench.book.find("west")
        assert east is not None and west is not None
        assert east.north[0] * west.north[0] + east.north[1] * west.north[1] < 0.0, "the camera is upside down"

    at_bench(story, tmp_path, **POOR)


def test_a_dither_moves_the_sky_by_what_it_says_and_settles(tmp_path: Path) -> None:
    async def story(bench: GuideBench) -> None:
        await bench.slew()
        await bench.guiding.begin(bench.permit)
        start = bench.truth
        for number in range(1, 4):
            state = await bench.guiding.dither(5.0, bench.permit)
            assert state.settled
            off = math.hypot(*bench.off_arcsec((start.ra_deg, start.dec_deg)))
            wanted = math.hypot(*offset(number, 5.0)) * SCALE_ARCSEC
            assert off == pytest.approx(wanted, abs=8.0)

    at_bench(story, tmp_path)


def test_a_star_lost_in_cloud_is_a_pause(tmp_path: Path) -> None:
    async def story(bench: GuideBench) -> None:
        await bench.slew()
        await bench.guiding.begin(bench.permit)
        bench.cloudy = True
        state = await bench.until(lambda state: state.star_lost, 20.0)
        assert state.guiding and not state.settled
        place = await bench.mount.call("read", lambda mount: mount.read())
        await bench.clock.sleep(40.0)
        later = await bench.mount.call("read", lambda mount: mount.read())
        assert math.dist((place.ra_deg, place.dec_deg), (later.ra_deg, later.dec_deg)) < 2e-5, "no pulse without a star"
        bench.cloudy = False
        await bench.until(lambda state: state.settled and not state.star_lost, 60.0)

    at_bench(story, tmp_path)


def test_a_star_lost_for_too_long_is_told(tmp_path: Path) -> None:
    async def story(bench: GuideBench) -> None:
        await bench.slew()
        await bench.guiding.begin(bench.permit)
        bench.cloudy = True
        await bench.until(lambda state: state.star_lost, 20.0)
        began_s = bench.clock.monotonic_s()
        with pytest.raises(StarLost):
            await bench.guiding.await_settled()
        assert bench.clock.monotonic_s() - began_s == pytest.approx(SETUP.lost_s, abs=3.0)

    at_bench(story, tmp_path)


def test_a_mount_that_takes_no_pulses_fails_the_calibration_and_says_so(tmp_path: Path) -> None:
    async def story(bench: GuideBench) -> None:
        await bench.slew()

        async def deaf(towards: str, duration_s: float) -> None:
            """A guide port that is not plugged in."""

        bench.observatory._mounts["mount"].pulse = deaf  # type: ignore[assignment]
        with pytest.raises(Replan, match="check that the mount takes guide pulses"):
            await bench.guiding.begin(bench.permit)

    at_bench(story, tmp_path)


def test_a_wrong_calibration_is_noticed_and_forgotten(tmp_path: Path) -> None:
    async def story(bench: GuideBench) -> None:
        await bench.slew()
        side = (await bench.mount.call("read", lambda mount: mount.read())).pier_side
        bench.book.keep(Calibration((0.6, 0.5), (0.64, -0.76), PLACE[1], side))  # the right one, upside down
        await bench.guiding.begin(bench.permit)  # the error is small at first
        state = await bench.until(lambda state: not state.guiding, 400.0)
        assert "do not bring the star back" in state.trouble
        assert bench.book.find(side) is None
        await bench.guiding.begin(bench.permit)
        assert spread_arcsec(await bench.look(2.0)) < 1.5

    at_bench(story, tmp_path, drift_arcsec_min=20.0)


def test_guiding_ends_with_its_permit(tmp_path: Path) -> None:
    async def story(bench: GuideBench) -> None:
        await bench.slew()
        await bench.guiding.begin(bench.permit)
        bench.gate.become_unsafe()
        state = await bench.until(lambda state: not state.guiding, 10.0)
        assert "no longer safe" in state.trouble
        with pytest.raises(GoSafe):
            await bench.simulated.begin(bench.permit)

    at_bench(story, tmp_path)


def test_near_the_pole_it_asks_for_another_target_to_calibrate_on(tmp_path: Path) -> None:
    async def story(bench: GuideBench) -> None:
        await bench.slew((PLACE[0], 85.0))
        with pytest.raises(Replan, match="guide-calibrate"):
            await bench.guiding.begin(bench.permit)

    at_bench(story, tmp_path)


def test_a_slew_stops_the_guiding_first(tmp_path: Path) -> None:
    async def story(bench: GuideBench) -> None:
        telescope = bench.telescope(bench.guiding)
        await bench.slew()
        await bench.guiding.begin(bench.permit)
        await telescope.slew(PLACE[0] + 3.0, PLACE[1], bench.permit)
        assert not (await bench.auto.read()).guiding
        frames = bench.frames
        await bench.clock.sleep(30.0)
        assert bench.frames == frames, "no guide exposure goes on in the dark"

    at_bench(story, tmp_path)


def test_guide_frames_leave_nothing_in_the_spool(tmp_path: Path) -> None:
    async def story(bench: GuideBench) -> None:
        await bench.slew()
        await bench.guiding.begin(bench.permit)
        await bench.guiding.stop()
        await asyncio.sleep(0.0)
        assert list(bench.spool.iterdir()) == []

    at_bench(story, tmp_path)


def test_the_simulated_guider_holds_the_sky_too(tmp_path: Path) -> None:
    async def story(bench: GuideBench) -> None:
        await bench.slew()
        await bench.simulated.begin(bench.permit)
        assert spread_arcsec(await bench.look(4.0)) < 0.5
        start = bench.truth
        state = await bench.simulated.dither(5.0, bench.permit)
        assert state.settled and state.scale_arcsec_px is not None
        moved = math.hypot(*bench.off_arcsec((start.ra_deg, start.dec_deg)))
        assert moved == pytest.approx(5.0 * state.scale_arcsec_px, rel=0.05)
        await bench.simulated.stop()
        assert spread_arcsec(await bench.look(4.0)) > 3.0

    at_bench(story, tmp_path, **POOR)


# -- dithering -----------------------------------------------------------------------------------------------


def test_offsets_go_round_and_never_away() -> None:
    places = [offset(number, 10.0) for number in range(1, 200)]
    assert all(5.0 <= math.hypot(*place) <= 10.0 for place in places)
    assert min(math.dist(a, b) for a, b in itertools.pairwise(places)) > 5.0
    assert len({(round(x, 2), round(y, 2)) for x, y in places}) == len(places)
    assert offset(0, 10.0) == (0.0, 0.0)


def test_a_rhythm_counts_the_exposures_of_a_target() -> None:
    rhythm = Rhythm().on("M 31")
    assert not rhythm.is_due(2)
    assert not rhythm.taken().is_due(2)
    due = rhythm.taken().taken()
    assert due.is_due(2) and not due.is_due(0)
    assert not due.dithered().is_due(2) and due.dithered().number == 1
    assert due.on("M 31") == due and not due.on("M 33").is_due(1)


def test_aside_is_so_far_on_the_sky() -> None:
    ra_deg, dec_deg = aside(359.999, 60.0, 1, 30.0)
    east = ((ra_deg - 359.999 + 180.0) % 360.0 - 180.0) * 0.5 * 3600.0
    wanted = offset(1, 30.0)
    assert (east, (dec_deg - 60.0) * 3600.0) == (pytest.approx(wanted[0], abs=1e-6), pytest.approx(wanted[1], abs=1e-6))
