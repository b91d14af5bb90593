"""Ports on their ladders: rungs are taken, outlets are cycled once, and never at the wrong moment."""

import asyncio
import os
import select
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from astrod.domain.recovery import Ladder, Rung
from astrod.domain.site import IndiSetup, Outlet
from astrod.errors import OutcomeUnknown, Replan
from astrod.rig.port import Port
from astrod.rig.recovery import OFF_S, PowerBoard, Remedies
from astrod.rig.safety.process import device_opener
from astrod.runtime.clock import SimClock, VirtualLoop, run_virtual
from astrod_drivers.errors import Unreachable
from astrod_drivers.indi.fifo import restart_driver
from astrod_drivers.permit import EpochCell
from tests.rig.devices import MIDNIGHT_US, SITE, FakeCamera, FakeMount, FakeSwitch, KillableSession

BOX = "indi://localhost:7624/Power Box"
CAMERA, MOUNT = Outlet(BOX, "camera"), Outlet(BOX, "mount")
HUNG = Ladder((Rung("reconnect"), Rung("restart_driver", tries=2, deadline_s=5.0)), again_s=15.0)
SHORT = Ladder((Rung("reconnect"), Rung("restart"), Rung("power_cycle", tries=2, wait_s=5.0)), again_s=15.0)


class Bench:
    """A camera and a mount at outlets of one switch."""

    def __init__(self, loop: VirtualLoop, folder: Path) -> None:
        self.clock = SimClock(loop, MIDNIGHT_US)
        self.events: list[str] = []
        self.camera = FakeCamera(self.clock, self.events, folder)
        self.mount = FakeMount(self.clock, self.events, EpochCell())
        self.switch = FakeSwitch(self.clock, self.events, {"camera": [self.camera], "mount": [self.mount]})
        self.roof_moves = False
        switch_port: Port[FakeSwitch] = Port("switch", "switch", BOX, KillableSession(self.switch), self.clock)
        self.board = PowerBoard(self.clock, {BOX: switch_port}, MOUNT, lambda: self.roof_moves)
        self.camera_session = KillableSession(self.camera, hangs_on=True)
        self.mount_session = KillableSession(self.mount, hangs_on=True)
        self.camera_port: Port[FakeCamera] = self._port("camera", self.camera_session, CAMERA)
        self.mount_port: Port[FakeMount] = self._port("mount", self.mount_session, MOUNT)
        self.board.powers(MOUNT, self.mount_port)
        self.ports = (switch_port, self.camera_port, self.mount_port)

    def _port(self, name: str, session: KillableSession, outlet: Outlet) -> Port:  # type: ignore[type-arg]
        remedies = Remedies(self.clock, None, self.board).of(f"sim://{name}", outlet)
        return Port(name, name, f"sim://{name}", session, self.clock, SHORT, remedies)

    async def lose(self, port: Port) -> None:  # type: ignore[type-arg]
        """Use a device that hangs, and so notice it."""
        with pytest.raises(OutcomeUnknown):
            await port.call("read", lambda device: device.read(), deadline_s=2.0)


def at_bench(folder: Path, story: Callable[[Bench], Awaitable[None]]) -> Bench:
    """Play a story with all ports kept."""
    benches: list[Bench] = []

    async def play(loop: VirtualLoop) -> None:
        bench = Bench(loop, folder)
        benches.append(bench)
        keeping = [asyncio.create_task(port.keep()) for port in bench.ports]
        try:
            for port in bench.ports:
                assert await port.found(5.0)
            await story(bench)
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.wait(keeping)

    run_virtual(play)
    return benches[0]


