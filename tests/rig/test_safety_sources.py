"""What the safety loop does with its sources: each kind, each action, disagreement, and the host's own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from astrod.domain.instant import SECOND_US
from astrod.domain.safety import ClockQuality
from astrod.domain.site import Action, Agreement, Limit, Site, TimeSetup, WeatherSetup
from astrod.errors import RecoverDevice
from astrod.rig.port import DirectSession, Port
from astrod.rig.safety.sources import is_own, own_source, simulated_source, watch_file
from astrod.runtime.clock import WallClock
from astrod_drivers.errors import AddressInvalid, BadAnswer, PermitRefused, Unreachable
from astrod_drivers.protocols import Permit, WeatherReading
from tests.rig.devices import SITE, Hut, in_hut

STATION = SITE.weather[0]
MONITOR = WeatherSetup("monitor", "sim://monitor", stale_s=60.0, safe_after_s=30.0, kind="safety_monitor")


def also(*sources: WeatherSetup, agreements: tuple[Agreement, ...] = ()) -> Site:
    """The hut's site with more sources."""
    return replace(SITE, weather=(*SITE.weather, *sources), agreements=agreements)


def second(action: Action = "unsafe") -> WeatherSetup:
    return replace(STATION, name="second", address="sim://weather2", action=action)


# -- kinds and actions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["unsafe", "gone", "hangs"])
def test_a_safety_monitor_closes_by_its_one_bit_and_by_its_silence(trouble: str) -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        if trouble == "unsafe":
            hut.monitor.safe = False
        else:
            setattr(hut.monitor, trouble, True)
        report = await hut.until(lambda report: not report.safe, 80.0)
        assert report.reasons[0].startswith("monitor: ")
        await hut.until(lambda _: hut.roof.aperture == "closed" and hut.mount.parked, 120.0)

    in_hut(story, site=also(MONITOR))


def test_a_source_that_forbids_slews_bars_them_in_the_driver_and_closes_nothing() -> None:
    async def story(hut: Hut) -> None:
        permit = await hut.open()
        await hut.mount.slew(10.0, 10.0, permit)
        hut.second_weather.wind_m_s = 20.0
        report = await hut.until(lambda report: bool(report.no_slews), 30.0)
        assert report.safe
        assert report.no_slews == ("second: wind_m_s 20 over 12",)
        assert report.troubles == ("AST-150 second: wind_m_s 20 over 12",)
        with pytest.raises(PermitRefused):
            await hut.mount.slew(20.0, 10.0, permit)
        hut.second_weather.wind_m_s = 2.0
        await hut.until(lambda report: not report.no_slews, 60.0)
        await hut.mount.slew(20.0, 10.0, permit)
        assert "close" not in hut.events

    in_hut(story, site=also(second("no_slews")))


def test_a_source_that_warns_is_told_of_and_does_nothing_else() -> None:
    async def story(hut: Hut) -> None:
        permit = await hut.open()
        hut.second_weather.gone = True
        report = await hut.until(lambda report: bool(report.troubles), 90.0)
        assert report.safe and not report.no_slews
        assert report.troubles[0].startswith("AST-102 second: no reading since")
        await hut.mount.slew(10.0, 10.0, permit)
        hut.second_weather.gone = False
        await hut.until(lambda report: not report.troubles, 60.0)

    in_hut(story, site=also(second("warn")))


def test_each_source_has_its_own_age() -> None:
    quick, slow = replace(second(), stale_s=20.0), replace(STATION, stale_s=300.0)

    async def story(hut: Hut) -> None:
        await hut.open()
        hut.weather.gone = hut.second_weather.gone = True
        report = await hut.until(lambda report: not report.safe, 30.0)
        assert all(reason.startswith("second:") for reason in report.reasons[:1])

    in_hut(story, site=replace(SITE, weather=(slow, quick)))


