"""The whole walk: on the simulated observatory, at a real indiserver, and with a person who makes mistakes."""

import asyncio
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from astrod.cli import exits
from astrod.cli.main import main
from astrod.commissioning.hardware import Offered, RoofWatch, alpaca_devices, generous_s
from astrod.commissioning.interview import Interview, read_answers
from astrod.commissioning.walk import Walk
from astrod.config.load import Loaded, load
from astrod.daemon import resolve_name
from astrod.domain.darkness import dark_time
from astrod.domain.identity import Night
from astrod.domain.instant import iso
from astrod.domain.site import Darkness
from astrod.errors import ConfigInvalid, Replan, TellOperator
from astrod.rehearsal.night import play_configured
from astrod.runtime.clock import SimClock, VirtualLoop, WallClock, run_virtual
from astrod_drivers.errors import Unreachable
from astrod_drivers.indi.server import SIMULATORS, IndiServer, missing
from astrod_drivers.protocols import (
    Aperture,
    CameraInfo,
    CameraState,
    MountBelief,
    MountState,
    RoofState,
    SiteFix,
    WeatherReading,
)
from astrod_drivers.sim.alpaca.beacon import open_beacon
from tests.drivers.test_alpaca_discovery import LOOPBACK, managed, port_of
from tests.drivers.test_alpaca_door import Mouth
from tests.nights.observatories import assert_in_order

SITE = """
[site]
name = "pujalt"
title = "Pujalt"
latitude_deg = 41.716
longitude_deg = 1.421
height_m = 762
"""

SIMULATED = (
    SITE
    + """
[servers]
simulated = true

[optics]
focal_length_mm = 400
aperture_mm = 80
cool_to_c = -10
focus_step = 60

[weather]
wind_m_s = 14

[targets]
exposure_s = 60
"""
)

PAGE = Path(__file__).parents[2] / "daemon/docs/commissioning.md"


def documented(port: int) -> str:
    """The answers that the manual shows, for the server at that port."""
    (block,) = re.findall(r"```\n(\[site\].*?)```", PAGE.read_text(), re.DOTALL)
    assert "localhost:7624" in block
    return str(block).replace("localhost:7624", f"localhost:{port}")


def commission(folder: Path, answers: str) -> int:
    """The verb, with nobody to ask; its exit code."""
    (folder / "answers.toml").write_text(answers)
    return main(["commission", "--answers", str(folder / "answers.toml"), "--out", str(folder / "out")])


def check(folder: Path) -> Loaded:
    return load(folder, resolve_name)


# -- the simulated observatory -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_simulated_observatory_is_commissioned_and_a_night_plays_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert commission(tmp_path, SIMULATED) == exits.DONE
    told = capsys.readouterr().out
    assert "polar-align" in told and "backlash" in told and "config check" in told
    out = tmp_path / "out"
    assert main(["--config", str(out), "config", "check"]) == exits.DONE
    dusk_us = dark_time(check(out).site.place, Darkness(), Night.parse("2026-12-14")).dusk_us
    with (out / "astrod.toml").open("a") as file:
        file.write(f"\n[darkness]\nnot_before = {iso(dusk_us)}\nnot_after = {iso(dusk_us + 40 * 60_000_000)}\n")
        file.write("\n[simulator]\nseed = 7\nwidth_px = 484\nheight_px = 274\npixel_um = 11.6\n")
    (out / "spool").mkdir()
    summary = play_configured(out, Night.parse("2026-12-14"), out / "spool", 2.0, alone=True)
    assert_in_order(summary)
    assert summary["frames"]["kept"] > 5, summary["frames"]


