"""Lost nights, cameras and drivers: rows S5, S7, S10, 1 to 15, 30, 33 to 36, 41 and 42; recovery.md has the table."""

import asyncio
import configparser
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from astrod.archive.archive import Archive
from astrod.config.settings import ModelSettings
from astrod.domain.exposure import Intent, Judgement, Measured, Taken
from astrod.domain.identity import ExposureId, Night
from astrod.domain.recovery import Ladder, Rung
from astrod.domain.site import CameraSetup, FocuserSetup, MountSetup, Rig, Train
from astrod.errors import AstrodError, OutcomeUnknown, RecoverDevice, Replan, TellOperator
from astrod.frames.admission import Circumstances
from astrod.health import Health
from astrod.journey import Journey, Outcome
from astrod.recording import Recording
from astrod.rig.exposing import ABORTED_S, ASIDE_S, READOUT_MARGIN_S, Exposed, Exposing
from astrod.rig.port import Port
from astrod.rig.telescope import Telescope, TrainPorts
from astrod.runtime.clock import SimClock, VirtualLoop, WallClock, run_virtual
from astrod.runtime.offload import VirtualOffload, WorkerLost
from astrod.runtime.supervise import Ready, Service, supervise
from astrod.runtime.trace import Trace
from astrod_drivers.indi.fifo import restart_driver
from astrod_drivers.indi.server import missing
from astrod_drivers.permit import EpochCell
from astrod_drivers.protocols import CameraInfo, CameraState, MountState, Permit, RawFrame
from tests.frames.exposures import STARTED_US, exposure_of
from tests.rig.devices import MIDNIGHT_US, FakeCamera, FakeFocuser, FakeMount, FakeSwitch, KillableSession
from tests.spine.test_reconcile import restarted

ROOT = Path(__file__).parents[2]
NIGHT = Night.parse("2026-12-14")
PERMIT = Permit(1)
EXPOSURE_S = 30.0
LADDER = Ladder((Rung("reconnect"), Rung("restart", wait_s=1.0), Rung("restart_driver", wait_s=2.0)))


class Hut:
    """A telescope of fakes whose camera's driver can be started anew, and the real exposing on it."""

    def __init__(self, loop: VirtualLoop, folder: Path) -> None:
        self.clock = SimClock(loop, MIDNIGHT_US)
        self.events: list[str] = []
        self.camera = FakeCamera(self.clock, self.events, folder)
        self.mount = FakeMount(self.clock, self.events, EpochCell())
        self.focuser = FakeFocuser(self.clock, self.events)
        self.session = KillableSession(self.camera)
        train = Train("main", CameraSetup("sim://camera", cool_to_c=-10.0), 400.0, 80.0, FocuserSetup("sim://focuser"))
        self.camera_port: Port[Any] = Port(
            "camera", "camera", "sim://camera", self.session, self.clock, LADDER, {"restart_driver": self._new_driver}
        )
        self.ports: list[Port[Any]] = [
            self.camera_port,
            Port("mount", "mount", "sim://mount", KillableSession(self.mount), self.clock),
            Port("focuser", "focuser", "sim://focuser", KillableSession(self.focuser), self.clock),
        ]
        rig = Rig("main", MountSetup("sim://mount"), (train,))
        ports = TrainPorts(train, self.camera_port, self.ports[2])
        self.telescope = Telescope(rig, self.ports[1], {"main": ports}, self.clock)
        self.exposing = Exposing(self.telescope, self.clock)
        self._count = 0

    async def _new_driver(self) -> None:
        """A new driver process: whatever hung in the old one is over."""
        self.events.append("new driver")
        self.camera.deaf = self.camera.stuck = self.camera.hangs = False
        self.camera.cooler_on = False
        self.camera._ends_s = None

    def intent(self) -> Intent:
        self._count += 1
        exposure = ExposureId("pujalt", NIGHT, self._count)
        return Intent(exposure, "light", "main", "main", EXPOSURE_S, 0.0, 90.0, target="Polaris")

    async def expose(self) -> Exposed:
        return await self.exposing.expose(self.intent(), PERMIT)


