"""The lost nights of FAILURES.md that devices, sensors and calibration frames answer; named by their rows."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from astrod.domain.calibration import Rules, Stock, ledger, needed_by
from astrod.domain.exposure import Intent
from astrod.domain.identity import ExposureId, Night
from astrod_drivers.address import parse
from astrod_drivers.feeds.file import FileWeather
from astrod_drivers.indi.server import IndiServer, missing
from astrod_drivers.permit import EpochPage
from astrod_drivers.remote import RemoteSwitch
from astrod_drivers.session import open_session
from astrod_drivers.wallclock import WallClock

GADGETS = Path(__file__).parents[1] / "contract" / "gadgets.py"
LINE = "{} C K -24.8 19.7 31.5 3.7 49 8.7 0 0 0 00002 040471.50566 1 1 1 3 0 0"


async def test_18_a_feed_that_repeats_itself_grows_old(tmp_path: Path) -> None:
    path = tmp_path / "weather.txt"
    clock = WallClock()
    feed = FileWeather(parse(f"file://{path}?format=boltwood&zone=UTC"), clock)
    died = datetime.fromtimestamp(clock.now_us() / 1e6 - 600.0, UTC)
    path.write_text(LINE.format(died.strftime("%Y-%m-%d %H:%M:%S.00")))
    first = await feed.read()
    path.write_text(path.read_text())  # its program still writes, and its sensor is dead
    assert (await feed.read()).measured_us == first.measured_us
    assert clock.now_us() - first.measured_us > 600_000_000


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[RemoteSwitch]:
    if why := missing():
        pytest.skip(why)
    server = IndiServer()
    server.start([str(GADGETS)], tmp_path / "home")
    page = EpochPage(tmp_path / "epoch")
    session = open_session(server.address("Power Box"), "switch", spool=tmp_path, gate_path=page.path)
    await session.start(20.0)
    yield session.device_as(RemoteSwitch)
    await session.kill()
    server.stop()
    page.close()


@pytest.mark.indi
async def test_42_an_outlet_is_switched_by_name_and_the_others_stay(box: RemoteSwitch) -> None:
    before = await box.read()
    for on in (True, False, True):
        await box.set("Camera", on)
        after = await box.read()
        assert after.on == {**before.on, "Camera": on}
        assert after.level == before.level


def test_48_a_dark_serves_its_own_length_only() -> None:
    light = Intent(
        ExposureId("home", Night.parse("2026-12-14"), 1), "light", "r", "t", 300.0, 1.0, 2.0, filter="L", gain=100.0
    )
    short = Intent(ExposureId("home", Night.parse("2026-12-14"), 2), "light", "r", "t", 30.0, 1.0, 2.0, gain=100.0)
    dark_300 = Stock(needed_by(light)[1], 50)
    needs = ledger([(light, 10), (short, 10)], [dark_300], [], Rules({"dark": 20}, {}))
    assert {need.recipe.exposure_s: need.standing for need in needs} == {300.0: "has", 30.0: "lacks"}