def test_limits_and_keys_arrive_where_they_belong(tmp_path: Path) -> None:
    assert commission(tmp_path, SIMULATED) == exits.DONE
    site = check(tmp_path / "out").site
    assert site.roof is not None and site.roof.address == "sim://roof"
    limits = {limit.name: limit.high for limit in site.weather[0].limits}
    assert limits == {
        "rain_mm_h": 0.0,
        "wind_m_s": 14.0,
        "gust_m_s": 17.0,
        "humidity_percent": 90.0,
        "cloud_percent": 85.0,
    }
    train = site.rigs[0].trains[0]
    assert train.focuser is not None and train.focuser.step == 60 and train.camera.cool_to_c == -10.0


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("latitude_deg = 41.716", "latitude_deg = 417.16", "site.latitude_deg is 417.16"),
        ("height_m = 762", "hieght_m = 762", "no answer for site.height_m"),
        ("latitude_deg = 41.716\nlongitude_deg = 1.421", "latitude_deg = 0\nlongitude_deg = 0", "Gulf of Guinea"),
        ("focus_step = 60", "focus_step = 60\nslip = 1", "no question asked for optics.slip"),
        ("simulated = true", "simulated = false", "no answer for devices.mount"),
        ("simulated = true", 'simulated = true\nindi = "localhost:9"', "no indiserver answers at localhost:9"),
        ("[weather]", '[devices]\ncamera = "sim://cam"\n[weather]', "the simulated camera is sim://camera"),
        ("[weather]", '[devices]\ncamera = "the big one"\n[weather]', "no device address"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, words: str
) -> None:
    assert old in SIMULATED
    assert commission(tmp_path, SIMULATED.replace(old, new)) == exits.FAILED
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_owners_configuration_is_never_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    mine = tmp_path / "out" / "astrod.toml"
    mine.write_text("# mine\n")
    assert commission(tmp_path, SIMULATED) == exits.FAILED
    assert "is there already" in capsys.readouterr().err
    assert mine.read_text() == "# mine\n"


def test_steps_that_are_left_out_leave_an_attended_site(tmp_path: Path) -> None:
    answers = SIMULATED.replace("[weather]\nwind_m_s = 14", "[weather]\nskip = true\n[roof]\nskip = true")
    assert commission(tmp_path, answers.replace("[targets]\nexposure_s = 60", "[targets]\nskip = true")) == exits.DONE
    found = check(tmp_path / "out")
    assert found.site.roof is None and found.site.weather == () and found.targets == ()


# -- a real indiserver -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndiServer]:
    if (reason := missing()) is not None:
        pytest.skip(reason)
    running = IndiServer()
    running.start([program for program, _ in SIMULATORS.values()], tmp_path_factory.mktemp("indi"))
    yield running
    running.stop()


STANDING = (
    "Dome Simulator.DOME_SHUTTER.SHUTTER_CLOSE",
    "Dome Simulator.DOME_SHUTTER.SHUTTER_OPEN",
    "Telescope Simulator.TELESCOPE_PARK.PARK",
    "Telescope Simulator.TELESCOPE_TRACK_STATE.TRACK_ON",
    "Telescope Simulator.EQUATORIAL_EOD_COORD._STATE",
)


def said(server: IndiServer, what: str) -> str:
    """What a property of the server is."""
    command = ["indi_getprop", "-p", str(server.port), "-1", "-t", "5", what]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()