def in_hut(folder: Path, story: Callable[[Hut], Awaitable[None]]) -> Hut:
    """Play a story with all devices kept and the camera cold."""
    huts: list[Hut] = []

    async def play(loop: VirtualLoop) -> None:
        hut = Hut(loop, folder)
        huts.append(hut)
        keeping = [asyncio.create_task(port.keep()) for port in hut.ports]
        try:
            for port in hut.ports:
                assert await port.found(5.0)
            hut.mount.tracking = True
            await hut.telescope.cool(warm=False)
            await story(hut)
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.wait(keeping)

    run_virtual(play)
    return huts[0]


# -- the mount in mid exposure -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["slips", "stops"])
def test_an_exposure_is_broken_off_as_soon_as_its_mount_has_left(tmp_path: Path, how: str) -> None:
    async def story(hut: Hut) -> None:
        exposing = asyncio.create_task(hut.expose())
        await hut.clock.sleep(7.0)
        if how == "slips":
            hut.mount.dec_deg -= 0.5
        else:
            hut.mount.tracking = False
        began_s = hut.clock.monotonic_s()
        with pytest.raises(Replan, match="30.0' from the target" if how == "slips" else "does not track"):
            await exposing
        assert hut.clock.monotonic_s() - began_s < 10.0
        assert hut.events[-1] == "abort" and not hut.camera.exposing

    in_hut(tmp_path, story)


def test_a_mount_within_its_limit_or_silent_breaks_nothing_off(tmp_path: Path) -> None:
    async def story(hut: Hut) -> None:
        exposing = asyncio.create_task(hut.expose())
        await hut.clock.sleep(7.0)
        hut.mount.dec_deg -= 0.1
        hut.mount.gone = True
        exposed = await exposing
        assert exposed.pointing.off_arcmin == pytest.approx(0.0)
        hut.mount.gone = False
        assert await hut.ports[1].found(60.0)
        hut.mount.tracking = True
        assert (await hut.expose()).pointing.off_arcmin == pytest.approx(6.0)

    in_hut(tmp_path, story)


# -- drivers and their servers -------------------------------------------------------------------------------


class BareServer:
    """An indiserver that, as Debian's does in the end, never restarts a driver by itself (`-r 0`)."""

    def __init__(self, folder: Path) -> None:
        from astrod_drivers.indi.server import _free_port

        self.port, self.fifo = _free_port(), folder / "fifo"
        subprocess.run(["mkfifo", str(self.fifo)], check=True)
        programs = ["indi_simulator_ccd", "indi_simulator_focus"]
        command = ["indiserver", "-p", str(self.port), "-r", "0", "-f", str(self.fifo), *programs]
        environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin"}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def pids(self, program: str) -> list[int]:
        done = subprocess.run(
            ["pgrep", "-P", str(self.process.pid), "-f", program], capture_output=True, text=True, check=False
        )
        return [int(word) for word in done.stdout.split()]

    def until(self, done: Callable[[], bool]) -> bool:
        deadline_s = time.monotonic() + 10.0
        while not done() and time.monotonic() < deadline_s:
            time.sleep(0.1)
        return done()


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[BareServer]:
    server = BareServer(tmp_path)
    yield server
    server.process.kill()
    server.process.wait(5.0)


@pytest.mark.indi
@pytest.mark.skipif(missing() is not None, reason=f"indiserver: {missing()}")
def test_s5_and_2_a_driver_that_the_server_has_given_up_is_started_anew_and_no_other_is(bare: BareServer) -> None:
    assert bare.until(lambda: bool(bare.pids("indi_simulator_ccd") and bare.pids("indi_simulator_focus")))
    others = bare.pids("indi_simulator_focus")
    for pid in bare.pids("indi_simulator_ccd"):
        subprocess.run(["kill", "-9", str(pid)], check=True)
    assert bare.until(lambda: not bare.pids("indi_simulator_ccd"))
    time.sleep(1.0)
    assert not bare.pids("indi_simulator_ccd"), "the server restarted it: the test proves nothing"
    asyncio.run(restart_driver(bare.fifo, "indi_simulator_ccd", WallClock()))
    assert bare.until(lambda: bool(bare.pids("indi_simulator_ccd")))
    assert bare.pids("indi_simulator_focus") == others
    assert bare.process.poll() is None


