"""Nights in which the daemon's host fails: killed, without power, with a full disk, with a wrong clock."""

import asyncio
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from astrod.archive.archive import Archive
from astrod.config.load import load
from astrod.daemon import resolve_name
from astrod.domain.identity import Night
from astrod.errors import Bug, InputInvalid, TellOperator
from astrod.frames.store import write_whole
from astrod.rehearsal.disk import on_bad_disk
from astrod.rehearsal.host import Host, own_tasks
from astrod.rehearsal.night import faults_in, play_configured
from astrod.rehearsal.observatory import Play, write_simulated
from astrod.rehearsal.simulator import setup_of
from astrod.rehearsal.sites import known
from astrod.runtime.clock import SimClock, VirtualLoop, run_virtual
from astrod.runtime.offload import Cost, VirtualOffload
from astrod_drivers.sim.faults import Fault
from astrod_drivers.sim.injector import Running
from astrod_drivers.sim.setup import Outlet, SwitchSetup
from tests.nights.observatories import Sketch, assert_in_order

NIGHT = "2026-12-14"
EXAMPLE = Path(__file__).parents[2] / "etc/examples/faults.toml"


def host(loop: VirtualLoop, data: Path) -> Host:
    loop.set_task_factory(own_tasks)
    return Host(SimClock(loop, 0), data)


def strike(kind: str, **more: object) -> Running:
    return Running(Fault(kind, at="start", **more), 0, "idle")  # type: ignore[arg-type]


# -- the host's parts --------------------------------------------------------------------------------------------


def test_a_killed_daemon_does_nothing_more_and_starts_again(tmp_path: Path) -> None:
    done: list[str] = []

    async def main(loop: VirtualLoop) -> None:
        there = host(loop, tmp_path)
        lanes = there.offload(VirtualOffload(SimClock(loop, 0), 1))

        async def tidy() -> None:
            try:
                await asyncio.sleep(3600.0)
            finally:
                await lanes.run("archive", Cost(0.1, 1.0), done.append, "tidied up")

        async def live() -> None:
            done.append("live")
            tidying = asyncio.create_task(tidy())
            await lanes.run("archive", Cost(0.1, 1.0), done.append, "wrote")
            await tidying

        loop.call_later(60.0, there.strike, strike("daemon_crash", amount=7.0), True)
        life = there.life
        assert await there.live(live) == 7.0
        assert loop.time() == 60.0
        assert not life.tasks
        assert there.life is not life

        async def end() -> None:
            done.append("ended")

        assert await there.live(end) is None

    run_virtual(main)
    assert done == ["live", "wrote", "ended"]


def test_a_task_that_will_not_die_is_named(tmp_path: Path) -> None:
    async def main(loop: VirtualLoop) -> None:
        there = host(loop, tmp_path)

        async def stubborn() -> None:
            while there.disk is None:
                try:
                    await asyncio.sleep(1.0)
                except asyncio.CancelledError:
                    continue

        loop.call_later(5.0, there.life.kill, 1.0)
        with pytest.raises(Bug, match="daemon"):
            await there.live(stubborn)
        there.disk = "full"  # lets it go

    run_virtual(main)


def test_an_error_of_the_daemon_is_the_nights(tmp_path: Path) -> None:
    async def main(loop: VirtualLoop) -> None:
        async def broken() -> None:
            raise Bug("ours")

        with pytest.raises(Bug, match="ours"):
            await host(loop, tmp_path).live(broken)

    run_virtual(main)


def test_the_clock_goes_wrong_and_right_again(tmp_path: Path) -> None:
    loop = VirtualLoop()
    clock = SimClock(loop, 1_000_000)

    async def main() -> None:
        there = Host(clock, tmp_path)
        for mode, told in (("told", True), ("silent", False)):
            fault = strike("clock_step", amount=-30.0, mode=mode)
            there.strike(fault, True)
            assert (clock.now_us(), there.clock_told_wrong) == (-29_000_000, told)
            there.strike(fault, False)
            assert (clock.now_us(), there.clock_told_wrong) == (1_000_000, False)

    loop.run_until_complete(main())
    loop.close()


@pytest.mark.parametrize(("hurry", "counts"), [(False, True), (True, False)])
def test_the_clock_counts_in_a_played_night_and_not_in_a_demonstration(
    tmp_path: Path, hurry: bool, counts: bool
) -> None:
    write_simulated(tmp_path, known("pujalt"), Play(), tmp_path, hurry=hurry)
    assert (load(tmp_path, resolve_name).site.time.error_max_s > 0.0) is counts


@pytest.mark.parametrize(("state", "number"), [("full", errno.ENOSPC), ("read_only", errno.EROFS)])
def test_a_bad_disk_refuses_what_is_new_and_shows_what_is_old(tmp_path: Path, state: str, number: int) -> None:
    old, new = tmp_path / "old", tmp_path / "folder/new"
    write_whole(old, iter([b"here"]))
    with pytest.raises(OSError, match="folder") as caught:
        on_bad_disk(state, tmp_path, write_whole, new, iter([b"there"]))  # type: ignore[arg-type]
    assert caught.value.errno == number
    assert on_bad_disk(state, tmp_path, old.read_bytes) == b"here"  # type: ignore[arg-type]
    if state == "full":
        on_bad_disk("full", tmp_path, old.unlink)  # removing frees space
    else:
        with pytest.raises(OSError, match="old"):
            on_bad_disk("read_only", tmp_path, old.unlink)
    write_whole(new, iter([b"there"]))