def test_a_source_polled_seldom_is_still_stale_in_time() -> None:
    """Between its polls too: a source that hangs is not waited for."""
    seldom = replace(STATION, poll_s=50.0, stale_s=60.0, safe_after_s=0.0)

    async def story(hut: Hut) -> None:
        await hut.open()
        hut.weather.hangs = True
        lost_s = hut.clock.monotonic_s()
        await hut.until(lambda report: not report.safe, 70.0)
        assert hut.clock.monotonic_s() - lost_s <= 62.0

    in_hut(story, site=replace(SITE, weather=(seldom,)))


# -- disagreement --------------------------------------------------------------------------------------------

AGREE = Agreement("temperature_c", within=5.0, stale_s=60.0, unsafe_after_s=10.0, safe_after_s=30.0)


def test_two_thermometers_that_disagree_are_unsafe_after_their_time() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.second_weather.temperature_c = 14.0
        apart_s = hut.clock.monotonic_s()
        report = await hut.until(lambda report: not report.safe, 40.0)
        assert hut.clock.monotonic_s() - apart_s >= 8.0
        assert report.reasons == ("agreement on temperature_c: difference 6 over 5",)
        await hut.until(lambda _: hut.roof.aperture == "closed", 120.0)
        hut.second_weather.temperature_c = 9.0
        await hut.until(lambda report: report.safe, 60.0)

    in_hut(story, site=also(second(), agreements=(AGREE,)))


def test_sources_within_their_bound_agree() -> None:
    async def story(hut: Hut) -> None:
        hut.second_weather.temperature_c = 13.0
        await hut.open()
        await hut.clock.sleep(300.0)
        assert (await hut.loop.report()).safe

    in_hut(story, site=also(second(), agreements=(AGREE,)))


# -- what a reading may not be -------------------------------------------------------------------------------


def test_impossible_values_close_and_are_not_passed_on() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.weather.wind_m_s = -999.0
        report = await hut.until(lambda report: not report.safe, 30.0)
        assert "which cannot be" in report.reasons[0]
        assert report.weather == {"temperature_c": 8.0}

    in_hut(story)


def test_a_clock_that_is_set_closes_nothing_and_is_told_of() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.clock.offset_us += 1200 * SECOND_US
        report = await hut.until(lambda report: bool(report.troubles), 10.0)
        assert report.troubles[0].startswith("AST-152 by +1200")
        await hut.clock.sleep(120.0)
        assert (await hut.loop.report()).safe
        await hut.clock.sleep(1800.0)
        assert not (await hut.loop.report()).troubles
        hut.clock.offset_us -= 900_000  # discipline, not a jump
        await hut.clock.sleep(10.0)
        assert not (await hut.loop.report()).troubles

    in_hut(story)


@pytest.mark.parametrize(("by_s", "barred"), [(30, True), (-30, True), (10, False)])
def test_a_leap_beyond_its_error_bars_slews_until_the_clock_has_held(by_s: int, barred: bool) -> None:
    async def story(hut: Hut) -> None:
        permit = await hut.open()
        hut.clock.offset_us += by_s * SECOND_US
        await hut.clock.sleep(2.0)
        report = await hut.loop.report()
        assert report.safe and bool(report.no_slews) is barred and hut.gate.allows_slew(permit) is not barred
        assert any("AST-150 the clock was set by" in text for text in report.troubles) is barred
        await hut.clock.sleep(590.0)
        assert hut.gate.allows_slew(permit) is not barred
        await hut.until(lambda report: not report.no_slews, 15.0)
        assert hut.gate.allows_slew(permit)

    def vouched(hut: Hut) -> None:
        clocked(hut, lambda: ClockQuality("NTP", 0))

    in_hut(story, site=replace(SITE, time=TimeSetup(error_max_s=15.0)), fit=vouched)


# -- the clock as a source -----------------------------------------------------------------------------------


def clocked(hut: Hut, quality: Callable[[], ClockQuality]) -> None:
    hut.devices["astrod://clock"] = own_source("astrod://clock", hut.clock, quality, lambda: 0, Path())