def test_1_and_8_a_driver_that_crashes_in_mid_exposure_costs_that_exposure_alone(tmp_path: Path) -> None:
    async def story(hut: Hut) -> None:
        exposing = asyncio.create_task(hut.expose())
        await hut.clock.sleep(10.0)
        hut.camera.gone = True
        with pytest.raises(RecoverDevice):
            await exposing
        hut.camera.gone = False
        assert await hut.camera_port.found(30.0)
        hut.camera._ends_s = None  # the new process knows nothing of the old exposure
        await hut.telescope.cool(warm=False)
        assert (await hut.expose()).raw.path.exists()

    in_hut(tmp_path, story)


def test_6_10_12_and_35_pixels_that_never_come_end_in_a_bounded_time_and_the_night_goes_on(tmp_path: Path) -> None:
    async def story(hut: Hut) -> None:
        hut.camera.stuck = True
        began_s = hut.clock.monotonic_s()
        with pytest.raises(OutcomeUnknown, match="read out"):
            await hut.expose()
        assert hut.clock.monotonic_s() - began_s < EXPOSURE_S + READOUT_MARGIN_S + 20.0
        hut.camera.stuck = False
        assert await hut.camera_port.found(60.0)
        await hut.expose()

    in_hut(tmp_path, story)


def test_7_and_42_a_crash_loop_is_slowed_down_and_said_and_never_given_up_for_good(tmp_path: Path) -> None:
    async def story(hut: Hut) -> None:
        hut.camera.gone = True
        await hut.clock.sleep(120.0)
        assert hut.camera_port.given_up
        starts = hut.session.starts
        await hut.clock.sleep(600.0)
        assert hut.session.starts - starts <= 600.0 / 20.0
        hut.camera.gone = False
        assert await hut.camera_port.found(25.0)

    in_hut(tmp_path, story)


def test_9_an_abort_that_does_nothing_is_noticed_and_the_driver_is_started_anew(tmp_path: Path) -> None:
    async def story(hut: Hut) -> None:
        hut.camera.deaf = True
        exposing = asyncio.create_task(hut.expose())
        await hut.clock.sleep(5.0)
        exposing.cancel()
        began_s = hut.clock.monotonic_s()
        await asyncio.wait({exposing})
        assert hut.clock.monotonic_s() - began_s <= ABORTED_S + 6.0
        assert await hut.camera_port.found(60.0)
        assert "new driver" in hut.events
        await hut.telescope.cool(warm=False)
        await hut.expose()

    in_hut(tmp_path, story)


def test_11_no_second_exposure_begins_while_anything_of_the_first_lives(tmp_path: Path) -> None:
    async def story(hut: Hut) -> None:
        hut.camera.deaf = True
        first = asyncio.create_task(hut.expose())
        await hut.clock.sleep(5.0)
        first.cancel()
        second = asyncio.create_task(hut.expose())
        await hut.clock.sleep(5.0)
        assert [event for event in hut.events if event.startswith("expose")] == ["expose pujalt-20261214-00001"]
        hut.camera.deaf = False
        hut.camera._ends_s = None
        await asyncio.wait({first})
        assert hut.camera.fetching == 0
        assert (await second).raw.exposure_id == "pujalt-20261214-00002"

    in_hut(tmp_path, story)


def test_13_an_exposure_that_a_killed_daemon_left_running_is_aborted_before_the_next(tmp_path: Path) -> None:
    async def story(hut: Hut) -> None:
        hut.camera._ends_s = hut.clock.monotonic_s() + 600.0
        await hut.expose()
        assert hut.events.index("abort") < hut.events.index("expose pujalt-20261214-00001")

    in_hut(tmp_path, story)