def test_the_archive_hears_of_a_bad_disk_and_goes_on_when_it_is_good_again(tmp_path: Path) -> None:
    archive = Archive.open(tmp_path / "archive.db")
    night = Night.parse(NIGHT)
    try:
        with pytest.raises(TellOperator, match="disk"):
            on_bad_disk("full", tmp_path, archive.open_night, night, 1)
        archive.open_night(night, 2)
    finally:
        archive.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of one megabyte, where we may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may mount a small disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_the_real_thing_fails_alike(small_disk: Path) -> None:
    """A disk that is really full, then really read-only: the errors that `on_bad_disk` stands in for."""
    write_whole(small_disk / "old", iter([b"here"]))
    with pytest.raises(OSError, match="No space") as caught:
        write_whole(small_disk / "new", iter([bytes(2 << 20)]))
    assert caught.value.errno == errno.ENOSPC
    assert [path.name for path in small_disk.iterdir()] == ["old"]
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(OSError, match="Read-only") as caught:
        write_whole(small_disk / "new", iter([b"there"]))
    assert caught.value.errno == errno.EROFS
    assert (small_disk / "old").read_bytes() == b"here"


# -- files and nights --------------------------------------------------------------------------------------------


def test_the_example_is_right() -> None:
    assert len(faults_in(EXAMPLE)) >= 5


def test_a_wrong_file_or_device_is_said(tmp_path: Path) -> None:
    (tmp_path / "faults.toml").write_text('[[fault]]\nkind = "hagn"\ndevice = "camera"\nat = "dusk"\n')
    with pytest.raises(InputInvalid, match=r"faults\.toml: fault 1: .*'hang'"):
        faults_in(tmp_path / "faults.toml")
    with pytest.raises(InputInvalid, match="name a file"):
        faults_in(tmp_path / "nowhere.toml")
    with pytest.raises(InputInvalid, match="'camera'"):
        play_configured(
            Sketch(tmp_path / "night").folder, Night.parse(NIGHT), tmp_path, faults=(Fault("hang", "camra", at="dusk"),)
        )


def test_an_outlet_of_the_configuration_feeds_what_is_plugged_into_it(tmp_path: Path) -> None:
    sketch = Sketch(tmp_path / "night").replace("readout_s = 1.0", 'readout_s = 1.0\npower = "sim://switch#camera"')
    setup = setup_of(load(sketch.folder, resolve_name))
    assert setup.switch == SwitchSetup("switch", (Outlet("camera", ("camera",)),))


def played(folder: Path, minutes: float, *faults: Fault, alone: bool = True) -> dict[str, object]:
    sketch = Sketch(folder, seed=7).dark_for(minutes, NIGHT)
    return play_configured(sketch.folder, Night.parse(NIGHT), folder / "spool", 2.0, faults, alone)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_night_survives_its_host_and_is_the_same_again(tmp_path: Path) -> None:
    faults = (
        Fault("daemon_crash", when="exposing", nth=6, after_s=2.0),
        Fault("disk_read_only", at="dusk+00:04:00", lasts_s=60.0),
        Fault("clock_step", at="dusk+00:06:00", lasts_s=60.0, mode="silent", amount=4.0),
        Fault("power_cut", at="dusk+00:07:30", mode="site"),
    )
    first = played(tmp_path / "a", 26.0, *faults, alone=False)
    assert [str(fault["kind"]) for fault in first["faults_injected"]] == [  # type: ignore[attr-defined]
        "daemon_crash",
        "disk_read_only",
        "clock_step",
        "power_cut",
    ]
    assert_in_order(first)
    assert first["frames"]["kept"] >= 3  # type: ignore[index]
    again = played(tmp_path / "b", 26.0, *faults)
    assert again["trace_sha256"] == first["trace_sha256"]


@pytest.mark.slow
@pytest.mark.xdist_group("nights 1")
def test_a_night_whose_disk_fails_as_it_ends_is_closed_when_the_disk_is_good_again(tmp_path: Path) -> None:
    told = played(tmp_path, 5.0, Fault("disk_read_only", when="parking", lasts_s=300.0))
    assert [fault["kind"] for fault in told["faults_injected"]] == ["disk_read_only"]  # type: ignore[attr-defined]
    assert_in_order(told)


@pytest.mark.slow
@pytest.mark.xdist_group("nights 1")
def test_a_daemon_that_dies_as_the_night_ends_leaves_no_camera_cold(tmp_path: Path) -> None:
    told = played(tmp_path, 5.0, Fault("power_cut", when="closing", after_s=5.0))
    assert [fault["phase"] for fault in told["faults_injected"]] == ["closing"]  # type: ignore[attr-defined]
    assert_in_order(told)
