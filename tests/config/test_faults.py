"""Faults: each with file, line, place and remedy, all at once."""

# ruff: noqa: E501  (a fault is one line, here as on the screen)

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod.config.load import load
from astrod.errors import ConfigInvalid, InputInvalid
from astrod_drivers.address import FORMS
from tests.config.observatory import GOOD, TARGETS, lay


def faults(folder: Path, main: str = GOOD, **others: str) -> list[str]:
    with pytest.raises(ConfigInvalid) as caught:
        load(lay(folder, main, **others))
    return caught.value.faults


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            'address = "sim://mount"',
            'address = "sim://mount"\nslew = 3',
            'astrod.toml:23: [rig.mount] slew: no such key; did you mean "slew_s"?',
        ),
        (
            "latitude_deg = 41.7",
            "latitude_deg = 141.7",
            "astrod.toml:3: [site] latitude_deg: 141.7 is outside -90..90",
        ),
        (
            "latitude_deg = 41.7",
            'latitude_deg = "41.7"',
            'astrod.toml:3: [site] latitude_deg: "41.7" is a text; a number is wanted',
        ),
        (
            "latitude_deg = 41.7",
            "",
            "astrod.toml:1: [site] latitude_deg: is missing: Latitude, WGS84, north positive.",
        ),
        ("height_m = 760", "height_m = nan", "astrod.toml:5: [site] height_m: nan is outside -430..9000"),
        (
            "height_m = 760",
            "height_m = true",
            "astrod.toml:5: [site] height_m: true is true or false; a number is wanted",
        ),
        (
            'name = "home"',
            'name = "Home!"',
            'astrod.toml:2: [site] name: "Home!" is no name here; use lower-case letters, digits and _, a letter first',
        ),
        (
            "height_m = 760",
            "height_m = 760\nneeds_parked = true",
            "astrod.toml:6: [site] needs_parked: no such key here; it belongs in [roof]",
        ),
        (
            'address = "sim://camera"',
            'address = "usb:camera"',
            f'astrod.toml:31: [rig.train.camera] address: "usb:camera" is no device address; write {FORMS}',
        ),
        (
            'address = "sim://camera"',
            'address = "sim://mount"',
            'astrod.toml:31: [rig.train.camera] address: "sim://mount" is used already; each device has one place',
        ),
        (
            'address = "sim://camera"',
            'address = "sim://camera"\nbinning = 1.5',
            "astrod.toml:32: [rig.train.camera] binning: 1.5 is a number; a whole number is wanted",
        ),
        (
            'name = "rain_mm_h", high = 0.0',
            'name = "rain_mm_h"',
            "astrod.toml:15: [[weather.limits]] 2: rain_mm_h has neither low nor high",
        ),
        (
            "high = 12, margin",
            "high = 12, low = 11, margin",
            "astrod.toml:14: [[weather.limits]] high: nothing between low 11.0 and high 12.0 is safe with margin 2.0",
        ),
        (
            "aperture_mm = 80",
            "aperture_mm = 0",
            "astrod.toml:27: [[rig.train]] aperture_mm: 0 is outside over 0, up to 40000",
        ),
        (
            'address = "sim://roof"',
            'address = "sim://roof"\nneeds_parked = false\ninterlock = "mount"',
            'astrod.toml:10: [roof] interlock: says "mount", yet needs_parked is false; remove one of the two',
        ),
        (
            'address = "sim://roof"',
            'address = "sim://roof"\ninterlock = "sensor"',
            'astrod.toml:22: [rig.mount] park_sensor: is missing: the roof\'s interlock is "sensor"; give the address of what tells that it is parked',
        ),
        (
            'address = "sim://roof"',
            'address = "sim://roof"\ninterlock = "solve"',
            'astrod.toml:22: [rig.mount] park_place: is missing: the roof\'s interlock is "solve"; say where the parked tube points',
        ),
        (
            'address = "sim://roof"',
            'address = "sim://roof"\nsecond_path = "sim://relay#"',
            "astrod.toml:9: [roof] second_path: \"sim://relay#\" names no outlet; write the switch's address, then # and the outlet's name",
        ),
        (
            'address = "sim://weather"',
            'address = "astrod://sun"',
            'astrod.toml:12: [[weather]] address: "astrod://sun" is nothing of the host; there are astrod://clock, astrod://disk, astrod://watch/NAME, astrod://internet/HOST:PORT, nut://HOST/UPS',
        ),
        (
            'address = "sim://mount"',
            'address = "sim://mount"\npark_sensor = "sim://switch"\npark_sensor_kind = "switch"',
            'astrod.toml:23: [rig.mount] park_sensor: "sim://switch" is a switch and needs #NAME',
        ),
        (
            'name = "station"',
            'name = "clock"',
            'astrod.toml:11: [[weather]] name: "clock" is the name of [time]\'s own source; choose another',
        ),
        (
            'name = "station"',
            'name = "station"\nkind = "safety_monitor"',
            "astrod.toml:10: [[weather]]: is a safety monitor, which measures nothing: no limits and no frozen_s",
        ),
        (
            '[[rig]]\nname = "main"',
            '[[agreement]]\nname = "wind_m_s"\nwithin = 5.0\n\n[[rig]]\nname = "main"',
            "astrod.toml:18: [[agreement]]: needs two sources under [[weather]] at least, to compare",
        ),
        (
            '[roof]\naddress = "sim://roof"\n',
            "",
            'astrod.toml: roof: is missing; give it an address, or write roof = "none" under [site]',
        ),
        (
            "height_m = 760",
            'height_m = 760\nroof = "none"',
            'astrod.toml:6: [site] roof: says "none", yet there is a [roof]; remove one of the two',
        ),
        (
            "height_m = 760",
            "height_m = 760\nhorizon = [[0, 10], [360.0, 91]]",
            "astrod.toml:6: [site] horizon 2: azimuth 360.0 is outside 0..360 (360 is 0)",
        ),
    ],
)
def test_a_fault_is_named_with_its_line_and_remedy(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert faults(tmp_path, changed(old, new))[0] == fault


def test_all_faults_come_at_once_over_all_files_and_kinds(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        changed("height_m = 760", "heigth_m = 760").replace('[roof]\naddress = "sim://roof"', ""),
        conf_a="[night]\nretakes_max = -1\n",
        conf_b="[site\n",
        targets_a=TARGETS + TARGETS,
        targets_b="[site]\nname = 'x'\n",
    )
    assert found == [
        'astrod.toml:5: [site] heigth_m: no such key; did you mean "height_m"?',
        "conf.d/a.toml:2: [night] retakes_max: -1 is outside 0..10",
        "conf.d/b.toml:1: is not TOML: Expected ']' at the end of a table declaration; nothing else of this file was read",
        "targets.d/b.toml:1: site: only [[target]] belongs in targets.d",
    ]


def test_faults_between_keys_show_beside_faults_in_them(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        changed("height_m = 760", "heigth_m = 760").replace('[roof]\naddress = "sim://roof"', ""),
        targets_a=TARGETS + TARGETS,
    )
    assert found == [
        'astrod.toml: roof: is missing; give it an address, or write roof = "none" under [site]',
        'astrod.toml:5: [site] heigth_m: no such key; did you mean "height_m"?',
        'targets.d/a.toml:6: [[target]] 2 name: "M 31" is a target already; each name is used once',
    ]


def test_what_is_mended_to_look_further_raises_no_fault_of_its_own(tmp_path: Path) -> None:
    text = changed('name = "rain_mm_h"', 'name = "rain"').replace('[[rig]]\nname = "main"', '[[rig]]\nname = "Main"')
    found = faults(tmp_path, text, targets_a=TARGETS + 'rig = "Main"\n')
    assert [fault.split(": ")[1] for fault in found] == ["[[weather.limits]] 2 name", "[[rig]] name"]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("+41d16m08s", "+91d16m08s", 'coordinates: "00h42m44s +91d16m08s" is not on the sky'),
        ("+41d16m08s", "", 'coordinates: "00h42m44s " is no pair of coordinates; write'),
        ('filter = "L"', 'filter = "L", train = "maim"', '"maim" is no train; did you mean "main"?'),
        ("exposures = [", 'rig = "other"\nexposures = [', 'rig: "other" is no rig; there is main'),
        (
            "coordinates = ",
            "ra_deg = 10.0\ncoordinates = ",
            "is given beside ra_deg or dec_deg; keep one of the two ways",
        ),
        (
            'coordinates = "00h42m44s +41d16m08s"',
            "ra_deg = 10.0",
            "[[target]]: dec_deg is missing beside the other",
        ),
        (
            'coordinates = "00h42m44s +41d16m08s"',
            "",
            '"M 31" has no coordinates, and there is no catalogue here; give them',
        ),
        ("count = 40", "count = 0", "[[target.exposures]] count: 0 is outside 1..100000"),
        (
            'exposures = [{ filter = "L", exposure_s = 120, count = 40 }]',
            "exposures = []",
            "at least 1 wanted",
        ),
    ],
)
def test_faults_of_targets(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert old in TARGETS
    (found,) = faults(tmp_path, targets_a=TARGETS.replace(old, new))
    assert found.startswith("targets.d/a.toml:")
    assert fault in found


def test_a_position_angle_without_a_rotator_or_on_an_alt_azimuth(tmp_path: Path) -> None:
    turned = TARGETS.replace("[[target]]\n", "[[target]]\nposition_angle_deg = 35.0\n", 1)
    (found,) = faults(tmp_path, targets_a=turned)
    assert found.endswith("position_angle_deg: is asked for, but no train has a rotator; leave it out")
    rotated = changed('wheel = "sim://wheel"', 'wheel = "sim://wheel"\nrotator = "sim://rotator"')
    lay(tmp_path, rotated, targets_a=turned)
    assert next(target.position_angle_deg for target in load(tmp_path).targets) == 35.0
    altaz = rotated.replace('address = "sim://mount"', 'address = "sim://mount"\nkind = "altaz"')
    (found,) = faults(tmp_path, altaz, targets_a=turned)
    assert "is for equatorial mounts" in found


def test_a_dome_follows_one_rig_and_holds_its_tube(tmp_path: Path) -> None:
    dome = changed('address = "sim://roof"', 'address = "sim://roof"\nslit_within_deg = 5.0')
    second = dome + dome[dome.index("[[rig]]") :].replace('name = "main"', 'name = "other"').replace(
        "sim://", "sim://b"
    )
    (found,) = faults(tmp_path, second, targets_a=TARGETS)
    assert "slit_within_deg: a slit follows one rig, and there are 2" in found
    small = dome.replace(
        "[[weather]]", "[roof.geometry]\nradius_m = 1.0\neast_m = 0.8\ntube_offset_m = 0.4\n\n[[weather]]"
    )
    (found,) = faults(tmp_path, small, targets_a=TARGETS)
    assert "1.2 m from the dome's centre, and its radius is 1 m" in found
    lay(tmp_path, small.replace("radius_m = 1.0", "radius_m = 2.0"), targets_a=TARGETS)
    roof = load(tmp_path).site.roof
    assert roof is not None and roof.geometry is not None and roof.geometry.tube_offset_m == 0.4


def test_the_most_that_an_exposure_may_grow_to(tmp_path: Path) -> None:
    given = TARGETS.replace("count = 40", "count = 40, exposure_max_s = 60")
    first, second = faults(tmp_path, targets_a=given)
    assert "exposure_max_s: means something with adapt = true only" in first
    assert "exposure_max_s: 60 is less than exposure_s, 120" in second
    lay(tmp_path, targets_a=TARGETS.replace("count = 40", "count = 40, exposure_max_s = 480, adapt = true"))
    (request,) = load(tmp_path).targets[0].requests
    assert (request.adapt, request.exposure_max_s) == (True, 480.0)


def test_a_gps_is_an_indi_device(tmp_path: Path) -> None:
    (found,) = faults(tmp_path, GOOD + '\n[time]\ngps = "alpaca://hut/telescope/0"\n', targets_a=TARGETS)
    assert "[time] gps: is no INDI device" in found


def test_a_filter_without_a_wheel(tmp_path: Path) -> None:
    (found,) = faults(tmp_path, changed('wheel = "sim://wheel"', ""), targets_a=TARGETS)
    assert found.endswith('filter: "L" is asked for, but no train has a wheel; leave it out')


def test_an_unknown_name_passes_on_what_the_catalogue_says(tmp_path: Path) -> None:
    def resolve(name: str) -> tuple[float, float]:
        raise InputInvalid(f"{name}: no such object; near are M 31, M 32")

    text = TARGETS.replace('coordinates = "00h42m44s +41d16m08s"', "").replace("M 31", "M 311")
    with pytest.raises(ConfigInvalid) as caught:
        load(lay(tmp_path, targets_a=text), resolve)
    (found,) = caught.value.faults
    assert found == ("targets.d/a.toml:2: [[target]] name: M 311: no such object; near are M 31, M 32")


def test_a_socket_that_cannot_be_is_refused_before_the_night(tmp_path: Path) -> None:
    (found,) = faults(tmp_path, GOOD + f'[daemon]\nrun_dir = "{"x" * 120}"\n')
    assert "107 is the most; shorten it" in found


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    lay(tmp_path)
    (tmp_path / "astrod.toml").write_bytes(b"[site]\nname = 'caf\xe9'\n")
    with pytest.raises(ConfigInvalid, match=r"astrod\.toml:2: is not UTF-8 text"):
        load(tmp_path)


def test_an_empty_file_says_what_is_missing(tmp_path: Path) -> None:
    assert faults(tmp_path, "")[:2] == [
        "astrod.toml: rig: is missing: The rigs.",
        'astrod.toml: roof: is missing; give it an address, or write roof = "none" under [site]',
    ]


@given(
    st.lists(
        st.tuples(st.integers(0, len(GOOD) - 1), st.sampled_from("[]{}=\"'.#\n ax19-")),
        min_size=1,
        max_size=6,
    )
)
def test_a_spoilt_file_is_read_or_refused_but_never_breaks_the_reader(
    tmp_path_factory: pytest.TempPathFactory, spoils: list[tuple[int, str]]
) -> None:
    text = GOOD
    for at, sign in spoils:
        text = text[:at] + sign + text[at + 1 :]
    folder = lay(tmp_path_factory.mktemp("spoilt"), text)
    try:
        load(folder)
    except ConfigInvalid as caught:
        assert caught.faults
        assert all(fault.startswith("astrod.toml") for fault in caught.faults)