def test_13_a_camera_that_was_reconnected_is_cooled_again(tmp_path: Path) -> None:
    async def story(hut: Hut) -> None:
        await hut.expose()
        hut.camera.forgets = True
        await hut.camera_port.distrust("pulled out")
        assert await hut.camera_port.found(60.0)
        assert hut.camera.cooler_on
        await hut.expose()

    in_hut(tmp_path, story)


def test_13_a_cooler_that_resets_by_itself_is_noticed_before_the_next_exposure(tmp_path: Path) -> None:
    async def story(hut: Hut) -> None:
        await hut.expose()
        hut.camera.cooler_on = False
        with pytest.raises(RecoverDevice, match="cooler had gone off"):
            await hut.expose()
        assert hut.camera.cooler_on
        await hut.expose()

    in_hut(tmp_path, story)


def test_15_a_focuser_that_hangs_holds_up_no_exposure_for_longer_than_moments(tmp_path: Path) -> None:
    async def story(hut: Hut) -> None:
        hut.focuser.hangs = True
        began_s = hut.clock.monotonic_s()
        exposed = await hut.expose()
        assert exposed.focuser is None
        assert hut.clock.monotonic_s() - began_s <= EXPOSURE_S + ASIDE_S + 1.0

    in_hut(tmp_path, story)


def test_14_whatever_a_driver_raises_when_connecting_is_told_and_tried_again(tmp_path: Path) -> None:
    async def story(hut: Hut) -> None:
        async def connect() -> None:
            raise OSError("tuple index out of range")

        connects, hut.camera.connect = hut.camera.connect, connect  # type: ignore[method-assign]
        await hut.camera_port.distrust("pulled out")
        await hut.clock.sleep(30.0)
        assert not hut.camera_port.up
        assert "tuple index" in hut.camera_port.detail
        hut.camera.connect = connects  # type: ignore[method-assign]
        assert await hut.camera_port.found(60.0)

    in_hut(tmp_path, story)


def test_36_an_interruption_of_the_interruption_leaves_nothing_running(tmp_path: Path) -> None:
    async def story(hut: Hut) -> None:
        hut.camera.deaf = True
        exposing = asyncio.create_task(hut.expose())
        await hut.clock.sleep(5.0)
        exposing.cancel()
        await hut.clock.sleep(1.0)
        exposing.cancel()  # while it cleans up
        await asyncio.wait({exposing}, timeout=1.0)
        assert exposing.done()
        assert hut.exposing.under_way is None
        assert hut.telescope.leases.holders == {}

    in_hut(tmp_path, story)


def test_30_letting_go_of_a_device_that_hangs_ends(tmp_path: Path) -> None:
    async def story(hut: Hut) -> None:
        async def disconnect() -> None:
            await asyncio.Event().wait()

        hut.camera.disconnect = disconnect  # type: ignore[method-assign]
        began_s = hut.clock.monotonic_s()
        await hut.camera_port.release()
        assert hut.clock.monotonic_s() - began_s <= 6.0

    in_hut(tmp_path, story)


def test_42_a_usb_camera_that_only_its_power_brings_back_comes_back(tmp_path: Path) -> None:
    from tests.rig.test_recovery import Bench, at_bench

    async def story(bench: Bench) -> None:
        bench.camera.hangs = True
        await bench.lose(bench.camera_port)
        assert await bench.camera_port.found(120.0)
        assert isinstance(bench.switch, FakeSwitch)
        assert bench.events.count("camera off") == 1

    at_bench(tmp_path, story)


# -- frames that are none ------------------------------------------------------------------------------------


def _in_order(started_us: int, recent: tuple[str, ...]) -> Circumstances:
    """An exposure of five minutes at which nothing was wrong but perhaps its pixels."""
    return Circumstances(96, 64, started_us - 1_000_000, started_us + 302_000_000, True, 1.0, 10.0, recent)


