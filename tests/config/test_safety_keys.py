"""What the keys of safety become: interlocks, sources, agreements, and the clock's own source."""

from pathlib import Path

import pytest

from astrod.config.load import load
from astrod.domain.site import CLOCK_SOURCE, Agreement, Limit, Outlet
from tests.config.observatory import GOOD, lay


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


@pytest.mark.parametrize(
    ("written", "interlock", "needed"),
    [
        ("", "mount", True),
        ("needs_parked = true", "mount", True),
        ("needs_parked = false", "none", False),
        ('interlock = "none"', "none", False),
    ],
)
def test_the_interlock_and_the_older_key(tmp_path: Path, written: str, interlock: str, needed: bool) -> None:
    text = changed('address = "sim://roof"', f'address = "sim://roof"\n{written}')
    roof = load(lay(tmp_path, text)).site.roof
    assert roof is not None
    assert (roof.interlock, roof.needs_parked) == (interlock, needed)


def test_second_path_power_and_park_sensor(tmp_path: Path) -> None:
    text = changed(
        'address = "sim://roof"',
        'address = "sim://roof"\ninterlock = "sensor"\nsecond_path = "sim://relay#Close"\n'
        'power = "sim://switch#Roof"\non_stuck_mount = "close_anyway"',
    ).replace(
        'address = "sim://mount"',
        'address = "sim://mount"\npark_sensor = "sim://relay#Parked"\npark_sensor_kind = "switch"',
    )
    site = load(lay(tmp_path, text)).site
    assert site.roof is not None
    assert (site.roof.second_path, site.roof.on_stuck_mount) == ("sim://relay#Close", "close_anyway")
    assert site.roof.power == Outlet("sim://switch", "Roof")
    assert site.rigs[0].mount.park_sensor == "sim://relay#Parked"


def test_sources_of_the_host_may_be_watched_twice_with_other_limits_and_consequences(tmp_path: Path) -> None:
    more = "".join(
        f'\n[[weather]]\nname = "{name}"\naddress = "astrod://disk"\naction = "{action}"\n'
        f'limits = [{{ name = "disk_free_gb", low = {low} }}]\n'
        for name, action, low in (("disk", "warn", 20.0), ("disk_low", "unsafe", 1.0))
    )
    site = load(lay(tmp_path, GOOD + more)).site
    assert [(s.name, s.action, s.limits) for s in site.weather[1:]] == [
        ("disk", "warn", (Limit("disk_free_gb", low=20.0),)),
        ("disk_low", "unsafe", (Limit("disk_free_gb", low=1.0),)),
    ]


def test_an_agreement(tmp_path: Path) -> None:
    more = (
        '\n[[weather]]\nname = "mast"\naddress = "sim://mast"\nlimits = [{ name = "wind_m_s", high = 12.0 }]\n'
        '\n[[agreement]]\nname = "wind_m_s"\nwithin = 5.0\n'
    )
    assert load(lay(tmp_path, GOOD + more)).site.agreements == (Agreement("wind_m_s", 5.0),)


@pytest.mark.parametrize(
    ("mount", "time", "bound_s"),
    [
        ("sim://mount", "", None),
        ("sim://mount", "[time]\nerror_max_s = 9.0\n", 9.0),
        ("indi://localhost/Mount", "", 15.0),
        ("indi://localhost/Mount", "[time]\nerror_max_s = 2.5\n", 2.5),
        ("indi://localhost/Mount", "[time]\nerror_max_s = 0.0\n", None),
    ],
)
def test_the_clock_is_a_source_where_anything_real_depends_on_it(
    tmp_path: Path, mount: str, time: str, bound_s: float | None
) -> None:
    site = load(lay(tmp_path, changed("sim://mount", mount) + time)).site
    clocks = [source for source in site.sources if source.name == CLOCK_SOURCE]
    assert site.weather == site.sources[:1]
    if bound_s is None:
        assert clocks == []
    else:
        assert clocks[0].action == "no_slews"
        assert clocks[0].limits[0].high == bound_s
