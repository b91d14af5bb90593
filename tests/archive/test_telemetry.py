"""Readings over time."""

import math
from pathlib import Path

from astrod.archive.telemetry import Reading, Telemetry


def test_records_the_latest_and_the_past(tmp_path: Path) -> None:
    telemetry = Telemetry.open(tmp_path / "telemetry.db")
    for at_us in (10, 20, 30):
        telemetry.record(at_us, "weather", {"wind_m_s": at_us / 10, "rain_mm_h": math.nan})
    telemetry.record(15, "weather", {"wind_m_s": 9.0})
    telemetry.record(5, "camera", {"temperature_c": -10})
    assert telemetry.latest() == [
        Reading("camera", "temperature_c", 5, -10.0),
        Reading("weather", "wind_m_s", 30, 3.0),
    ]
    assert [r.value for r in telemetry.between("weather", "wind_m_s", 10, 30)] == [1.0, 9.0, 2.0]
    telemetry.close()


def test_a_repeat_replaces_and_pruning_forgets(tmp_path: Path) -> None:
    telemetry = Telemetry.open(tmp_path / "telemetry.db")
    telemetry.record(10, "weather", {"wind_m_s": 1.0})
    telemetry.record(10, "weather", {"wind_m_s": 2.0})
    assert [r.value for r in telemetry.between("weather", "wind_m_s", 0, 99)] == [2.0]
    telemetry.record(20, "camera", {"temperature_c": -10.0})
    assert telemetry.prune(before_us=20) == 1
    assert telemetry.latest() == [Reading("camera", "temperature_c", 20, -10.0)]
    telemetry.checkpoint()
    telemetry.close()


def test_outlasts_a_reopening(tmp_path: Path) -> None:
    telemetry = Telemetry.open(tmp_path / "telemetry.db")
    telemetry.record(10, "weather", {"wind_m_s": 1.0})
    telemetry.close()
    telemetry = Telemetry.open(tmp_path / "telemetry.db")
    assert telemetry.latest() == [Reading("weather", "wind_m_s", 10, 1.0)]
    telemetry.close()