class Desk:
    """A journey with real gate, store and archive; frames are put into its hands."""

    def __init__(self, loop: VirtualLoop, folder: Path, offload: Any = None) -> None:
        self.clock = SimClock(loop, STARTED_US + 400_000_000)
        self.folder = folder
        self.archive = Archive.open(folder / "archive.db")
        trace = Trace(self.clock)
        self.health = Health(self.clock, trace)
        self.distrusted: list[str] = []
        offload = offload(self.clock) if offload else VirtualOffload(self.clock, 1)
        self.journey = Journey(
            folder,
            ModelSettings(enabled=True, folder=None),
            offload,
            Recording(self.archive, offload),
            lambda exposed: exposure_of(exposed.intent.id.counter),
            lambda exposed, recent: _in_order(exposed.raw.started_us, recent),
            self.health,
            trace,
            self.clock,
            distrust=self._distrust,
        )

    async def _distrust(self, intent: Intent, why: str) -> None:
        self.distrusted.append(why)

    async def walk(self, pixels: "np.ndarray[Any, np.dtype[np.uint16]]") -> Outcome:
        intent = self.archive.begin_exposure(
            "pujalt", NIGHT, kind="light", rig="main", train="newton", exposure_s=300.0, at_us=self.clock.now_us()
        )
        path = self.folder / f"{intent.id}.npy"
        np.save(path, pixels)
        raw = RawFrame(str(intent.id), path, "npy", exposure_of(intent.id.counter).started_us, 3000, 300.0)
        mount = MountState(83.8, -5.4, slewing=False, tracking=True, parked=False)
        info, state = CameraInfo("camera", 96, 64, 4.0, 16), CameraState(exposing=False)
        return await self.journey.walk(
            Exposed(intent, raw, info, state, mount, None, STARTED_US, STARTED_US + 302_000_000)
        )


def sky(seed: int) -> "np.ndarray[Any, np.dtype[np.uint16]]":
    return np.random.default_rng(seed).normal(1000.0, 20.0, (64, 96)).astype(np.uint16)


def at_desk(folder: Path, story: Callable[[Desk], Awaitable[None]], offload: Any = None) -> None:
    async def play(loop: VirtualLoop) -> None:
        desk = Desk(loop, folder, offload)
        try:
            await story(desk)
        finally:
            desk.archive.close()

    run_virtual(play)


def test_3_the_same_photo_again_is_refused_also_after_a_restart(tmp_path: Path) -> None:
    async def first(desk: Desk) -> None:
        assert (await desk.walk(sky(1))).judgement is not None
        again = await desk.walk(sky(1))
        assert again.judgement is None
        assert "earlier frame" in again.reason

    async def restarted_daemon(desk: Desk) -> None:
        again = await desk.walk(sky(1))
        assert "earlier frame" in again.reason
        assert (await desk.walk(sky(2))).judgement is not None

    at_desk(tmp_path, first)
    at_desk(tmp_path, restarted_daemon)