def test_what_neither_reconnecting_nor_restarting_cures_is_switched_off_and_on(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        bench.camera.hangs = True
        await bench.lose(bench.camera_port)
        assert await bench.camera_port.found(120.0)
        assert [event for event in bench.events if event.startswith("camera")] == ["camera off", "camera on"]
        assert bench.camera_session.starts >= 2

    at_bench(tmp_path, story)


def test_two_devices_of_one_outlet_share_one_cycle(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        cycle = bench.board.cycle_of(CAMERA)
        assert bench.board.cycle_of(CAMERA) is cycle
        await asyncio.gather(cycle(), cycle())
        await bench.clock.sleep(10.0)
        await cycle()
        assert bench.events.count("camera off") == 1
        await bench.clock.sleep(200.0)
        await cycle()
        assert bench.events.count("camera off") == 2

    at_bench(tmp_path, story)


def test_a_mount_is_stopped_before_its_power_goes(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        await bench.board.cycle_of(MOUNT)()
        assert bench.events.index("stop") < bench.events.index("mount off")

    at_bench(tmp_path, story)


def test_the_power_of_a_roof_that_moves_stays_on(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        bench.roof_moves = True
        with pytest.raises(Replan, match="powers the roof"):
            await bench.board.cycle_of(MOUNT)()
        assert "mount off" not in bench.events
        bench.roof_moves = False
        await bench.board.cycle_of(MOUNT)()
        assert "mount off" in bench.events

    at_bench(tmp_path, story)


def test_an_outlet_is_on_again_whatever_comes_between(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        cycling = asyncio.create_task(_as_coroutine(bench.board.cycle_of(CAMERA)()))
        await bench.clock.sleep(OFF_S / 2)
        assert not bench.switch.on["camera"]
        cycling.cancel()
        await asyncio.wait({cycling})
        assert bench.switch.on["camera"]

    at_bench(tmp_path, story)


async def _as_coroutine(awaitable: Awaitable[None]) -> None:
    await awaitable


def test_an_outlet_that_does_not_switch_is_no_cure_and_is_told(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        bench.switch.jammed = True
        bench.camera.hangs = True
        await bench.lose(bench.camera_port)
        await bench.clock.sleep(200.0)
        assert bench.camera_port.given_up
        assert bench.events.count("camera off") == 2  # as often as the ladder says, and no more

    at_bench(tmp_path, story)


def test_a_device_that_is_given_up_is_tried_at_leisure_and_found_when_it_comes_back(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        bench.switch.jammed = True
        bench.camera.gone = True
        await bench.clock.sleep(400.0)
        assert bench.camera_port.given_up
        before = bench.camera_session.starts
        await bench.clock.sleep(150.0)
        assert 5 <= bench.camera_session.starts - before <= 11  # every 15 s, no crash loop
        bench.camera.gone = False
        assert await bench.camera_port.found(20.0)
        assert not bench.camera_port.given_up

    at_bench(tmp_path, story)


def test_a_good_hour_takes_a_device_back_to_the_foot(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        heights = []
        for rest_s in (3700.0, 60.0, 60.0):
            bench.camera.gone = True
            await bench.clock.sleep(10.5)
            bench.camera.gone = False
            assert await bench.camera_port.found(120.0)
            heights.append((bench.camera_port.climb.rung, bench.camera_port.climb.spent))
            await bench.clock.sleep(rest_s)
        assert heights[0] == heights[1] < heights[2]

    at_bench(tmp_path, story)


def test_a_device_that_is_not_believed_is_started_anew_though_it_answers(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        kills = bench.camera_session.kills
        await bench.camera_port.distrust("it sends black frames")
        assert not bench.camera_port.up
        assert bench.camera_session.kills > kills
        assert await bench.camera_port.found(30.0)
        assert not [event for event in bench.events if event.startswith("camera")]  # its power stayed on

    at_bench(tmp_path, story)


def test_a_fifo_that_nobody_reads_is_said_and_blocks_nothing(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"

    async def play(loop: VirtualLoop) -> None:
        clock = SimClock(loop, MIDNIGHT_US)
        for there in (False, True):
            if there:
                os.mkfifo(fifo)
            with pytest.raises(Unreachable, match="no indiserver listens"):
                await restart_driver(fifo, "indi_simulator_ccd", clock)

    run_virtual(play)


def test_safetys_own_ports_have_a_driver_that_hangs_started_anew(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    server = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)

    async def play(loop: VirtualLoop) -> None:
        clock = SimClock(loop, MIDNIGHT_US)
        mount = FakeMount(clock, [], EpochCell())
        site = replace(SITE, indi=IndiSetup(str(fifo), {"Mount": "indi_mount"}), ladders={"mount": HUNG})
        session = KillableSession(mount, hangs_on=True)
        port = device_opener(site, clock, lambda address, kind: session)(
            "mount", "mount", "indi://localhost:7624/Mount"
        )
        keeping = asyncio.create_task(port.keep())
        assert await port.found(5.0)
        mount.hangs = True
        with pytest.raises(OutcomeUnknown):
            await port.call("read", lambda device: device.read(), deadline_s=2.0)
        told = b""
        while b"start indi_mount\n" not in told:
            await clock.sleep(1.0)
            told += os.read(server, 100) if select.select([server], [], [], 0.0)[0] else b""
        assert told == b"stop indi_mount\nstart indi_mount\n"
        mount.hangs = False
        assert await port.found(60.0)
        keeping.cancel()
        await asyncio.wait({keeping})

    try:
        run_virtual(play)
    finally:
        os.close(server)


def test_two_processes_never_start_one_driver_at_once(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    server = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)

    async def play(loop: VirtualLoop) -> None:
        clock = SimClock(loop, MIDNIGHT_US)
        first = asyncio.create_task(restart_driver(fifo, "indi_mount", clock))
        await clock.sleep(0.5)
        with pytest.raises(Unreachable, match="just now"):
            await restart_driver(fifo, "indi_mount", clock)
        await first
        await restart_driver(fifo, "indi_mount", clock)

    try:
        run_virtual(play)
        assert os.read(server, 1000) == 2 * b"stop indi_mount\nstart indi_mount\n"
    finally:
        os.close(server)


def test_the_fifo_is_for_the_devices_that_the_owner_names(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        indi = IndiSetup(str(tmp_path / "fifo"), {"CCD": "indi_ccd", "Guider": "indi_ccd"})
        remedies = Remedies(bench.clock, indi, bench.board)
        assert "restart_driver" not in remedies.of("indi://localhost:7624/Focuser", None)
        assert "restart_driver" not in remedies.of("sim://CCD", None)
        one, other = (remedies.of(f"indi://localhost:7624/{name}", None) for name in ("CCD", "Guider"))
        assert one["restart_driver"] is other["restart_driver"]  # one program serves both: it is restarted once

    at_bench(tmp_path, story)
