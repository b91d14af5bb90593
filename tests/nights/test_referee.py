"""The referee, shown a daemon that does what it must not: each rule must be able to say no."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from astrod.config.load import load
from astrod.daemon import resolve_name
from astrod.domain.darkness import dark_time
from astrod.domain.identity import Night
from astrod.domain.instant import HOUR_US, MINUTE_US, SECOND_US
from astrod.domain.site import Darkness
from astrod.domain.sphere import sidereal_deg
from astrod.rehearsal.lots import Lot, Shape, draw, write
from astrod.rehearsal.referee import CLOSED_WITHIN_S, STUCK_MIN, Claim, Referee, Verdict
from astrod.rehearsal.simulator import setup_of
from astrod.runtime.clock import SimClock, VirtualLoop, run_virtual
from astrod_drivers.permit import EpochCell
from astrod_drivers.protocols import Permit, Shot
from astrod_drivers.sim.faults import Fault
from astrod_drivers.sim.mount import SimMount
from astrod_drivers.sim.observatory import Observatory
from astrod_drivers.sim.scene import Scene

PLAIN: Lot = replace(
    draw(1, 0),
    name="pujalt",
    place=replace(draw(1, 0).place, latitude_deg=41.72, longitude_deg=1.42),
    night=Night.parse("2026-12-14"),
    weather="clear",
    shape=Shape(),
    hours=None,
    faults=(),
)
TARGET = 83.8, 40.0
"""High in the south-east two hours after dusk."""


async def _nothing_rendered(scene: Scene, path: Path) -> None:
    _leave_empty(path)


def _leave_empty(path: Path) -> None:
    path.write_bytes(b"")


@dataclass
class Bench:
    """An observatory under the referee's eyes, two hours into the dark, and the devices as a session has them."""

    observatory: Observatory
    referee: Referee
    clock: SimClock
    gate: EpochCell
    root: Path

    @property
    def permit(self) -> Permit:
        return Permit(self.gate.epoch)

    def device(self, name: str) -> Any:
        return self.referee.overhear(name, self.observatory.device(name))

    async def open_up(self) -> None:
        await self.device("roof").open(self.permit)
        await self.wait(40.0)
        await self.device("mount").unpark(self.permit)
        await self.device("mount").slew(*TARGET, self.permit)
        await self.wait(60.0)

    async def close_down(self) -> None:
        await self.device("mount").park()
        await self.wait(90.0)
        await self.device("roof").close()
        await self.wait(40.0)

    async def wait(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    async def expose(self, number: int, seconds: float) -> None:
        await self.device("camera").expose(Shot(f"frame{number}", seconds), self.permit)
        await self.wait(seconds + 2.0)


Play = Callable[[Bench], Awaitable[Any]]


def judged(
    folder: Path,
    play: Play,
    lot: Lot = PLAIN,
    faults: tuple[Fault, ...] = (),
    claims: tuple[Claim, ...] = (),
    unexplained_min: float = 0.0,
    after_dusk_h: float = 2.0,
    alarms: tuple[str, ...] = (),
) -> Verdict:
    """The verdict on a night in which the daemon is `play`, which shows these troubles all the time."""
    write(lot, folder, folder)
    loaded = load(folder, resolve_name)
    dark = dark_time(loaded.site.place, loaded.site.darkness, lot.night)

    async def night(loop: VirtualLoop) -> Verdict:
        clock = SimClock(loop, dark.dusk_us + round(after_dusk_h * HOUR_US))
        gate = EpochCell()
        gate.become_safe()
        observatory = Observatory(setup_of(loaded, faults=faults), clock, gate, folder, _nothing_rendered)
        observatory.faults.on_host = lambda running, begins: None
        referee = Referee(loaded.site, loaded.targets, dark, observatory, clock, lambda: alarms)
        observatory.play_faults({"dusk": dark.dusk_us, "dawn": dark.dawn_us})
        watching = loop.create_task(referee.watch())
        await play(Bench(observatory, referee, clock, gate, folder))
        watching.cancel()
        verdict = await referee.verdict(folder, claims, unexplained_min)
        await observatory.close()
        return verdict

    return run_virtual(night)  # type: ignore[no-any-return]


def said(verdict: Verdict) -> str:
    return "; ".join(found.what for found in verdict.broken)


async def well_behaved(bench: Bench) -> None:
    await bench.open_up()
    for number in range(3):
        await bench.expose(number, 120.0)
    await bench.close_down()


def test_has_nothing_against_a_night_in_order(tmp_path: Path) -> None:
    verdict = judged(tmp_path, well_behaved)
    assert verdict.broken == ()
    assert verdict.usable_min > 4.0


def test_a_roof_told_to_move_over_an_unparked_mount(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        await bench.open_up()
        await bench.device("roof").close()
        await bench.wait(60.0)
        await bench.close_down()

    broken = said(judged(tmp_path, play))
    assert "the roof was told to move over mount" in broken
    assert "the roof moved over mount" in broken


def test_the_same_is_right_where_the_roof_clears_the_mount(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        await bench.open_up()
        await bench.device("roof").close()
        await bench.device("mount").park()
        await bench.wait(90.0)

    clearing = replace(PLAIN, shape=Shape(clears=True))
    assert judged(tmp_path, play, clearing).broken == ()


@pytest.mark.parametrize("method", ["unpark", "slew"])
def test_a_mount_told_to_move_under_a_closed_roof(tmp_path: Path, method: str) -> None:
    async def play(bench: Bench) -> None:
        await bench.device("mount").unpark(bench.permit)
        if method == "slew":
            await bench.device("mount").slew(*TARGET, bench.permit)
        await bench.wait(60.0)
        await bench.close_down()

    broken = said(judged(tmp_path, play))
    assert f"mount was told to {method} under a closed roof" in broken
    assert "was not parked under a closed roof" in broken


def _rain(minutes: float) -> Fault:
    return Fault("rain", at="start+00:05:00", lasts_s=60.0 * minutes)


def test_nothing_commanded_in_the_rain(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        await bench.open_up()
        await bench.wait(900.0)
        await bench.close_down()

    broken = said(judged(tmp_path, play, faults=(_rain(30.0),)))
    assert "nothing was commanded toward safety" in broken
    assert "the site was not safe" in broken


def test_commanded_in_time_but_never_closed(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        await bench.open_up()
        await bench.wait(225.0)
        await bench.device("mount").park()
        await bench.wait(CLOSED_WITHIN_S + 120.0)
        await bench.device("roof").close()
        await bench.wait(40.0)

    broken = said(judged(tmp_path, play, faults=(_rain(30.0),)))
    assert "nothing was commanded" not in broken
    assert "the site was not safe" in broken


def test_closing_in_time(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        await bench.open_up()
        await bench.wait(215.0)
        await bench.close_down()
        await bench.wait(600.0)

    assert judged(tmp_path, play, faults=(_rain(30.0),)).broken == ()


def test_a_roof_that_sticks_for_good_is_nobodys_fault(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        await bench.open_up()
        await bench.wait(215.0)
        await bench.close_down()
        await bench.wait(1200.0)

    stuck = Fault("roof_sticks", "roof", at="start+00:03:00", until="never")
    assert judged(tmp_path, play, faults=(_rain(30.0), stuck), alarms=("AST-110",)).broken == ()
    broken = said(judged(tmp_path, play, faults=(_rain(30.0), stuck), alarms=("AST-201",)))
    assert broken == "the site cannot be made safe, and no alarm says so"


def test_a_daemon_that_is_dead_commands_nothing_and_lives_again_under_the_same_rules(tmp_path: Path) -> None:
    away_s = 400.0

    def closing_after(seconds: float) -> Play:
        async def play(bench: Bench) -> None:
            await bench.open_up()
            await bench.wait(140.0 + away_s + seconds)  # it dies 40 s before the rain
            await bench.close_down()
            await bench.wait(1200.0)

        return play

    dead = Fault("daemon_crash", at="start+00:04:20", amount=away_s)
    assert judged(tmp_path / "soon", closing_after(60.0), faults=(_rain(60.0), dead)).broken == ()
    broken = said(judged(tmp_path / "late", closing_after(600.0), faults=(_rain(60.0), dead)))
    assert "nothing was commanded toward safety" in broken
    assert "the site was not safe" in broken


def test_nothing_can_be_told_to_a_mount_that_is_gone(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        await bench.open_up()
        await bench.wait(900.0)

    gone = Fault("crash", "mount", at="start+00:03:00", until="never")
    told = said(judged(tmp_path / "gone", play, faults=(_rain(30.0), gone), alarms=("AST-120",)))
    assert "nothing was commanded" not in told
    wheel = Fault("crash", "wheel", at="start+00:03:00", until="never")
    told = said(judged(tmp_path / "there", play, faults=(_rain(30.0), wheel), alarms=("AST-120",)))
    assert "nothing was commanded toward safety" in told


def test_a_silent_station_is_as_bad_as_rain(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        await bench.open_up()
        await bench.wait(1500.0)
        await bench.close_down()

    silent = Fault("stale", "weather", at="start+00:04:00", lasts_s=3600.0)
    assert "nothing was commanded toward safety" in said(judged(tmp_path, play, faults=(silent,)))


def test_a_fault_that_the_daemon_can_mend_excuses_for_a_while_only(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        await bench.open_up()
        await bench.wait(1500.0)

    hung = Fault("hang", "roof", at="start+00:03:00", until="restart")
    broken = said(judged(tmp_path, play, faults=(_rain(30.0), hung)))
    assert "the site was not safe" in broken
    assert "the night ended with the roof not closed" in broken


def test_the_end_of_the_night(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        await bench.device("camera").cool(-10.0)
        await bench.open_up()

    broken = said(judged(tmp_path, play, unexplained_min=3.5))
    assert "the night ended with mount not parked" in broken
    assert "the night ended with the roof not closed" in broken
    assert "the night ended with the cooler of camera on" in broken
    assert "3.5 dark minutes are unexplained" in broken


def test_a_site_that_is_left_open_is_told_of(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        await bench.open_up()
        await bench.wait(200.0)

    lost = (Fault("vanish", "mount", at="start+00:04:00", until="never"),)
    assert judged(tmp_path, play, faults=lost, alarms=("AST-206",)).broken == ()
    assert said(judged(tmp_path, play, faults=lost)) == "the site cannot be made safe, and no alarm says so"


def test_a_mount_that_tracks_far_past_the_meridian_on_the_wrong_side(tmp_path: Path) -> None:
    def following(flips: bool, minutes: float) -> Play:
        async def play(bench: Bench) -> None:
            mount = bench.observatory.bare("mount")
            assert isinstance(mount, SimMount)
            await bench.open_up()
            at_us = bench.clock.now_us()
            ra_deg = (sidereal_deg(at_us, PLAIN.place.longitude_deg) + 5.0) % 360.0
            await bench.device("mount").slew(ra_deg, 30.0, bench.permit)
            mount.flips = flips  # one that does not flip knows no limit of its own
            await bench.device("mount").slew(ra_deg - 3.0, 30.0, bench.permit)
            await bench.wait(60.0 * minutes)
            await bench.close_down()

        return play

    assert "meridian" not in said(judged(tmp_path / "a", following(True, 80.0)))  # it stops by itself
    assert "meridian" not in said(judged(tmp_path / "b", following(False, 30.0)))
    assert "mount tracked past its meridian limit" in said(judged(tmp_path / "c", following(False, 50.0)))


def test_an_open_roof_by_day(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        await bench.device("roof").open(bench.permit)
        await bench.wait(60.0)

    assert "the roof was open with the Sun up" in said(judged(tmp_path, play, after_dusk_h=16.0))


def test_idle_under_a_clear_sky(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        await bench.open_up()
        await bench.wait((STUCK_MIN + 10.0) * 60.0)
        await bench.close_down()

    assert "nothing was exposed for" in said(judged(tmp_path, play))


def _claim(folder: Path, name: str, started_us: int = 0, content: bytes = b"frame", **facts: Any) -> Claim:
    path = folder / "frames" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return Claim(name, f"frames/{name}", hashlib.sha256(content).hexdigest(), started_us, 60.0, True, **facts)


def test_frames_on_disk(tmp_path: Path) -> None:
    good, twice, spoilt = (_claim(tmp_path, f"{name}.fits") for name in ("good", "twice", "spoilt"))
    (tmp_path / "frames/spoilt.fits").write_bytes(b"another")
    (tmp_path / "frames/nobodys.fits").write_bytes(b"?")
    lost = replace(good, id="lost", path="frames/lost.fits")
    broken = said(judged(tmp_path, well_behaved, claims=(good, twice, twice, spoilt, lost)))
    assert "a frame is recorded twice" in broken
    assert "spoilt.fits is recorded and not whole on disk" in broken
    assert "lost is recorded and not whole on disk" in broken
    assert "nobodys.fits is on disk and not recorded" in broken
    assert "good.fits" not in broken


def test_a_light_frame_kept_from_under_the_roof(tmp_path: Path) -> None:
    dark = dark_time(PLAIN.place, Darkness(), PLAIN.night)
    start_us = dark.dusk_us + 2 * HOUR_US
    open_us, shut_us = start_us + 3 * MINUTE_US, start_us + 10 * SECOND_US
    claims = (
        _claim(tmp_path, "open.fits", open_us),
        _claim(tmp_path, "shut.fits", shut_us),
        _claim(tmp_path, "dark.fits", shut_us, b"dark", kind="dark"),
    )
    broken = said(judged(tmp_path, well_behaved, claims=claims))
    assert broken == "shut.fits was kept although the roof was not open"


async def _exposing_beside(bench: Bench) -> None:
    """Two exposures on target, and two half a degree beside it."""
    await bench.open_up()
    for number in range(4):
        if number == 2:
            await bench.device("mount").slew(TARGET[0], TARGET[1] + 0.5, bench.permit)
            await bench.wait(40.0)
        await bench.expose(number, 60.0)
    await bench.close_down()


def _lights(folder: Path) -> tuple[Claim, ...]:
    """The frames of `_exposing_beside`, of the same target."""
    dark = dark_time(PLAIN.place, Darkness(), PLAIN.night)
    start_us = dark.dusk_us + 2 * HOUR_US
    begun_s = 100, 162, 264, 326
    return tuple(
        _claim(
            *(folder, f"{number}.fits", start_us + seconds * SECOND_US, f"{number}".encode()),
            ra_deg=TARGET[0],
            dec_deg=TARGET[1],
            rig="rig1",
        )
        for number, seconds in enumerate(begun_s)
    )


def test_a_light_frame_kept_beside_its_target(tmp_path: Path) -> None:
    broken = said(judged(tmp_path, _exposing_beside, claims=_lights(tmp_path)))
    assert (
        broken
        == "2.fits was kept although it was 30' off its target; 3.fits was kept although it was 30' off its target"
    )


def test_no_star_tells_under_cloud_that_a_frame_is_beside_its_target(tmp_path: Path) -> None:
    cloud = Fault("cloud", at="start+00:00:30", lasts_s=600.0, amount=70.0)
    assert judged(tmp_path, _exposing_beside, claims=_lights(tmp_path), faults=(cloud,)).broken == ()


def test_frames_with_the_time_of_a_wrong_clock_are_where_they_truly_were(tmp_path: Path) -> None:
    wrong = Fault("clock_step", at="start+00:00:10", amount=-110.0, mode="silent")
    told = tuple(replace(claim, started_us=claim.started_us - 110 * SECOND_US) for claim in _lights(tmp_path)[2:])
    assert "30' off" in said(judged(tmp_path / "wrong", _exposing_beside, claims=told, faults=(wrong,)))
    assert "30' off" not in said(judged(tmp_path / "right", _exposing_beside, claims=told))


def test_a_roof_that_lies_half_open_is_believed_and_one_that_is_shut_is_not(tmp_path: Path) -> None:
    dark = dark_time(PLAIN.place, Darkness(), PLAIN.night)
    claims = (_claim(tmp_path, "seen.fits", dark.dusk_us + 2 * HOUR_US + 120 * SECOND_US),)
    half, shut = (
        Fault("roof_lies", "roof", at=f"start+00:00:{second:02}", lasts_s=300.0) for second in (10, 0)
    )  # it opens within half a minute
    assert "not open" not in said(judged(tmp_path, well_behaved, claims=claims, faults=(half,)))
    assert "seen.fits was kept although the roof was not open" in said(
        judged(tmp_path, well_behaved, claims=claims, faults=(shut,))
    )


def test_counts_the_minutes_in_which_a_frame_on_disk_was_exposed(tmp_path: Path) -> None:
    dark = dark_time(PLAIN.place, Darkness(), PLAIN.night)
    middle_us = dark.dusk_us + 2 * HOUR_US + 6 * MINUTE_US
    claims = (_claim(tmp_path, "one.fits", middle_us), _claim(tmp_path, "test.fits", middle_us, b"t", kind="test"))
    verdict = judged(tmp_path, well_behaved, claims=claims)
    assert verdict.observed_min == pytest.approx(1.0)
    assert verdict.usable_min > verdict.observed_min