def test_4_and_5_black_frames_in_a_row_have_the_camera_started_anew(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        black = np.zeros((64, 96), np.uint16)
        for count in range(1, 7):
            outcome = await desk.walk(black)
            assert (outcome.judgement, outcome.consequence) == (None, "none")
            assert len(desk.distrusted) == count // 3
        assert "every pixel is 0" in desk.distrusted[0]
        await desk.walk(black)
        await desk.walk(black)
        await desk.walk(sky(3))
        await desk.walk(black)
        assert len(desk.distrusted) == 2  # a good frame between them takes the suspicion away
        assert {row.outcome for row in desk.archive.frames() if row.quarantine_path} == {"failed"}

    at_desk(tmp_path, story)


def test_4_and_5_frames_as_black_as_a_dark_are_refused_once_a_dark_is_known(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        assert (await desk.walk(black(1))).judgement is not None  # nobody knows yet what this camera gives unlit
        dark = desk.archive.begin_exposure(
            "pujalt", NIGHT, kind="dark", rig="main", train="newton", exposure_s=300.0, at_us=desk.clock.now_us()
        )
        desk.archive.record_taken(Taken(dark.id, "darks/1.fits", "ab", 2880, 7, 300.0), 8)
        level = Measured(0, 500.0, 6.0, None, None)
        desk.archive.record_judged(dark.id, level, Judgement(100.0, "keep", "none", {}, "dark level"), 9)
        for count in range(3):
            refused = await desk.walk(black(2 + count))
            assert "it is black" in refused.reason
        assert len(desk.distrusted) == 1
        assert (await desk.walk(sky(3))).judgement is not None

    def black(seed: int) -> "np.ndarray[Any, np.dtype[np.uint16]]":
        return np.random.default_rng(seed).normal(500.0, 6.0, (64, 96)).astype(np.uint16)

    at_desk(tmp_path, story)


class Deadly(VirtualOffload):
    """A worker that dies over every frame that it should read."""

    def __init__(self, clock: SimClock) -> None:
        super().__init__(clock, 1)
        self.deaths = 0

    async def run(self, lane: str, cost: Any, work: Any, *args: Any) -> Any:
        if getattr(work, "__name__", "") == "admit":
            self.deaths += 1
            await self._clock.sleep(1.0)
            raise WorkerLost("it died")
        return await super().run(lane, cost, work, *args)


def test_34_a_frame_that_kills_its_worker_is_put_aside_and_the_next_one_is_taken(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        outcome = await desk.walk(sky(1))
        assert outcome.judgement is None
        assert "killed the worker 2 times" in outcome.reason
        row = desk.archive.frames()[0]
        assert row.quarantine_path is not None
        aside = desk.folder / row.quarantine_path
        assert aside.stat().st_size > 64 * 96 * 2  # the pixels as they were, for a person to look at
        assert not list(desk.folder.glob("*.npy"))

    at_desk(tmp_path, story, Deadly)


class Full(VirtualOffload):
    """A disk that is full for a while."""

    def __init__(self, clock: SimClock) -> None:
        super().__init__(clock, 1)
        self.refusals = 3

    async def run(self, lane: str, cost: Any, work: Any, *args: Any) -> Any:
        if getattr(work, "__name__", "") == "admit" and self.refusals:
            self.refusals -= 1
            raise TellOperator("no space left on the disk")
        return await super().run(lane, cost, work, *args)


def test_41_a_full_disk_keeps_the_pixels_vouched_for_in_the_spool_until_there_is_room(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        walking = asyncio.create_task(desk.walk(sky(1)))
        await desk.clock.sleep(1.0)
        assert len(list(desk.folder.glob("*.npy"))) == len(list(desk.folder.glob("*.landed.json"))) == 1
        assert (await walking).judgement is not None
        assert not list(desk.folder.glob("*.npy")) + list(desk.folder.glob("*.landed.json"))

    at_desk(tmp_path, story, Full)


# -- crashes of the daemon -----------------------------------------------------------------------------------


def test_s7_and_33_an_exposure_under_way_at_a_crash_is_ended_and_its_request_goes_on(tmp_path: Path) -> None:
    row, kept, files = restarted(tmp_path, "begun")
    assert (row.outcome, files, kept) == ("interrupted", [], {})


def test_s10_the_loop_that_observes_is_supervised_itself() -> None:
    """A service that ends takes the daemon with it, and systemd starts the daemon again, whatever it ended of."""

    async def breaks(ready: Ready) -> None:
        ready()
        raise AstrodError("the observing loop died")

    async def lasts(ready: Ready) -> None:
        ready()
        await asyncio.Event().wait()

    with pytest.raises((AstrodError, ExceptionGroup)):
        asyncio.run(supervise([Service("lasts", lasts), Service("conductor", breaks)], lambda: None))
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "systemd" / "astrod.service")
    assert unit["Service"]["Restart"] == "always"
    assert int(unit["Service"]["WatchdogSec"].rstrip("s")) <= 60