@pytest.mark.parametrize(("error_us", "barred"), [(None, True), (16_000_000, True), (15_000_000, False), (0, False)])
def test_above_its_bound_or_unknown_the_clock_forbids_slews(error_us: int | None, barred: bool) -> None:
    quality = [ClockQuality("NTP", 0)]

    async def story(hut: Hut) -> None:
        permit = await hut.open()
        assert not (await hut.loop.report()).no_slews
        quality[0] = ClockQuality("NTP", error_us)
        await hut.clock.sleep(30.0)
        report = await hut.loop.report()
        assert report.safe
        assert bool(report.no_slews) is barred
        if barred:
            with pytest.raises(PermitRefused):
                await hut.mount.slew(1.0, 1.0, permit)
            quality[0] = ClockQuality("NTP", 14_000_000)  # within the bound, not within its margin
            await hut.clock.sleep(30.0)
            assert (await hut.loop.report()).no_slews
            quality[0] = ClockQuality("NTP", 13_000_000)
            await hut.until(lambda report: not report.no_slews, 30.0)

    site = replace(SITE, time=TimeSetup(error_max_s=15.0))
    in_hut(story, site=site, fit=lambda hut: clocked(hut, lambda: quality[0]))


def test_before_the_clock_has_said_a_word_nothing_slews() -> None:
    async def story(hut: Hut) -> None:
        hut.gate.become_safe()
        assert not hut.gate.allows_slew(Permit(hut.gate.epoch))

    in_hut(story, site=replace(SITE, time=TimeSetup(error_max_s=15.0)), fit=lambda hut: clocked(hut, _nobody))


def _nobody() -> ClockQuality:
    return ClockQuality("nobody", None)


# -- the host's own ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "astrod://",
        "astrod://sun",
        "astrod://internet/host",
        "astrod://internet/:80",
        "astrod://internet/h:0",
        "nut://:x/u",
    ],
)
def test_a_source_of_the_host_that_there_is_not_is_refused(address: str) -> None:
    assert is_own(address)
    with pytest.raises(AddressInvalid):
        own_source(address, WallClock(), _nobody, lambda: 0, Path())


async def test_the_disk_is_read_and_one_that_hangs_is_asked_once() -> None:
    asked, released = [], threading.Event()

    def hangs() -> int:
        asked.append(1)
        released.wait(10.0)
        return 5_000_000_000

    clock = WallClock()
    source = own_source("astrod://disk", clock, _nobody, hangs, Path())
    port = Port("disk", "weather", "astrod://disk", DirectSession(source), clock)
    keeping = asyncio.create_task(port.keep())
    await port.found(2.0)
    with pytest.raises(RecoverDevice):
        await port.call("read", lambda device: device.read(), deadline_s=0.1)
    with pytest.raises(Unreachable, match="hangs"):
        await source.read()
    assert len(asked) == 1
    released.set()
    await asyncio.sleep(0.05)
    assert (await source.read()).values == {"disk_free_gb": 5.0}
    keeping.cancel()


async def test_a_disk_that_cannot_be_asked_is_no_reading() -> None:
    def fails() -> int:
        raise OSError(5, "Input/output error")

    with pytest.raises(Unreachable, match="Input/output"):
        await own_source("astrod://disk", WallClock(), _nobody, fails, Path()).read()


async def test_the_internet_is_there_when_the_owners_host_takes_a_connection() -> None:
    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    source = own_source(f"astrod://internet/127.0.0.1:{port}", WallClock(), _nobody, lambda: 0, Path())
    assert (await source.read()).values == {"internet": 1.0}
    server.close()
    await server.wait_closed()
    assert (await source.read()).values == {"internet": 0.0}


