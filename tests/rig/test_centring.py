"""Centring: ends in the middle, within its bound of exposures, and never in a loop."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astrod.domain.plate import Sighting
from astrod.domain.site import MountSetup
from astrod.domain.sphere import separation_deg
from astrod.rig.centring import LONGER, Centred, Centring, tolerance_arcsec
from tests.rig.pointing_bench import Bench, at_bench

WITHIN = 60.0
TARGET = (120.0, 40.0)


def off_arcsec(bench: Bench) -> float:
    return 3600.0 * separation_deg(*bench.mount.sky, *TARGET)


async def centre(bench: Bench, exposures: list[float]) -> Centred:
    async def sight(exposure_s: float, thorough: bool) -> Sighting:
        exposures.append(exposure_s)
        await bench.clock.sleep(exposure_s)
        return bench.seen()

    await bench.telescope.slew(*TARGET, bench.permit)
    return await Centring(bench.telescope, sight, WITHIN).run(*TARGET, bench.permit)


@pytest.mark.parametrize("by", ["sync", "offset"])
@given(east=st.floats(-0.6, 0.6), north=st.floats(-0.6, 0.6))
@settings(max_examples=25, deadline=None)
def test_whatever_the_error_the_target_ends_in_the_middle(by: str, east: float, north: float) -> None:
    async def story(bench: Bench) -> tuple[Centred, float, int]:
        bench.mount.error_deg = (east, north)
        exposures: list[float] = []
        centred = await centre(bench, exposures)
        return centred, off_arcsec(bench), len(exposures)

    centred, off, exposures = at_bench(story, centre_by=by)
    assert centred.state == "centred"
    assert off <= WITHIN
    assert exposures <= 2


def test_a_mount_that_refuses_to_sync_is_centred_all_the_same() -> None:
    async def story(bench: Bench) -> float:
        bench.mount.syncs = False
        bench.mount.error_deg = (0.3, -0.2)
        assert (await centre(bench, [])).state == "centred"
        again = await bench.telescope.slew(TARGET[0] + 5.0, TARGET[1], bench.permit)
        assert separation_deg(again.ra_deg, again.dec_deg, TARGET[0] + 5.0, TARGET[1]) < 0.01
        assert separation_deg(*bench.mount.sky, TARGET[0] + 5.0, TARGET[1]) < 0.01  # what was learned stays
        await bench.telescope.slew(*TARGET, bench.permit)
        return off_arcsec(bench)

    assert at_bench(story) <= WITHIN


def test_a_mount_that_never_hits_is_given_up_after_its_tries() -> None:
    async def story(bench: Bench) -> tuple[Centred, int]:
        bench.mount.scatter_deg = 0.3
        exposures: list[float] = []
        return await centre(bench, exposures), len(exposures)

    centred, exposures = at_bench(story, centre_tries=4, on_target_arcmin=600.0)
    assert centred.state == "off"
    assert exposures == 4
    assert centred.off_arcsec is not None
    assert centred.off_arcsec > 1000.0


def test_unsolved_frames_are_exposed_longer_once_and_the_mounts_word_then_stands() -> None:
    async def story(bench: Bench) -> tuple[Centred, list[tuple[float, bool]], list[str]]:
        asked: list[tuple[float, bool]] = []

        async def sight(exposure_s: float, thorough: bool) -> Sighting:
            asked.append((exposure_s, thorough))
            return Sighting(None, 3)

        before = list(bench.events)
        found = await Centring(bench.telescope, sight, WITHIN).run(*TARGET, bench.permit)
        return found, asked, bench.events[len(before) :]

    centred, asked, moves = at_bench(story, centre_exposure_s=2.0)
    assert centred.state == "unsolved"
    assert asked == [(2.0, False), (2.0 * LONGER, True)]  # only the longer one looks all over the sky
    assert moves == []


def test_a_small_correction_is_not_looked_at_again() -> None:
    async def story(bench: Bench) -> int:
        bench.mount.error_deg = (0.0, 5.0 * WITHIN / 3600.0)
        exposures: list[float] = []
        await centre(bench, exposures)
        assert off_arcsec(bench) <= WITHIN
        return len(exposures)

    assert at_bench(story) == 1


def test_the_tolerance_follows_the_field_and_stays_inside_the_gate() -> None:
    assert tolerance_arcsec(MountSetup("sim://m", centre_within_arcsec=33.0), 3000.0, 2000.0) == 33.0
    assert tolerance_arcsec(MountSetup("sim://m"), 3000.0, 2000.0) == 100.0
    assert tolerance_arcsec(MountSetup("sim://m"), 300.0, 200.0) == 20.0
    assert tolerance_arcsec(MountSetup("sim://m", on_target_arcmin=2.0), 36000.0, 36000.0) == 60.0
