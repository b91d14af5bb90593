"""Weather through Alpaca: units, ages, and sensors that die one by one."""

from collections.abc import Awaitable
from pathlib import Path

import pytest
from tests.drivers.test_alpaca_door import GOOD, Mouth, answer, driver, http

from astrod_drivers.errors import BadAnswer
from astrod_drivers.wallclock import WallClock

NOT_IMPLEMENTED = http(b'{"ErrorNumber": 1024, "ErrorMessage": "no such sensor"}')


class Clock(WallClock):
    """A clock that the test moves."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_s = 0.0

    def now_us(self) -> int:
        return super().now_us() + round(self.ahead_s * 1e6)

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.ahead_s

    def sleep(self, seconds: float) -> Awaitable[None]:
        self.ahead_s += seconds
        return super().sleep(0.0)


class Station:
    """A station whose members are set by the test, ages by `ages_s`; those in `lacks` are not implemented."""

    def __init__(self) -> None:
        self.members = dict(GOOD)
        self.age_s: object = 1.0
        self.lacks: set[str] = set()
        self.asked: list[str] = []

    def __call__(self, path: str) -> bytes:
        member = path.rpartition("/")[2]
        self.asked.append(member)
        if member in self.lacks:
            return NOT_IMPLEMENTED
        return answer(self.age_s if member == "timesincelastupdate" else self.members.get(member))


async def test_a_reading_is_as_old_as_its_sensor_says(tmp_path: Path) -> None:
    station = Station()
    async with Mouth(station) as mouth:
        weather = driver("weather", mouth.port, tmp_path)
        weather.clock = clock = Clock()
        await weather.connect()
        first = await weather.read()
        assert clock.now_us() - first.measured_us == pytest.approx(1_000_000, abs=900_000)
        station.age_s = 400.0
        clock.ahead_s += 20.0  # ages are asked again
        old = await weather.read()
        assert clock.now_us() - old.measured_us == pytest.approx(400_000_000, abs=900_000)
        assert old.values["wind_m_s"] == 2.0


async def test_ages_are_asked_in_turn_not_all_each_time(tmp_path: Path) -> None:
    station = Station()
    async with Mouth(station) as mouth:
        weather = driver("weather", mouth.port, tmp_path)
        weather.clock = clock = Clock()
        await weather.connect()
        await weather.read()
        asked = []
        for _ in range(20):
            clock.ahead_s += 1.0
            station.asked.clear()
            await weather.read()
            asked.append(station.asked.count("timesincelastupdate"))
        assert max(asked) <= 4
        assert sum(asked) >= 30  # and yet each one every five seconds or so


async def test_a_station_without_ages_measured_when_a_value_changed(tmp_path: Path) -> None:
    station = Station()
    station.lacks = {"timesincelastupdate"}
    async with Mouth(station) as mouth:
        weather = driver("weather", mouth.port, tmp_path)
        weather.clock = clock = Clock()
        await weather.connect()
        first = await weather.read()
        clock.ahead_s += 60.0
        assert (await weather.read()).measured_us == first.measured_us
        station.members["humidity"] = 51
        assert (await weather.read()).measured_us > first.measured_us + 59_000_000


async def test_a_sensor_that_lies_or_is_missing_was_not_measured(tmp_path: Path) -> None:
    station = Station()
    station.lacks = {"skyquality"}
    station.members["humidity"] = 140
    async with Mouth(station) as mouth:
        weather = driver("weather", mouth.port, tmp_path)
        await weather.connect()
        assert not {"sky_brightness_mag", "humidity_percent"} & (await weather.read()).values.keys()
        station.age_s = -1.0
        weather._ages.clear()
        with pytest.raises(BadAnswer, match="never measured"):
            await weather.read()