@asynccontextmanager
async def nut(**answers: str) -> AsyncIterator[str]:
    """A NUT server that knows one UPS, by RFC 9271; yields its address."""

    ended: list[asyncio.Event] = []

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(left := asyncio.Event())
        while line := await reader.readline():
            _, _, ups, name = line.decode().split()
            answer = answers.get(name.replace(".", "_"))
            known = f'VAR {ups} {name} "{answer}"' if answer is not None else "ERR VAR-NOT-SUPPORTED"
            writer.write((known if ups == "apc" else "ERR UNKNOWN-UPS").encode() + b"\n")
        writer.close()
        left.set()

    server = await asyncio.start_server(attend, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for left in ended:
            await left.wait()


@pytest.mark.parametrize(
    ("status", "charge", "values"),
    [
        ("OL", "100", {"mains": 1.0, "battery_percent": 100.0}),
        ("OL CHRG", "87.5", {"mains": 1.0, "battery_percent": 87.5}),
        ("OB LB", "12", {"mains": 0.0, "battery_percent": 12.0}),
        ("OB", None, {"mains": 0.0}),
        ("ALARM", "50", {"battery_percent": 50.0}),
    ],
)
async def test_a_ups_tells_of_mains_and_battery(status: str, charge: str | None, values: dict[str, float]) -> None:
    answers = {"ups_status": status} | ({"battery_charge": charge} if charge else {})
    async with nut(**answers) as place:
        source = own_source(f"nut://{place}/apc", WallClock(), _nobody, lambda: 0, Path())
        assert (await source.read()).values == values


async def test_a_ups_that_there_is_not_and_one_that_talks_nonsense_are_no_readings() -> None:
    async with nut(ups_status="OL", battery_charge="full") as place:
        for ups, said in (("other", "ERR UNKNOWN-UPS"), ("apc", "'full'")):
            with pytest.raises(BadAnswer, match=said):
                await own_source(f"nut://{place}/{ups}", WallClock(), _nobody, lambda: 0, Path()).read()
    with pytest.raises(Unreachable, match="upsd"):
        await own_source(f"nut://{place}/apc", WallClock(), _nobody, lambda: 0, Path()).read()


@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("astrod://clock", {"clock_error_s"}),
        ("astrod://disk", {"disk_free_gb"}),
        ("astrod://internet/a:1", {"internet"}),
        ("nut://a/b", {"mains", "battery_percent"}),
    ],
)
async def test_in_a_simulated_night_the_host_is_well(address: str, names: set[str]) -> None:
    source = simulated_source(address, WallClock(), lambda: ClockQuality("simulated", 0), Path())
    assert set((await source.read()).values) == names


def test_a_limit_on_the_mains_closes_on_battery() -> None:
    power = WeatherSetup("ups", "nut://ups", (Limit("mains", low=1.0),), stale_s=60.0, safe_after_s=30.0)

    async def story(hut: Hut) -> None:
        await hut.open()
        hut.second_weather.more = {"mains": 0.0}
        report = await hut.until(lambda report: not report.safe, 30.0)
        assert report.reasons[0] == "ups: mains 0 under 1"
        await hut.until(lambda _: hut.roof.aperture == "closed" and hut.mount.parked, 120.0)

    def fit(hut: Hut) -> None:
        hut.second_weather.more = {"mains": 1.0}
        hut.devices["nut://ups"] = hut.second_weather

    in_hut(story, site=also(power), fit=fit)


async def test_what_a_watch_saw_is_as_old_as_its_picture_and_nonsense_is_refused(tmp_path: Path) -> None:
    source = own_source("astrod://watch/roof", WallClock(), _nobody, lambda: 0, tmp_path)
    with pytest.raises(Unreachable, match="has not told of clouds yet"):
        await source.read()
    told = watch_file(tmp_path, "roof")
    told.write_text('{"at_us": 17, "cloud_percent": 40.5}')
    assert await source.read() == WeatherReading(17, {"cloud_percent": 40.5})
    told.write_text('{"at_us": 18, "cloud_percent": null}')
    assert await source.read() == WeatherReading(18, {})
    told.write_text("{")
    with pytest.raises(BadAnswer, match="is no word of a watch"):
        await source.read()