@pytest.mark.indi
@pytest.mark.xdist_group("commissioning")
def test_a_real_server_is_commissioned_and_nothing_moves(
    server: IndiServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for device in ("Dome", "Telescope"):
        connect = f"{device} Simulator.CONNECTION.CONNECT=On"
        subprocess.run(["indi_setprop", "-p", str(server.port), connect], check=True, timeout=20)
    before = [said(server, what) for what in STANDING]
    assert commission(tmp_path, documented(server.port)) == exits.DONE
    told = capsys.readouterr().out
    assert "filters Red, Green, Blue" in told and "pixels of" in told and "a field of" in told
    loaded = check(tmp_path / "out")
    site = loaded.site
    assert site.rigs[0].mount.address == f"indi://localhost:{server.port}/Telescope Simulator"
    assert site.roof is not None and (site.roof.open_s, site.roof.close_s) == (120.0, 60.0)
    assert {limit.name for limit in site.weather[0].limits} <= {"wind_m_s", "gust_m_s", "rain_mm_h"}
    assert loaded.targets[0].requests[0].filter == "Red"
    assert [said(server, what) for what in STANDING] == before
    assert main(["--config", str(tmp_path / "out"), "doctor"]) in (exits.DONE, exits.FAILED)
    told = capsys.readouterr().out
    assert "answers" in told and "AST-201" not in told


@pytest.mark.indi
@pytest.mark.xdist_group("commissioning")
def test_a_device_that_is_of_another_kind_is_named(
    server: IndiServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lent = f'focuser = "indi://localhost:{server.port}/Dome Simulator"\nrotator = "none"'
    answers = documented(server.port).replace('rotator = "none"', lent)
    assert commission(tmp_path, answers) == exits.FAILED
    assert "is no focuser" in capsys.readouterr().err


UNHEARD = (
    SITE
    + """
dark_then = true

[servers]
skip = true

[devices]
mount = "SERVER/Mount"
camera = "SERVER/Cam"
cover = "SERVER/Lid"
weather = "SERVER/Sky"
roof = "SERVER/Roof"
guider = "none"

[optics]
focal_length_mm = 400
aperture_mm = 80

[roof]
skip = false
needs_parked = true
interlock = "mount"
on_stuck_mount = "stay_open"
time_it = false
open_s = 30
close_s = 30

[weather]
skip = false

[targets]
skip = true
"""
)


# -- a person ----------------------------------------------------------------------------------------------------


class Reading:
    """A session with a device that can be read and nothing else: any command would be an AttributeError."""

    def __init__(self, **answers: object) -> None:
        self.device = SimpleNamespace(**{name: self._answering(value) for name, value in answers.items()})

    @staticmethod
    def _answering(value: object) -> Callable[[], Any]:
        async def answer() -> object:
            return value

        return answer

    async def start(self, deadline_s: float) -> None:
        """There at once."""

    async def kill(self) -> None:
        """Nothing to end."""


class Missing(Reading):
    """A device that does not answer."""

    async def start(self, deadline_s: float) -> None:
        raise Unreachable("nobody there; check its cable")


def opener(address: str, kind: str) -> Any:
    """The hardware of a person whose mount believes itself west of Greenwich, and whose cover is unplugged."""
    place = SiteFix(41.716, -1.421, 762.0)
    match kind:
        case "mount":
            return Reading(read=MountState(10.0, 41.0, False, False, True), believes=MountBelief(place))
        case "camera":
            info = CameraInfo("ASI", 4144, 2822, 4.63, 14, None, cooled=False)
            return Reading(read=CameraState(False), describe=info)
        case "roof":
            return Reading(read=RoofState("closed"))
        case "weather":
            return Reading(read=WeatherReading(1, {"wind_m_s": 13.0, "sky_temperature_c": -20.0}))
        case _:
            return Missing()


def test_a_person_is_corrected_repeats_and_is_told(tmp_path: Path) -> None:
    server = "indi://pi:7624"
    lines = iter(
        [
            *("My Site", "mysite", "", "41.716", "-1.421", "762", "n"),  # a name that is none; then: no, not that dark
            *("mysite", "", "41.716", "1.421", "762", "", ""),
            *("", "none", "", "", ""),  # servers
            *(f"{server}/Mount", f"{server}/Cam", *[""] * 7, "phd2://localhost", ""),
            *("80", "400", "a", "400", "80", ""),  # the wrong way round, and again
            *("", ""),  # no roof
            *("", ""),  # no weather
            *("", "60", "", ""),  # targets
        ]
    )
    told: list[str] = []
    Walk(Interview({}, lambda prompt: next(lines), told.append), opener, WallClock()).go(tmp_path / "out", check)
    text = "\n".join(told)
    assert "lower-case letters" in text
    assert "west and south are negative" in text
    assert "the sign is wrong, east is positive" in text, "the mount was told another longitude"
    assert "4144 by 2822 pixels of 4.63 µm, mono, not cooled" in text
    assert "are they the wrong way round?" in text
    assert next(lines, "all used") == "all used"
    train = check(tmp_path / "out").site.rigs[0].trains[0]
    assert (train.focal_length_mm, train.aperture_mm, train.camera.cool_to_c) == (400.0, 80.0, None)


def test_a_device_that_does_not_answer_is_chosen_again_or_taken_unheard(tmp_path: Path) -> None:
    server = "indi://pi:7624"
    path = tmp_path / "answers.toml"
    path.write_text(UNHEARD.replace("SERVER", server))
    answers = read_answers(path)
    # site; no focuser, wheel, rotator; the cover: not unheard, another, unheard; no monitor; devices, optics, roof
    lines = iter(["", *[""] * 3, "", f"{server}/Other lid", "y", "", "", "", "", "12.5", ""])
    told: list[str] = []
    Walk(Interview(answers, lambda prompt: next(lines), told.append), opener, WallClock()).go(tmp_path / "out", check)
    assert sum("check its cable" in line for line in told) == 2
    assert any("by that it is unsafe now" in line for line in told)
    site = check(tmp_path / "out").site
    assert site.rigs[0].trains[0].cover == f"{server}/Other lid"
    assert [(limit.name, limit.high) for limit in site.weather[0].limits] == [("wind_m_s", 12.5)]


def test_a_person_who_leaves_writes_nothing(tmp_path: Path) -> None:
    def gone(prompt: str) -> str:
        raise EOFError

    with pytest.raises(TellOperator, match="nothing was written"):
        Walk(Interview({}, gone, lambda text: None), opener, WallClock()).go(tmp_path / "out", check)
    assert not (tmp_path / "out").exists()


# -- the roof, watched -------------------------------------------------------------------------------------------


class HandMoved:
    """A roof that somebody moves by its button: `opens_s` after its start it is on its way, for `takes_s`."""

    def __init__(self, clock: SimClock, opens_s: float, takes_s: float) -> None:
        self._clock, self._began_s = clock, clock.monotonic_s()
        self._opens_s, self._takes_s = opens_s, takes_s

    async def read(self) -> RoofState:
        since_s = self._clock.monotonic_s() - self._began_s - self._opens_s
        way: Aperture = "closed" if since_s < 0.0 else "opening" if since_s < self._takes_s else "open"
        return RoofState(way)


def timed(opens_s: float, takes_s: float, until: Aperture = "open") -> float:
    """What the watch says of such a roof."""

    async def watch(loop: VirtualLoop) -> float:
        clock = SimClock(loop, 0)
        roof: Any = HandMoved(clock, opens_s, takes_s)
        return await RoofWatch(roof, clock, lambda text: None).time(until, wait_s=60.0, most_s=300.0)

    return run_virtual(watch)


def test_a_roof_is_timed_from_its_first_motion() -> None:
    assert timed(20.0, 37.0) == pytest.approx(37.0, abs=0.5)
    assert generous_s(37.0) == 66.0


@pytest.mark.parametrize(
    ("opens_s", "takes_s", "until", "words"),
    [
        (1e9, 37.0, "open", "nothing moved within 60 s"),
        (5.0, 1e9, "open", "did not become open within 300 s"),
        (5.0, 5.0, "closed", "is closed already"),
    ],
)
def test_a_roof_that_does_not_do_it(opens_s: float, takes_s: float, until: Aperture, words: str) -> None:
    with pytest.raises(Replan, match=words):
        timed(opens_s, takes_s, until)


@pytest.mark.indi
@pytest.mark.xdist_group("commissioning")
def test_a_real_roof_is_timed_while_somebody_else_moves_it(server: IndiServer, tmp_path: Path) -> None:
    assert asyncio.run(_watched(server, tmp_path)) > 0.0


async def _watched(server: IndiServer, folder: Path) -> float:
    from astrod_drivers.permit import EpochPage
    from astrod_drivers.session import open_session

    page = EpochPage(folder / "epoch")
    session = open_session(f"indi://localhost:{server.port}/Dome Simulator", "roof", spool=folder, gate_path=page.path)
    await session.start(30.0)
    try:
        device: Any = session.device
        began = (await device.read()).aperture
        ends, button = ("open", "SHUTTER_OPEN") if began == "closed" else ("closed", "SHUTTER_CLOSE")
        watch = RoofWatch(device, WallClock(), lambda text: None)
        async with asyncio.TaskGroup() as group:
            timing = group.create_task(watch.time(ends, 20.0, 60.0))
            await asyncio.sleep(1.0)
            pressed = await asyncio.create_subprocess_exec(
                *("indi_setprop", "-p", str(server.port), f"Dome Simulator.DOME_SHUTTER.{button}=On")
            )
            await pressed.wait()
        return timing.result()
    finally:
        await session.kill()
        page.close()


class Scripted(Reading):
    """A roof that says these, one at each reading."""

    def __init__(self, *says: Aperture) -> None:
        super().__init__()
        self.left = list(says)

        async def read() -> RoofState:
            return RoofState(self.left.pop(0))

        self.device = SimpleNamespace(read=read)


def roofed(folder: Path, says: Scripted, consent: str) -> Loaded:
    """A commissioning with that roof, and this consent to have it timed."""
    path = folder / "answers.toml"
    path.write_text(
        UNHEARD.replace("SERVER", "indi://pi:7624")
        .replace('cover = "indi://pi:7624/Lid"\n', "")
        .replace("time_it = false\nopen_s = 30\nclose_s = 30", consent)
    )

    def opens(address: str, kind: str) -> Any:
        return says if kind == "roof" else opener(address, kind)

    return Walk(Interview(read_answers(path), None, lambda text: None), opens, WallClock()).go(folder / "out", check)


def test_a_roof_is_timed_with_two_words_of_consent(tmp_path: Path) -> None:
    way: tuple[Aperture, ...] = ("closed", "closed", "closed", "opening", "open", "open", "open", "closing", "closed")
    roof = Scripted(*way)
    site = roofed(tmp_path, roof, "time_it = true\nbeside_it = true").site
    assert roof.left == []
    assert site.roof is not None and site.roof.open_s == site.roof.close_s == 11.0, "a fraction of a second, and ten"


def test_a_roof_is_not_even_watched_without_somebody_beside_it(tmp_path: Path) -> None:
    roof = Scripted("closed")
    site = roofed(tmp_path, roof, "time_it = true").site
    assert site.roof is not None and site.roof.open_s == 120.0 and roof.left == []


# -- Alpaca ------------------------------------------------------------------------------------------------------


async def test_what_alpaca_servers_have_is_offered_by_kind() -> None:
    nameless, film = {"DeviceType": "Camera", "DeviceNumber": 2}, {"DeviceName": "Film", "DeviceType": "Video"}
    async with Mouth(managed([nameless, film])) as mouth:
        beacon = await open_beacon(mouth.port, LOOPBACK, 0)
        offered = await alpaca_devices(WallClock(), [LOOPBACK], port_of(beacon))
        beacon.close()
    address = f"alpaca://{LOOPBACK}:{mouth.port}/camera/2"
    assert offered == [Offered("camera", address, address)]


def test_what_does_not_pass_is_shown_and_not_written(tmp_path: Path) -> None:
    def refuse(folder: Path) -> Loaded:
        assert (folder / "astrod.toml").exists()
        raise ConfigInvalid(["astrod.toml:1: site: no"])

    path, told = tmp_path / "answers.toml", list[str]()
    path.write_text(SIMULATED)
    with pytest.raises(ConfigInvalid):
        Walk(Interview(read_answers(path), None, told.append), opener, WallClock()).go(tmp_path / "out", refuse)
    assert "is not written" in told[-1] and "[rig.mount]" in told[-1]
    assert not (tmp_path / "out").exists()
